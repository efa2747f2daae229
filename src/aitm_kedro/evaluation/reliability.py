"""Do probabilities mean what they say: log loss, reliability by bins, expected calibration error."""

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
    """

    rows: np.ndarray
    predicted: np.ndarray
    observed: np.ndarray


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


def reliability(labels: np.ndarray, probabilities: np.ndarray, *, bins: int) -> Reliability:
    """Group rows into bins of (nearly) equal size by their predictions.

    Equal predictions always share a bin, so the result does not depend on the order of the rows.

    Args:
        labels: 0/1 or bool [N].
        probabilities: float [N].
        bins: how many; fewer come back where predictions are tied or rows are few.
    """
    rows = len(probabilities)
    if not rows:
        return Reliability(np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    firsts = np.unique(np.arange(1, bins) * rows // bins)
    edges = np.unique(np.partition(probabilities, firsts)[firsts])
    bin_of_row = np.searchsorted(edges, probabilities, side="right")
    sizes = np.bincount(bin_of_row, minlength=len(edges) + 1)
    predicted = np.bincount(bin_of_row, weights=probabilities, minlength=len(sizes))
    observed = np.bincount(bin_of_row, weights=labels, minlength=len(sizes))
    filled = sizes > 0
    sizes = sizes[filled]
    return Reliability(sizes, predicted[filled] / sizes, observed[filled] / sizes)


def expected_calibration_error(table: Reliability) -> float | None:
    """Mean over rows of |predicted - observed| of their bin; None without rows."""
    rows = int(table.rows.sum())
    if not rows:
        return None
    return float(table.rows @ np.abs(table.predicted - table.observed) / rows)


def tabulate_reliability(labels: np.ndarray, kinds: Mapping[str, np.ndarray], *, step: str, bins: int) -> pd.DataFrame:
    """Reliability of several kinds of probabilities of one step, as a table.

    Args:
        labels: 0/1 [N].
        kinds: name -> probabilities [N].
        step: its name.
        bins: of each kind.

    Returns:
        One row a bin: step, kind, rows, predicted, observed.
    """
    parts = [
        pd.DataFrame({"step": step, "kind": kind, **reliability(labels, probabilities, bins=bins)._asdict()})
        for kind, probabilities in kinds.items()
    ]
    return pd.concat(parts, ignore_index=True)
