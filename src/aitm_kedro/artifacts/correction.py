"""Correction of probabilities for the downsampling of the rows that a model was trained on.

Training keeps every final-step positive and a share w of the final-step negatives. By Bayes' rule the odds of any event
are then known exactly: a row with y_T = 1 stands for itself, a row with y_T = 0 for 1 / w rows. With q_t the
probability of step t after sampling and p_t before,

    p_t = (q_t - (1 - w) q_T) / (1 - (1 - w) q_T)

for every step t, given q_T <= q_t.
"""

import numpy as np
import pandas as pd

from aitm_kedro.tables.reports import KeepRates

# N = rows, T = steps


def correct(raw: np.ndarray, keep_rate: float | np.ndarray) -> np.ndarray:
    """Undo the downsampling of the final step's negatives.

    The order of the steps is kept, and so is the order of rows by their final step (within one keep rate). Where a
    model says q_t < q_T, which no truth can, the result may fall below 0 and is cut there.

    Args:
        raw: float [N, T], what the model predicts for each step, end to end, in funnel order.
        keep_rate: w in (0, 1], one for all rows or [N], one a row.

    Returns:
        Corrected probabilities [N, T], of the dtype of ``raw``.

    Raises:
        ValueError: a keep rate lies outside (0, 1].
    """
    kept = np.asarray(keep_rate, np.float64)
    if not ((kept > 0) & (kept <= 1)).all():
        raise ValueError("a keep rate lies outside (0, 1]")
    if (kept == 1).all():
        return raw.copy()
    dropped = (1 - kept) * raw[:, -1].astype(np.float64)  # [N]
    corrected = (raw - dropped[:, None]) / (1 - dropped)[:, None]
    return np.maximum(corrected, 0).astype(raw.dtype, copy=False)


def row_keep_rates(keep_rates: KeepRates, segment: np.ndarray | None) -> float | np.ndarray:
    """Each row's keep rate.

    Args:
        keep_rates: of the sampling report.
        segment: [N] segment names, or None.

    Returns:
        One rate for all rows, or float64 [N]. A segment that training has never seen gets the overall rate.
    """
    if not keep_rates.per_segment or segment is None:
        return keep_rates.overall
    codes, names = pd.factorize(np.asarray(segment, object), use_na_sentinel=True)
    rates = np.array([keep_rates.of(str(name)) for name in names] + [keep_rates.overall], np.float64)
    return rates[codes]  # code -1, a null segment, takes the overall rate at the end
