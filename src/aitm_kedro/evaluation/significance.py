"""Statistical significance of the difference of two AUCs: paired tests over seeds, and over the rows judged.

Over seeds: Student's paired t-test of the AUCs, as in the paper's Table 2. It asks whether another start of the
training would have turned out likewise, on these very test rows.

Over rows: DeLong's test (Biometrics 1988, https://doi.org/10.2307/2531595). The AUC is a mean of placements, a row's
being the share of the other class that it is ranked right against; the difference of two AUCs is a mean of paired
differences d, whose variance is plain. It asks whether other test rows would have told the same, and works for one
seed.

With row weights w all means are weighted, and the variance of a class's weighted mean D of n differences is
sum w^2 (d - D)^2 / (sum w)^2 * n / (n - 1); for equal weights this is the variance of the plain mean. Where P of the n
rows are drawn, the sums run over them, and the variance is P / n times what they give.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import special

# N = test rows, P = rows of one class that were drawn

ROWS_OF_A_CLASS = 50_000
"""Rows of a class, at most, whose placements are kept. The AUC itself is always that of all rows; only its standard
error comes from the rows drawn, and 50,000 of them tell it to within one per cent."""

PLACEMENTS = ("step", "label", "row", "placement")
"""Columns of a table of placements; where rows have weights, ``WEIGHT`` comes on top."""

WEIGHT = "weight"


class PairedTest(NamedTuple):
    """Result of a paired test.

    Attributes:
        difference: mean of the first minus mean of the second.
        standard_error: of the difference; None where undefined.
        p: probability of a difference at least as large, either way, if there were none; None where undefined.
        note: why something is undefined, else "".
    """

    difference: float
    standard_error: float | None
    p: float | None
    note: str = ""


def place_rows(
    labels: np.ndarray,
    scores: np.ndarray,
    *,
    steps: Sequence[str],
    row_weights: np.ndarray | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Placements of positives and negatives of every step.

    The same labels, weights and seed draw the same rows for every model.

    Args:
        labels: uint8 [N, T].
        scores: float [N, T].
        steps: the T names.
        row_weights: float [N], at least 0; a row of weight 0 is treated as absent. None: all alike.
        seed: of the rows that are drawn where a class has more than ``ROWS_OF_A_CLASS``.

    Returns:
        Columns ``PLACEMENTS``: step, label (int8), row (int64, position in the test split), placement (float32: share
        of the other class, by weight, that the row is ranked right against, ties counting one half); with row weights
        also weight (float32). A step with one class has none.
    """
    names = [*PLACEMENTS, WEIGHT] if row_weights is not None else PLACEMENTS
    present = np.arange(len(labels)) if row_weights is None else np.flatnonzero(row_weights > 0)
    parts = []
    for t, step in enumerate(steps):
        classes = [present[labels[present, t] == label] for label in (0, 1)]
        if not all(map(len, classes)):
            continue
        for label, rows in enumerate(classes):
            drawn, others = _draw(rows, np.random.default_rng([seed, t, label])), classes[1 - label]
            below = _share_below(scores[others, t], scores[drawn, t], _of_rows(row_weights, others))
            columns = [step, np.int8(label), drawn, (below if label else 1 - below).astype(np.float32)]
            if row_weights is not None:
                columns.append(row_weights[drawn].astype(np.float32))
            parts.append(pd.DataFrame(dict(zip(names, columns, strict=True))))
    if not parts:
        return pd.DataFrame({name: [] for name in names})
    return pd.concat(parts, ignore_index=True).astype({"step": "category"})


