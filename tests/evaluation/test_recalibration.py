import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit

from aitm_kedro.evaluation.recalibration import best_shift, recalibrated_log_loss


def _rows(rows: int = 5000, rate: float = 0.05) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    log_odds = random.normal(logit(rate), 1.0, rows)
    return (random.random(rows) < expit(log_odds)).astype(np.uint8), log_odds


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("wrong_by", [0.0, -3.0, 8.0])
def test_the_shift_is_the_minimum(wrong_by: float, weighted: bool) -> None:
    labels, log_odds = _rows()
    weights = np.random.default_rng(1).random(len(labels)) if weighted else None
    shifted = log_odds + wrong_by

    def loss(shift: float) -> float:
        z = shifted + shift
        return float(np.average(np.logaddexp(0, z) - labels * z, weights=weights))

    expected = minimize_scalar(loss, bounds=(-20, 20), method="bounded", options={"xatol": 1e-9})
    assert best_shift(labels, shifted, weights) == pytest.approx(expected.x, abs=1e-4)
    rate = np.average(labels, weights=weights)
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
    found = recalibrated_log_loss(labels, expit(shifted), weights)
    assert found == pytest.approx(expected.fun / entropy, rel=1e-6)
    assert found < 1


def test_a_constant_says_nothing() -> None:
    labels, _ = _rows()
    assert recalibrated_log_loss(labels, np.full(len(labels), 0.7)) == pytest.approx(1, rel=1e-6)


def test_certainties_stay_finite() -> None:
    labels = np.array([0, 1, 0, 1])
    assert recalibrated_log_loss(labels, np.array([0.0, 1.0, 0.0, 1.0], np.float32)) == pytest.approx(0, abs=1e-6)
    assert 1 < recalibrated_log_loss(labels, np.array([1.0, 0.0, 1.0, 0.0], np.float32)) < np.inf


def test_far_from_the_start_the_search_stays_between_its_bounds() -> None:
    """Where all sigmoids are flat, a step of Newton's alone would leave for infinity."""
    labels = np.array([0, 1] * 50)
    log_odds = np.array([-16.0, 16.0] * 50) + np.linspace(0, 1, 100)
    assert np.isfinite(best_shift(labels, log_odds))
    assert np.isfinite(best_shift(1 - labels, log_odds))
