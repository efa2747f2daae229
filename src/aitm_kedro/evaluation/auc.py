"""Area under the ROC curve, and all else that needs rows in order of their scores.

The interval is DeLong's (DeLong, DeLong and Clarke-Pearson, Biometrics 1988, https://doi.org/10.2307/2531595) in
O(n log n): placement values come from ranks, as in Sun and Xu, "Fast implementation of DeLong's algorithm for comparing
the areas under correlated receiver operating characteristic curves", IEEE Signal Processing Letters 2014
(https://doi.org/10.1109/LSP.2014.2337313). Rows of one score share a placement value, so sums run over distinct
scores.

With row weights every count of rows is a sum of weights, and a row of weight 0 is treated as absent.
"""

from collections.abc import Sequence
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
    """Both classes at each distinct score, from the lowest score to the highest.

    Attributes:
        positives: how many rows, int64 [G]; with row weights the sum of their weights, float64 [G].
        negatives: likewise.
        rows: how many positives and negatives there are in all, without those of weight 0.
        squares: sums of the squared weights of positives and negatives, float64 [G] each; None without row weights.
    """

    positives: np.ndarray
    negatives: np.ndarray
    rows: tuple[int, int]
    squares: tuple[np.ndarray, np.ndarray] | None = None


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


def count_ranks(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> Ranks:
    """Count both classes at each distinct score.

    Args:
        labels: 0/1 or bool [N], in ascending order of scores.
        scores: float [N], ascending.
        weights: of the rows in the same order, float [N], at least 0; None: all alike.
    """
    if weights is not None:
        return _weigh_ranks(labels, scores, weights)
    if not len(scores):
        return Ranks(np.zeros(0, np.int64), np.zeros(0, np.int64), rows=(0, 0))
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)  # last row of each distinct score
    positives = np.diff(np.cumsum(labels, dtype=np.int64)[last], prepend=0)
    negatives = np.diff(last, prepend=-1) - positives
    return Ranks(positives, negatives, rows=(int(positives.sum()), int(negatives.sum())))


def _weigh_ranks(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> Ranks:
    """``count_ranks`` with weights; a row of weight 0 is treated as absent."""
    present = weights > 0
    positive, scores = labels[present].astype(bool), scores[present]
    if not len(scores):
        nothing = np.zeros(0)
        return Ranks(nothing, nothing, rows=(0, 0), squares=(nothing, nothing))
    first = np.append(0, np.flatnonzero(scores[1:] != scores[:-1]) + 1)  # first row of each distinct score
    of_rows = weights[present].astype(np.float64)
    classes = [np.where(chosen, of_rows, 0) for chosen in (positive, ~positive)]
    # Sums of each group by itself: differences of a running total would lose the digits of small weights.
    positives, negatives = (np.add.reduceat(of_class, first) for of_class in classes)
    squares = (np.add.reduceat(classes[0] ** 2, first), np.add.reduceat(classes[1] ** 2, first))
    happened = int(positive.sum())
    return Ranks(positives, negatives, rows=(happened, len(positive) - happened), squares=squares)


def rank(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> Ranks:
    """Sort rows by score and count both classes at each distinct score.

    Args:
        labels: 0/1 or bool [N].
        scores: float [N].
        weights: of the rows, float [N], at least 0; None: all alike.
    """
    labels, scores = np.asarray(labels), np.asarray(scores)
    order = sort_by_score(scores)
    return count_ranks(labels[order], scores[order], None if weights is None else np.asarray(weights)[order])


def auc(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> float | None:
    """Probability that a positive scores above a negative, ties counting one half.

    Args:
        labels: 0/1 or bool [N].
        scores: float [N]; only their order matters.
        weights: of the rows, float [N], at least 0: a pair counts with the product of its weights. None: all alike.

    Returns:
        The AUC, or None where one of the classes is absent.

    Raises:
        InputError: a score is NaN.

    Example:
        >>> auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.9]))
        0.875
        >>> auc(np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.4, 0.9]), np.array([1, 1, 3, 1]))
        0.8125
    """
    return auc_of_ranks(rank(labels, scores, weights))


def auc_interval(
    labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None, *, confidence: float
) -> AUC:
    """AUC with DeLong's confidence interval.

    Args:
        labels: 0/1 or bool [N].
        scores: float [N].
        weights: of the rows, float [N], at least 0; None: all alike.
        confidence: level of the interval, in (0, 1).

    Returns:
        The AUC and its interval, cut at 0 and 1. All None where a class is absent; no interval where a class has a
        single row, which shows no spread. Where the scores separate the classes perfectly, DeLong's variance is 0.

    Raises:
        InputError: a score is NaN.
    """
    return interval_of_ranks(rank(labels, scores, weights), confidence=confidence)


def auc_of_ranks(ranks: Ranks) -> float | None:
    """``auc`` of rows that are already sorted and counted."""
    positives, negatives = ranks.positives.sum(), ranks.negatives.sum()
    if not positives or not negatives:
        return None
    below = np.cumsum(ranks.negatives) - ranks.negatives / 2
    return float(ranks.positives @ below / positives / negatives)


def delong_variance(ranks: Ranks) -> float | None:
    """DeLong's variance of the AUC; None where a class has fewer than two rows.

    The AUC is the mean of the placements of either class, so its variance is the sum of the variances of both means.
    """
    if min(ranks.rows) < 2:
        return None
    positives, negatives = ranks.positives.sum(), ranks.negatives.sum()
    # The share of the other class that a row beats (positives), or that beats it (negatives).
    of_positives = (np.cumsum(ranks.negatives) - ranks.negatives / 2) / negatives  # [G]
    of_negatives = 1 - (np.cumsum(ranks.positives) - ranks.positives / 2) / positives  # [G]
    area = ranks.positives @ of_positives / positives
    if ranks.squares is not None:
        spreads = [(of_positives - area) ** 2, (of_negatives - area) ** 2]
        return _weighted_variance(ranks, spreads)
    spread_positives = ranks.positives @ (of_positives - area) ** 2 / (positives - 1)
    spread_negatives = ranks.negatives @ (of_negatives - area) ** 2 / (negatives - 1)
    return float(spread_positives / positives + spread_negatives / negatives)


def _weighted_variance(ranks: Ranks, spreads: Sequence[np.ndarray]) -> float:
    """Variance of weighted means of placements: sum w^2 (v - A)^2 / (sum w)^2 * n / (n - 1) over both classes.

    Weights are taken as given, not as drawn; for equal ones this is DeLong's variance. Here n is the rows of a class.
    """
    assert ranks.squares is not None
    totals = (ranks.positives.sum(), ranks.negatives.sum())
    return float(
        sum(
            squares @ spread / total**2 * rows / (rows - 1)
            for squares, spread, total, rows in zip(ranks.squares, spreads, totals, ranks.rows, strict=True)
        )
    )


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
    positives = ranks.positives.sum()
    if not positives:
        return None
    found = np.cumsum(ranks.positives[::-1])
    admitted = found + np.cumsum(ranks.negatives[::-1])
    return float(ranks.positives[::-1] @ (found / admitted) / positives)
