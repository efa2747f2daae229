"""The correction for downsampling against counting."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from aitm_kedro.artifacts.correction import correct, row_keep_rates
from aitm_kedro.tables.reports import KeepRates


def conversions(rng: np.random.Generator, rows: int, steps: int) -> np.ndarray:
    """Legal 0/1 labels [rows, steps]."""
    return np.cumprod(rng.random((rows, steps)) < [0.5, 0.4, 0.3, 0.5][:steps], axis=1)


@pytest.mark.parametrize("steps", [1, 2, 4])
@pytest.mark.parametrize("one_in", [1, 4, 25])
def test_recovers_the_rates_of_the_full_log_to_the_last_digit(steps: int, one_in: int) -> None:
    rng = np.random.default_rng(steps)
    labels = conversions(rng, 20_000, steps)
    # Rows of the sample: every final-step positive, and each distinct negative pattern once in `one_in`, exactly.
    full = np.repeat(labels[labels[:, -1] == 0], one_in, axis=0)
    positives = labels[labels[:, -1] == 1]
    truth = np.concatenate([full, positives]).mean(axis=0)
    sampled = np.concatenate([full[::one_in], positives]).mean(axis=0)
    assert correct(sampled[None], 1 / one_in)[0] == pytest.approx(truth, abs=1e-12)


def test_each_row_has_the_rate_of_its_segment() -> None:
    raw = np.array([[0.5, 0.2], [0.5, 0.2], [0.5, 0.2]])
    together = correct(raw, np.array([0.1, 1.0, 0.5]))
    for row, rate in zip(together, (0.1, 1.0, 0.5), strict=True):
        assert row == pytest.approx(correct(raw[:1], rate)[0], abs=1e-15)


probabilities = arrays.arrays(np.float64, (5, 4), elements=st.floats(0, 1))


@given(probabilities, st.floats(0.001, 1))
@settings(max_examples=150, deadline=None)
def test_keeps_the_order_of_steps_and_of_rows(raw: np.ndarray, rate: float) -> None:
    legal = -np.sort(-raw, axis=1)
    corrected = correct(legal, rate)
    assert ((corrected >= 0) & (corrected <= 1)).all()
    assert (np.diff(corrected, axis=1) <= 1e-12).all()
    ranked = corrected[np.argsort(legal[:, -1], kind="stable"), -1]
    assert all(low <= high + 1e-12 for low, high in pairwise(ranked))


def test_cuts_impossible_predictions_at_zero() -> None:
    assert correct(np.array([[0.1, 0.4]]), 0.2)[0, 0] == 0


def test_nothing_dropped_changes_nothing() -> None:
    raw = np.array([[0.3, 0.1]], np.float32)
    corrected = correct(raw, 1.0)
    assert corrected.dtype == np.float32
    assert (corrected == raw).all()
    assert corrected is not raw


@pytest.mark.parametrize("rate", [0.0, -0.1, 1.1, float("nan")])
def test_rejects_impossible_rates(rate: float) -> None:
    with pytest.raises(ValueError, match=r"outside \(0, 1\]"):
        correct(np.array([[0.3, 0.1]]), rate)


def test_rates_of_rows_come_from_their_segment_or_overall() -> None:
    segment = np.array(["a", "b", None, "new", "a"], object)
    rates = row_keep_rates(KeepRates(overall=0.3, per_segment={"a": 0.1, "b": 1.0}), segment)
    assert list(np.atleast_1d(rates)) == [0.1, 1.0, 0.3, 0.3, 0.1]
    assert row_keep_rates(KeepRates(overall=0.3), segment) == 0.3
    assert row_keep_rates(KeepRates(overall=0.3, per_segment={"a": 0.1}), None) == 0.3
