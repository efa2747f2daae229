"""Area under the ROC curve, and all else that needs rows in order of their scores.

The interval is DeLong's (DeLong, DeLong and Clarke-Pearson, Biometrics 1988, https://doi.org/10.2307/2531595) in
O(n log n): placement values come from ranks, as in Sun and Xu, "Fast implementation of DeLong's algorithm for comparing
the areas under correlated receiver operating characteristic curves", IEEE Signal Processing Letters 2014
(https://doi.org/10.1109/LSP.2014.2337313). Rows of one score share a placement value, so sums run over distinct
scores.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import ndtri

from aitm_kedro.core.errors import InputError

# N = rows, G = distinct scores


class AUC(NamedTuple):
    """An area under the ROC curve with the ends of its confidence interval; None where undefined."""

    value: float | None
    low: float | None
    high: float | None


class Ranks(NamedTuple):
    """How many rows of each class have each distinct score, from the lowest score to the highest.

    Attributes:
        positives: int64 [G].
        negatives: int64 [G].
    """

    positives: np.ndarray
    negatives: np.ndarray


def sort_by_score(scores: np.ndarray) -> np.ndarray:
    """Positions of the rows from the lowest score to the highest.

    Args:
        scores: float [N].

    Returns:
        int64 [N].

    Raises:
        InputError: a score is NaN.
    """
    order = np.argsort(scores)
    if len(order) and np.isnan(scores[order[-1]]):  # NumPy sorts NaN to the end
        bad = int(np.isnan(scores).sum())
        raise InputError(
            f"{bad} of {len(scores)} predictions are NaN: the model has diverged; lower training.learning_rate"
        )
    return order


def count_ranks(labels: np.ndarray, scores: np.ndarray) -> Ranks:
    """Count both classes at each distinct score.

    Args:
        labels: 0/1 or bool [N], in ascending order of scores.
        scores: float [N], ascending.
    """
    if not len(scores):
        return Ranks(np.zeros(0, np.int64), np.zeros(0, np.int64))
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)  # last row of each distinct score
    positives = np.diff(np.cumsum(labels, dtype=np.int64)[last], prepend=0)
    return Ranks(positives, np.diff(last, prepend=-1) - positives)


def rank(labels: np.ndarray, scores: np.ndarray) -> Ranks:
    """Sort rows by score and count both classes at each distinct score.

    Args:
        labels: 0/1 or bool [N].
        scores: float [N].
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    order = sort_by_score(scores)
    return count_ranks(labels[order], scores[order])


def auc(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Probability that a positive scores above a negative, ties counting one half.

    Args:
        labels: 0/1 or bool [N].
        scores: float [N]; only their order matters.

    Returns:
        The AUC, or None where one of the classes is absent.

    Raises:
        InputError: a score is NaN.

    Example:
        >>> auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.9]))
        0.875
    """
    return auc_of_ranks(rank(labels, scores))


def auc_interval(labels: np.ndarray, scores: np.ndarray, *, confidence: float) -> AUC:
    """AUC with DeLong's confidence interval.

    Args:
        labels: 0/1 or bool [N].
        scores: float [N].
        confidence: level of the interval, in (0, 1).

    Returns:
        The AUC and its interval, cut at 0 and 1. All None where a class is absent; no interval where a class has a
        single row, whose spread nobody knows. Where the scores separate the classes perfectly, DeLong's variance is 0.

    Raises:
        InputError: a score is NaN.
    """
    return interval_of_ranks(rank(labels, scores), confidence=confidence)


def auc_of_ranks(ranks: Ranks) -> float | None:
    """``auc`` of rows that are already sorted and counted."""
    positives, negatives = int(ranks.positives.sum()), int(ranks.negatives.sum())
    if not positives or not negatives:
        return None
    below = np.cumsum(ranks.negatives) - ranks.negatives / 2
    return float(ranks.positives @ below / positives / negatives)


def delong_variance(ranks: Ranks) -> float | None:
    """DeLong's variance of the AUC; None where a class has fewer than two rows."""
    positives, negatives = int(ranks.positives.sum()), int(ranks.negatives.sum())
    if positives < 2 or negatives < 2:
        return None
    # The share of the other class that a row beats (positives), or that beats it (negatives).
    of_positives = (np.cumsum(ranks.negatives) - ranks.negatives / 2) / negatives  # [G]
    of_negatives = 1 - (np.cumsum(ranks.positives) - ranks.positives / 2) / positives  # [G]
    area = ranks.positives @ of_positives / positives
    spread_positives = ranks.positives @ (of_positives - area) ** 2 / (positives - 1)
    spread_negatives = ranks.negatives @ (of_negatives - area) ** 2 / (negatives - 1)
    return float(spread_positives / positives + spread_negatives / negatives)


def interval_of_ranks(ranks: Ranks, *, confidence: float) -> AUC:
    """``auc_interval`` of rows that are already sorted and counted."""
    value, variance = auc_of_ranks(ranks), delong_variance(ranks)
    if value is None or variance is None:
        return AUC(value, None, None)
    half = float(ndtri((1 + confidence) / 2)) * variance**0.5
    return AUC(value, max(value - half, 0.0), min(value + half, 1.0))


def average_precision_of_ranks(ranks: Ranks) -> float | None:
    """Precision averaged over the positives, each at the threshold that just admits it; None without positives.

    Sum over distinct scores of (recall gained) * precision, without interpolation, as in scikit-learn.
    """
    positives = int(ranks.positives.sum())
    if not positives:
        return None
    found = np.cumsum(ranks.positives[::-1])
    admitted = found + np.cumsum(ranks.negatives[::-1])
    return float(ranks.positives[::-1] @ (found / admitted) / positives)