def compare_over_rows(
    first: Sequence[np.ndarray],
    second: Sequence[np.ndarray],
    *,
    difference: float,
    counts: Sequence[int],
    weights: Sequence[np.ndarray] | None = None,
) -> PairedTest:
    """DeLong's paired test of two AUCs on the same rows.

    Args:
        first: placements of the negatives and of the positives drawn, [P] each, of the first model; means over seeds
            where there are several, which makes it a test of the mean AUC.
        second: those of the second model, of the same rows.
        difference: of the AUCs over all rows.
        counts: how many negatives and positives there are in all.
        weights: of the negatives and positives drawn, [P] each, above 0; None: all alike.
    """
    if min(counts) < 2:
        return PairedTest(difference, None, None, "a class has fewer than two test rows")
    variance = 0.0
    for label, count in enumerate(counts):
        paired = first[label].astype(np.float64) - second[label]
        variance += _sample_variance(paired, None if weights is None else weights[label]) / count
    if variance == 0:
        return PairedTest(
            difference, 0.0, None if difference else 1.0, "" if not difference else "the rows show no spread"
        )
    error = variance**0.5
    return PairedTest(difference, error, float(2 * special.ndtr(-abs(difference) / error)))


def influences(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """What each row adds to the error of an AUC, float64 [N]: their squares sum up to DeLong's variance, nearly.

    A positive's is its placement's distance from the AUC over the number of positives, a negative's likewise. Those of
    several AUCs of the same rows may be added and subtracted, which gives the variance of any combination of them.

    Args:
        labels: 0 or 1, [N], both of them present among the rows that count.
        scores: float [N].
        weights: what each row counts, [N], at least 0; None: all alike.
    """
    result = np.zeros(len(labels))
    present = np.arange(len(labels)) if weights is None else np.flatnonzero(weights > 0)
    classes = [present[labels[present] == label] for label in (0, 1)]
    for label, rows in enumerate(classes):
        others = classes[1 - label]
        below = _share_below(scores[others], scores[rows], _of_rows(weights, others))
        placed, counts = below if label else 1 - below, np.ones(len(rows)) if weights is None else weights[rows]
        result[rows] = (placed - np.average(placed, weights=counts)) * counts / counts.sum()
    return result


def compare_over_seeds(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Paired t-test of the AUCs of two runs, one pair a seed.

    Args:
        first: AUCs of the first run by seed.
        second: those of the second one by the same seeds.
    """
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    mean = float(differences.mean()) if len(differences) else float("nan")
    if len(differences) < 2:
        return PairedTest(
            mean, None, None, f"a test over seeds needs two at least; the runs have {len(differences)} in common"
        )
    error = float(differences.std(ddof=1) / len(differences) ** 0.5)
    if error == 0:
        return PairedTest(
            mean, 0.0, None, "all seeds differ by the same amount, so there is no spread to compare it with"
        )
    return PairedTest(mean, error, float(2 * special.stdtr(len(differences) - 1, -abs(mean) / error)))


def _sample_variance(values: np.ndarray, weights: np.ndarray | None) -> float:
    """P times the variance of the (weighted) mean of P values: without weights, their sample variance."""
    if weights is None:
        return float(values.var(ddof=1))
    size, weights = len(values), weights.astype(np.float64)
    spread = (values - np.average(values, weights=weights)) ** 2
    return float(weights**2 @ spread / weights.sum() ** 2 * size / (size - 1) * size)


def _of_rows(weights: np.ndarray | None, rows: np.ndarray) -> np.ndarray | None:
    return None if weights is None else weights[rows]


def _draw(rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if len(rows) <= ROWS_OF_A_CLASS:
        return rows
    return np.sort(random.choice(rows, ROWS_OF_A_CLASS, replace=False))


def _share_below(others: np.ndarray, scores: np.ndarray, weights: np.ndarray | None) -> np.ndarray:
    """Share of ``others``, by their weights (None: all alike), below each score, ties counting one half."""
    if weights is None:
        ordered, total = np.sort(others), np.arange(len(others) + 1)  # rows up to each place
    else:
        order = np.argsort(others)
        ordered, total = others[order], np.append(0, np.cumsum(weights[order], dtype=np.float64))
    below = total[np.searchsorted(ordered, scores, side="left")]
    upto = total[np.searchsorted(ordered, scores, side="right")]
    share: np.ndarray = (below + upto) / 2 / total[-1]
    return share
