"""Is the difference between two models luck? Paired tests over seeds, and over the rows that both were judged on.

Over seeds: Student's paired t-test of the AUCs, as in the paper's Table 2. It asks whether another start of the
training would have turned out likewise, on these very test rows.

Over rows: DeLong's test (Biometrics 1988, https://doi.org/10.2307/2531595). The AUC is a mean of placements, a row's
being the share of the other class that it is ranked right against; the difference of two models' AUCs is a mean of
paired differences, whose variance is plain. It asks whether other test rows would have told the same, and works for one
seed.
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


def place_rows(labels: np.ndarray, scores: np.ndarray, *, steps: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """Placements of positives and negatives of every step; the same labels and seed draw the same rows for every model.

    Args:
        labels: uint8 [N, T].
        scores: float [N, T].
        steps: the T names.
        seed: of the rows that are drawn where a class has more than ``ROWS_OF_A_CLASS``.

    Returns:
        Columns ``PLACEMENTS``: step, label (int8), row (int64, position in the test split), placement (float32: share
        of the other class that the row is ranked right against, ties counting one half). A step with one class has
        none.
    """
    parts = []
    for t, step in enumerate(steps):
        classes = [np.flatnonzero(labels[:, t] == label) for label in (0, 1)]
        if not all(map(len, classes)):
            continue
        for label, rows in enumerate(classes):
            drawn = _draw(rows, np.random.default_rng([seed, t, label]))
            others = np.sort(scores[classes[1 - label], t])
            below = _share_below(others, scores[drawn, t])
            placement = below if label else 1 - below
            columns = (step, np.int8(label), drawn, placement.astype(np.float32))
            parts.append(pd.DataFrame(dict(zip(PLACEMENTS, columns, strict=True))))
    if not parts:
        return pd.DataFrame({name: [] for name in PLACEMENTS})
    return pd.concat(parts, ignore_index=True).astype({"step": "category"})


def compare_over_rows(
    first: Sequence[np.ndarray], second: Sequence[np.ndarray], *, difference: float, counts: Sequence[int]
) -> PairedTest:
    """DeLong's paired test of two AUCs on the same rows.

    Args:
        first: placements of the negatives and of the positives drawn, [P] each, of the first model; means over seeds
            where there are several, which makes it a test of the mean AUC.
        second: those of the second model, of the same rows.
        difference: of the AUCs over all rows.
        counts: how many negatives and positives there are in all.
    """
    if min(counts) < 2:
        return PairedTest(difference, None, None, "a class has fewer than two test rows")
    variance = 0.0
    for of_first, of_second, count in zip(first, second, counts, strict=True):
        paired = of_first.astype(np.float64) - of_second
        variance += float(paired.var(ddof=1)) / count
    if variance == 0:
        return PairedTest(
            difference, 0.0, None if difference else 1.0, "" if not difference else "the rows show no spread"
        )
    error = variance**0.5
    return PairedTest(difference, error, float(2 * special.ndtr(-abs(difference) / error)))


def compare_over_seeds(first: Sequence[float], second: Sequence[float]) -> PairedTest:
    """Paired t-test of the AUCs of two models, one pair a seed.

    Args:
        first: AUCs of the first model by seed.
        second: those of the second one by the same seeds.
    """
    differences = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    mean = float(differences.mean()) if len(differences) else float("nan")
    if len(differences) < 2:
        return PairedTest(
            mean, None, None, f"a test over seeds needs two at least; the models have {len(differences)} in common"
        )
    error = float(differences.std(ddof=1) / len(differences) ** 0.5)
    if error == 0:
        return PairedTest(
            mean, 0.0, None, "all seeds differ by the same amount, so there is no spread to compare it with"
        )
    return PairedTest(mean, error, float(2 * special.stdtr(len(differences) - 1, -abs(mean) / error)))


def _draw(rows: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if len(rows) <= ROWS_OF_A_CLASS:
        return rows
    return np.sort(random.choice(rows, ROWS_OF_A_CLASS, replace=False))


def _share_below(ordered: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Share of ``ordered`` (ascending) below each score, ties counting one half."""
    below = np.searchsorted(ordered, scores, side="left")
    upto = np.searchsorted(ordered, scores, side="right")
    return (below + upto) / 2 / len(ordered)
