"""The whole set of metrics against slow references."""

import json
import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, log_loss, roc_auc_score

from aitm_kedro.core.errors import InputError
from aitm_kedro.evaluation.auc import auc_interval
from aitm_kedro.evaluation.metrics import evaluate_predictions
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.evaluation.reliability import expected_calibration_error, reliability, row_log_loss

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
    assert found["rows"] == 6000
    assert tuple(found["steps"]) == STEPS
    for t, step in enumerate(STEPS):
        values = found["steps"][step]
        area = auc_interval(labels[:, t], raw[:, t], confidence=0.95)
        assert (values["auc"], values["auc_low"], values["auc_high"]) == pytest.approx(tuple(area), abs=1e-12)
        assert values["auc"] == pytest.approx(roc_auc_score(labels[:, t], raw[:, t]))
        assert values["average_precision"] == pytest.approx(average_precision_score(labels[:, t], raw[:, t]))
        assert values["log_loss"] == pytest.approx(log_loss(labels[:, t], corrected[:, t].astype(float)))
        assert values["positives"] == labels[:, t].sum()
        assert values["rate"] == pytest.approx(labels[:, t].mean())
        assert values["mean_predicted"] == pytest.approx(corrected[:, t].astype(float).mean())
        assert "note" not in values
    json.dumps(found, allow_nan=False)


def test_segments_are_judged_by_themselves(predictions: tuple[np.ndarray, ...]) -> None:
    options = Evaluation(min_segment_positives=2)
    labels, raw, corrected, segment = predictions
    found = evaluate_predictions(labels, raw, corrected, steps=STEPS, segment=segment, options=options)["segments"]
    assert list(found) == ["big", "small"]
    for name, of_segment in found.items():
        inside = segment == name
        for t, step in enumerate(STEPS):
            area = auc_interval(labels[inside, t], raw[inside, t], confidence=0.95)
            values = of_segment[step]
            assert (values["auc"], values["auc_low"], values["auc_high"]) == pytest.approx(tuple(area), abs=1e-12)
            assert (values["rows"], values["positives"]) == (inside.sum(), labels[inside, t].sum())


def test_order_violations_are_counted_one_by_one(predictions: tuple[np.ndarray, ...]) -> None:
    labels, raw, corrected, _ = predictions
    found = evaluate_predictions(labels, raw, corrected, steps=STEPS, segment=None, options=Evaluation())
    expected = {
        "order>click": sum(float(row[1]) > float(row[0]) for row in raw) / 6000,
        "pay>order": sum(float(row[2]) > float(row[1]) for row in raw) / 6000,
    }
    assert found["order_violations"] == pytest.approx(expected)
    assert found["segments"] == {}
    assert expected["order>click"] > 0


def test_one_class_has_no_auc_and_says_so() -> None:
    labels = np.array([[1, 0], [0, 0], [1, 0]], np.uint8)
    raw = np.array([[0.9, 0.1], [0.5, 0.2], [0.7, 0.1]], np.float32)
    segment = np.array(["a", None, "a"], object)
    options = Evaluation(min_segment_positives=2)
    found = evaluate_predictions(labels, raw, raw, steps=("x", "y"), segment=segment, options=options)
    nothing = found["steps"]["y"]
    assert (nothing["auc"], nothing["auc_low"], nothing["average_precision"]) == (None, None, None)
    assert nothing["note"] == "No AUC: none of the 3 rows is a positive of 'y'."
    assert nothing["log_loss"] > 0
    assert found["steps"]["x"]["note"] == "No interval: there is a single negative of 'x'."
    assert found["segments"]["a"]["x"]["note"] == "No AUC: all 2 rows are positives of 'x'."
    assert found["segments"]["(none)"]["x"]["note"].startswith("No AUC: 0 positives of 'x', fewer than evaluation.")
    json.dumps(found, allow_nan=False)


def test_no_rows_at_all() -> None:
    empty = np.zeros((0, 2))
    found = evaluate_predictions(empty, empty, empty, steps=("x", "y"), segment=None, options=Evaluation())
    assert found["steps"]["x"]["note"] == "No AUC: there are no rows."
    assert found["order_violations"] == {"y>x": None}
    json.dumps(found, allow_nan=False)


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
