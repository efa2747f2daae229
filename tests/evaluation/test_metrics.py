"""The whole set of metrics against slow references."""

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from aitm_kedro.core.errors import InputError
from aitm_kedro.evaluation.auc import auc_interval
from aitm_kedro.evaluation.metrics import evaluate_predictions
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.evaluation.reliability import (
    expected_calibration_error,
    reliability,
    row_log_loss,
    tabulate_reliability,
)
from aitm_kedro.evaluation.results import Evaluated

STEPS = ("click", "order", "pay")


@pytest.fixture(scope="module")
def predictions() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels, raw and corrected predictions, and segments of 6,000 rows."""
    rng = np.random.default_rng(5)
    raw = np.cumprod(rng.beta(2, 3, (6000, 3)), axis=1).astype(np.float32)
    raw[:100] = raw[:100, ::-1]  # a hundred rows out of order
    labels = np.cumprod(rng.random((6000, 3)) < raw, axis=1).astype(np.uint8)
    return (
        labels,
        raw,
        (raw * 0.9).astype(np.float32),
        rng.choice(np.array(["big", "small"], object), 6000, p=[0.9, 0.1]),
    )


def test_every_number_of_a_step(predictions: tuple[np.ndarray, ...]) -> None:
    labels, raw, corrected, segment = predictions
    found = evaluate_predictions(labels, raw, corrected, steps=STEPS, segment=segment, options=Evaluation())
    assert found.rows == 6000
    assert tuple(found.steps) == STEPS
    for t, step in enumerate(STEPS):
        values = found.steps[step]
        area = auc_interval(labels[:, t], raw[:, t], confidence=0.95)
        assert (values.auc, values.auc_low, values.auc_high) == pytest.approx(tuple(area), abs=1e-12)
        assert values.auc == pytest.approx(roc_auc_score(labels[:, t], raw[:, t]))
        assert values.average_precision == pytest.approx(average_precision_score(labels[:, t], raw[:, t]))
        assert values.log_loss == pytest.approx(log_loss(labels[:, t], corrected[:, t].astype(float)))
        assert values.positives == labels[:, t].sum()
        assert values.rate == pytest.approx(labels[:, t].mean())
        assert values.mean_predicted == pytest.approx(corrected[:, t].astype(float).mean())
        assert values.note is None
    assert Evaluated.model_validate_json(found.model_dump_json()) == found


def test_segments_are_judged_by_themselves(predictions: tuple[np.ndarray, ...]) -> None:
    options = Evaluation(min_segment_positives=2)
    labels, raw, corrected, segment = predictions
    found = evaluate_predictions(labels, raw, corrected, steps=STEPS, segment=segment, options=options).segments
    assert list(found) == ["big", "small"]
    for name, of_segment in found.items():
        inside = segment == name
        for t, step in enumerate(STEPS):
            area = auc_interval(labels[inside, t], raw[inside, t], confidence=0.95)
            values = of_segment[step]
            assert (values.auc, values.auc_low, values.auc_high) == pytest.approx(tuple(area), abs=1e-12)
            assert (values.rows, values.positives) == (inside.sum(), labels[inside, t].sum())


def test_order_violations_are_counted_one_by_one(predictions: tuple[np.ndarray, ...]) -> None:
    labels, raw, corrected, _ = predictions
    found = evaluate_predictions(labels, raw, corrected, steps=STEPS, segment=None, options=Evaluation())
    expected = {
        "order": sum(float(row[1]) > float(row[0]) for row in raw) / 6000,
        "pay": sum(float(row[2]) > float(row[1]) for row in raw) / 6000,
    }
    assert found.order_violations == pytest.approx(expected)
    assert found.segments == {}
    assert expected["order"] > 0


def test_one_class_has_no_auc_and_says_so() -> None:
    labels = np.array([[1, 0], [0, 0], [1, 0]], np.uint8)
    raw = np.array([[0.9, 0.1], [0.5, 0.2], [0.7, 0.1]], np.float32)
    segment = np.array(["a", None, "a"], object)
    options = Evaluation(min_segment_positives=2)
    found = evaluate_predictions(labels, raw, raw, steps=("x", "y"), segment=segment, options=options)
    nothing = found.steps["y"]
    assert (nothing.auc, nothing.auc_low, nothing.average_precision) == (None, None, None)
    assert nothing.note == "No AUC: none of the 3 rows is a positive of 'y'."
    assert nothing.log_loss > 0
    assert found.steps["x"].note == "No interval: there is a single negative of 'x'."
    assert found.segments["a"]["x"].note == "No AUC: all 2 rows are positives of 'x'."
    assert found.segments["(none)"]["x"].note.startswith("No AUC: 0 positives of 'x', fewer than evaluation.")


def test_no_rows_at_all() -> None:
    empty = np.zeros((0, 2))
    found = evaluate_predictions(empty, empty, empty, steps=("x", "y"), segment=None, options=Evaluation())
    assert found.steps["x"].note == "No AUC: there are no rows."
    assert found.order_violations == {"y": None}


def test_weighted_metrics_agree_with_scikit_learn(predictions: tuple[np.ndarray, ...]) -> None:
    labels, raw, corrected, segment = predictions
    weights = np.random.default_rng(1).gamma(1, size=6000).astype(np.float32)
    weights[:500] = 0
    found = evaluate_predictions(
        labels, raw, corrected, steps=STEPS, segment=segment, row_weights=weights, options=Evaluation()
    )
    assert found.rows == 5500
    for t, step in enumerate(STEPS):
        values, y, shares = found.steps[step], labels[:, t], corrected[:, t].astype(float)
        area = auc_interval(y, raw[:, t], weights, confidence=0.95)
        assert (values.auc, values.auc_low, values.auc_high) == pytest.approx(tuple(area), abs=1e-12)
        assert values.auc == pytest.approx(roc_auc_score(y, raw[:, t], sample_weight=weights), abs=1e-6)
        expected = average_precision_score(y, raw[:, t], sample_weight=weights)
        assert values.average_precision == pytest.approx(expected, abs=1e-6)
        assert values.log_loss == pytest.approx(log_loss(y, shares, sample_weight=weights), rel=1e-6)
        assert values.positives == y[500:].sum()
        assert values.rate == pytest.approx(np.average(y, weights=weights.astype(float)))
        assert values.mean_predicted == pytest.approx(np.average(shares, weights=weights.astype(float)))
    small = (segment == "small") & (weights > 0)
    of_small = found.segments["small"]["click"]
    assert (of_small.rows, of_small.positives) == (small.sum(), labels[small, 0].sum())
    assert of_small.auc == pytest.approx(roc_auc_score(labels[small, 0], raw[small, 0], sample_weight=weights[small]))
    wrong = raw[:, 1] > raw[:, 0]
    assert found.order_violations["order"] == pytest.approx(np.average(wrong, weights=weights.astype(float)))


def test_whole_weights_equal_repeated_rows(predictions: tuple[np.ndarray, ...]) -> None:
    """But for counts, and intervals, for which a row counted twice is one observation."""
    labels, raw, corrected, segment = predictions
    weights = np.random.default_rng(2).integers(0, 4, 6000)
    often = np.repeat(np.arange(6000), weights)
    numbers = ("auc", "average_precision", "log_loss", "calibration_error", "mean_predicted", "rate")
    weighted, repeated = (
        evaluate_predictions(
            labels[rows], raw[rows], corrected[rows], steps=STEPS, segment=segment[rows], row_weights=given,
            options=Evaluation(),
        )
        for rows, given in ((np.arange(6000), weights.astype(np.float32)), (often, None))
    )  # fmt: skip
    for step in STEPS:
        first, second = (of.steps[step].model_dump(include=set(numbers)) for of in (weighted, repeated))
        assert first == pytest.approx(second, rel=1e-9)
    assert weighted.order_violations == pytest.approx(repeated.order_violations)


def test_rows_of_weight_zero_change_nothing(predictions: tuple[np.ndarray, ...]) -> None:
    labels, raw, corrected, segment = predictions
    weights = np.random.default_rng(3).gamma(1, size=6000)
    weights[::3] = 0
    there = weights > 0
    with_them, without = (
        evaluate_predictions(
            labels[rows], raw[rows], corrected[rows], steps=STEPS, segment=segment[rows], row_weights=weights[rows],
            options=Evaluation(),
        )
        for rows in (slice(None), there)
    )  # fmt: skip
    assert with_them == without


def test_nan_predictions_are_refused() -> None:
    raw = np.array([[0.5], [np.nan]])
    with pytest.raises(InputError, match="NaN"):
        evaluate_predictions(np.array([[0], [1]]), raw, raw, steps=("x",), segment=None, options=Evaluation())


def test_log_loss_row_by_row() -> None:
    labels, shares = [1, 0, 1, 0], [0.2, 0.9, 1.0, 0.0]
    expected = [-math.log(0.2), -math.log(1 - 0.9), 0.0, 0.0]
    assert row_log_loss(np.array(labels), np.array(shares)) == pytest.approx(expected, abs=1e-6)
    assert np.isfinite(row_log_loss(np.array([1, 0]), np.array([0.0, 1.0]))).all()


def test_calibration_error_by_sorting_and_slicing() -> None:
    rng = np.random.default_rng(7)
    shares = rng.permutation(np.linspace(0.001, 0.4, 1000))
    labels = rng.random(1000) < shares * 1.5
    order = sorted(range(1000), key=lambda row: shares[row])
    error = 0.0
    for start in range(0, 1000, 50):
        rows = order[start : start + 50]
        error += abs(sum(shares[row] for row in rows) - sum(bool(labels[row]) for row in rows)) / 1000
    assert expected_calibration_error(reliability(labels, shares, bins=20)) == pytest.approx(error)


def test_equal_predictions_share_a_bin_in_any_order() -> None:
    labels = np.array([0] * 90 + [1] * 10)
    table = reliability(labels, np.full(100, 0.1), bins=20)
    assert list(table.rows) == [100]
    assert expected_calibration_error(table) == pytest.approx(0)
    assert expected_calibration_error(reliability(np.zeros(0), np.zeros(0), bins=20)) is None


def test_bins_of_weighted_rows_are_of_equal_weight() -> None:
    rng = np.random.default_rng(9)
    shares, weights = rng.random(20_000), rng.gamma(2, size=20_000)
    weights[::7] = 0
    labels = rng.random(20_000) < shares**2
    table = reliability(labels, shares, weights, bins=10)
    assert table.weight == pytest.approx(np.full(10, weights.sum() / 10), rel=0.01)
    assert table.rows.sum() == (weights > 0).sum()
    first = shares <= np.sort(shares[weights > 0])[table.rows[0] - 1]
    assert table.observed[0] == pytest.approx(np.average(labels[first], weights=weights[first]))


def test_tables_of_bins_have_weights_only_where_rows_have() -> None:
    labels, kinds = np.array([0, 1, 1]), {"raw": np.array([0.1, 0.2, 0.9])}
    plain = tabulate_reliability(labels, kinds, step="buy", bins=2)
    assert list(plain.columns) == ["step", "kind", "rows", "predicted", "observed"]
    weighted = tabulate_reliability(labels, kinds, step="buy", bins=2, row_weights=np.array([1.0, 0.0, 2.0]))
    assert weighted["weight"].sum() == 3
    assert weighted["rows"].sum() == 2
