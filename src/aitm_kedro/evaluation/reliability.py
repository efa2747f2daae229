"""Quality of predicted probabilities: log loss, reliability by bins, expected calibration error."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

# N = rows, B = bins

# Probabilities are single-precision: nothing closer to 0 or 1 is distinguishable from it.
_CLIP = float(np.finfo(np.float32).eps)


class Reliability(NamedTuple):
    """What was predicted and what happened, by bins of rows with similar predictions.

    Attributes:
        rows: int64 [B].
        predicted: float64 [B], mean prediction in the bin.
        observed: float64 [B], share of positives in the bin.
        weight: float64 [B], sum of the row weights in the bin; None without row weights.
    """

    rows: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray
    weight: np.ndarray | None = None


def row_log_loss(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """-log of the probability given to what happened, for each row.

    Args:
        labels: 0/1 or bool, any shape.
        probabilities: float of the same shape; kept 1.2e-7 away from 0 and 1.

    Returns:
        float64 of the same shape, in nats.
    """
    clipped = np.clip(probabilities.astype(np.float64), _CLIP, 1 - _CLIP)
    return -np.log(np.where(labels, clipped, 1 - clipped))


def mean_of(values: np.ndarray, weights: np.ndarray | None) -> float:
    """Mean of values [N], weighted where the rows have weights [N]; there is one row at least."""
    if weights is None:
        return float(values.mean(dtype=np.float64))
    return float(np.average(values.astype(np.float64), weights=weights))


def reliability(
    labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None = None, *, bins: int
) -> Reliability:
    """Group rows into bins of (nearly) equal size by their predictions.

    Equal predictions always share a bin, so the result does not depend on the order of the rows.

    Args:
        labels: 0/1 or bool [N].
        probabilities: float [N].
        weights: of the rows, float [N], at least 0: the size of a bin is then its weight. None: all alike.
        bins: how many; fewer come back where predictions are tied or rows are few.
    """
    if weights is not None:
        present = weights > 0  # a row of weight 0 is treated as absent
        labels, probabilities, weights = labels[present], probabilities[present], weights[present].astype(np.float64)
    if not len(probabilities):
        return Reliability(np.zeros(0, np.int64), np.zeros(0), np.zeros(0), None if weights is None else np.zeros(0))
    edges = _edges(probabilities, weights, bins=bins)
    bin_of_row = np.searchsorted(edges, probabilities, side="right")
    rows = np.bincount(bin_of_row, minlength=len(edges) + 1)
    filled = rows > 0

    def sums(values: np.ndarray) -> np.ndarray:
        of_rows = values if weights is None else values * weights
        return np.bincount(bin_of_row, weights=of_rows, minlength=len(rows))[filled]

    weight = None if weights is None else sums(np.ones(len(weights)))
    size = rows[filled] if weight is None else weight
    return Reliability(rows[filled], sums(probabilities) / size, sums(labels) / size, weight)


def _edges(probabilities: np.ndarray, weights: np.ndarray | None, *, bins: int) -> np.ndarray:
    """The lowest prediction of every bin but the first, ascending."""
    parts, rows = np.arange(1, bins), len(probabilities)
    if weights is None:
        firsts = np.unique(parts * rows // bins)
        return np.unique(np.partition(probabilities, firsts)[firsts])
    order = np.argsort(probabilities)
    upto = np.cumsum(weights[order])
    firsts = np.searchsorted(upto, parts * upto[-1] / bins, side="right")
    return np.unique(probabilities[order[firsts]])


def expected_calibration_error(table: Reliability) -> float | None:
    """Mean over rows of |predicted - observed| of their bin; None without rows."""
    size = table.rows if table.weight is None else table.weight
    if not len(size):
        return None
    return float(size @ np.abs(table.predicted - table.observed) / size.sum())


def tabulate_reliability(
    labels: np.ndarray,
    kinds: Mapping[str, np.ndarray],
    *,
    step: str,
    bins: int,
    row_weights: np.ndarray | None = None,
) -> pd.DataFrame:
    """Reliability of several kinds of probabilities of one step, as a table.

    Args:
        labels: 0/1 [N].
        kinds: name -> probabilities [N].
        step: its name.
        bins: of each kind.
        row_weights: of the rows, float [N], at least 0; None: all alike.

    Returns:
        One row a bin: step, kind, rows, predicted, observed; with row weights also weight.
    """
    parts = []
    for kind, probabilities in kinds.items():
        columns = reliability(labels, probabilities, row_weights, bins=bins)._asdict()
        present = {name: column for name, column in columns.items() if column is not None}
        parts.append(pd.DataFrame({"step": step, "kind": kind, **present}))
    return pd.concat(parts, ignore_index=True)
