"""What probabilities are worth once their level is put right: log loss after a shift of all log-odds.

A model that was trained on other rates, or a little too long, is often wrong by a constant in its log-odds, which costs
log loss but no decision. The shift that serves best is found here before the loss is taken.
"""

import numpy as np
from scipy.special import expit, logit

CLIP = 1e-7
"""Probabilities count as at least this, and at most 1 minus this."""

TOLERANCE, ITERATIONS = 1e-6, 50

# N = examples


def best_shift(labels: np.ndarray, log_odds: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The b that minimises the cross-entropy of labels and sigmoid(log_odds + b): a regression with an intercept alone.

    The mean of sigmoid(log_odds + b) rises with b, and is the rate at the minimum; Newton's steps are kept between the
    two bounds known so far, so that they cannot leave.

    Args:
        labels: 0 or 1, [N], both of them present.
        log_odds: float64 [N].
        weights: what each row counts, [N]; None: all alike.
    """
    rate = np.average(labels, weights=weights)
    low, high = logit(rate) - log_odds.max(), logit(rate) - log_odds.min()
    shift = float(np.clip(0.0, low, high))
    for _ in range(ITERATIONS):
        probabilities = expit(log_odds + shift)
        gap = float(np.average(probabilities, weights=weights) - rate)
        if abs(gap) <= TOLERANCE * rate * (1 - rate):
            break
        low, high = (low, shift) if gap > 0 else (shift, high)
        slope = float(np.average(probabilities * (1 - probabilities), weights=weights))
        step = shift - gap / slope if slope > 0 else np.nan
        shift = step if low < step < high else (low + high) / 2
    return shift


def recalibrated_log_loss(labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None) -> float:
    """Cross-entropy after ``best_shift``, as a share of that of the constant rate: 1 says nothing, 0 all.

    Args:
        labels: 0 or 1, [N], both of them present.
        probabilities: [N], clipped to [1e-7, 1 - 1e-7].
        weights: what each row counts, [N]; None: all alike.
    """
    log_odds = logit(np.clip(probabilities.astype(np.float64), CLIP, 1 - CLIP))
    shifted = log_odds + best_shift(labels, log_odds, weights)
    losses = np.logaddexp(0, shifted) - labels * shifted
    rate = np.average(labels, weights=weights)
    entropy = -(rate * np.log(rate) + (1 - rate) * np.log1p(-rate))
    return float(np.average(losses, weights=weights) / entropy)
