"""The best additive score, a reference for models: what effects that simply add up can know of the truth.

A logistic model with one free effect for each value of each field (numeric fields cut into fine quantile bins) is
fitted to the true probabilities themselves, not to labels: no sampling noise, no model that is compared elsewhere.
"""

from dataclasses import dataclass

import numpy as np

from aitm_kedro.sources.simulation.population import NUMERIC, Features

# N = impressions, F = fields

BINS = 64


@dataclass(frozen=True, kw_only=True)
class Design:
    """Rows as positions of their values.

    Attributes:
        codes: [N] integers for each of the F fields.
        sizes: values of each field.
    """

    codes: tuple[np.ndarray, ...]
    sizes: tuple[int, ...]


def design(features: Features) -> Design:
    """Every field by its values; numeric ones by quantile bin, absent ones in a bin of their own."""
    codes = tuple(
        _binned(values) if field in NUMERIC else values.astype(np.int32) for field, values in features.items()
    )
    return Design(codes=codes, sizes=tuple(int(code.max()) + 1 for code in codes))


def _binned(values: np.ndarray) -> np.ndarray:
    present = ~np.isnan(values)
    cuts = np.unique(np.quantile(values[present], np.arange(1, BINS) / BINS))
    codes = np.zeros(len(values), np.int32)
    codes[present] = 1 + np.searchsorted(cuts, values[present], side="right")
    return codes


def least_squares(rows: Design, target: np.ndarray, fit: np.ndarray, *, sweeps: int = 12) -> np.ndarray:
    """The additive function closest to ``target`` over the rows of ``fit``, at every row, [N].

    Args:
        rows: all rows.
        target: [N].
        fit: [N] 0/1, the rows to fit to.
        sweeps: rounds of backfitting over the fields.
    """
    weights = fit.astype(float)
    mean = float(np.average(target, weights=weights))
    return mean + _backfit(rows, target - mean, weights, prior=2.0, sweeps=sweeps)


def logistic(
    rows: Design, probability: np.ndarray, fit: np.ndarray, start: np.ndarray, *, prior: float, steps: int = 6
) -> np.ndarray:
    """The additive logit that loses least log loss against the true probabilities, at every row, [N].

    Newton's method with backfitting inside.

    Args:
        rows: all rows.
        probability: the truth, [N].
        fit: [N] 0/1, the rows to fit to.
        start: a first additive logit, [N].
        prior: pulls effects of rare values to zero; in units of Fisher information.
        steps: of Newton's method.
    """
    logit = start.astype(float)
    for _ in range(steps):
        now = 1 / (1 + np.exp(-logit))
        information = np.maximum(now * (1 - now), 1e-9)
        move = _backfit(rows, (probability - now) / information, information * fit, prior=prior, sweeps=3)
        logit += np.clip(move, -2, 2)
    return logit


def _backfit(rows: Design, target: np.ndarray, weights: np.ndarray, *, prior: float, sweeps: int) -> np.ndarray:
    rest = target.astype(float)
    effects = [np.zeros(size) for size in rows.sizes]
    masses = [np.bincount(code, weights, size) for code, size in zip(rows.codes, rows.sizes, strict=True)]
    for _ in range(sweeps):
        for field, code in enumerate(rows.codes):
            moved = np.bincount(code, weights * rest, rows.sizes[field]) + effects[field] * masses[field]
            new = moved / (masses[field] + prior)
            rest -= (new - effects[field])[code]
            effects[field] = new
    return np.asarray(target - rest)


def expected_auc(score: np.ndarray, probability: np.ndarray) -> float:
    """AUC of a score over labels drawn from ``probability``, without drawing them."""
    order = np.argsort(score, kind="stable")
    chance = probability[order].astype(float)
    _, start = np.unique(score[order], return_index=True)
    positive, negative = np.add.reduceat(chance, start), np.add.reduceat(1 - chance, start)
    below = np.cumsum(negative) - negative
    return float(positive @ (below + negative / 2) / (positive.sum() * negative.sum()))
