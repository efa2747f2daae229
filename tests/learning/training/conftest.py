"""A small funnel whose steps depend on two of the fields."""

import numpy as np
import pytest

from aitm_kedro.core.examples import Examples

SIZES = (6, 40, 300)
STEPS = ("click", "apply", "approve")


def make_examples(rows: int, *, seed: int) -> Examples:
    random = np.random.default_rng(seed)
    ids = np.stack([(size * random.random(rows) ** 2).astype(np.int32) for size in SIZES], axis=1)
    first = 1 / (1 + np.exp(-(0.5 * ids[:, 0] - 0.05 * ids[:, 1] * (ids[:, 0] % 2) - 1)))
    draws = random.random((rows, 3)) < np.stack([first, np.full(rows, 0.6), 0.4 + 0.1 * ids[:, 0]], axis=1)
    return Examples(
        ids=np.ascontiguousarray(ids),
        labels=np.cumprod(draws, axis=1).astype(np.uint8),
        fields=("age", "city", "creative"),
        steps=STEPS,
        impression_id=np.arange(rows),
    )


@pytest.fixture(scope="session")
def train() -> Examples:
    return make_examples(4000, seed=0)


@pytest.fixture(scope="session")
def valid() -> Examples:
    return make_examples(1000, seed=1)
