"""The metrics of a model's predictions, from one sort a step."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from aitm_kedro.core.funnel import NO_SEGMENT
from aitm_kedro.evaluation.auc import (
    AUC,
    average_precision_of_ranks,
    count_ranks,
    interval_of_ranks,
    sort_by_score,
)
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.evaluation.reliability import expected_calibration_error, mean_of, reliability, row_log_loss
from aitm_kedro.evaluation.results import Evaluated, SegmentMetrics, StepMetrics

# N = rows, T = steps, S = segments


def evaluate_predictions(
    labels: np.ndarray,
    raw: np.ndarray,
    corrected: np.ndarray,
    *,
    steps: Sequence[str],
    segment: np.ndarray | None,
    row_weights: np.ndarray | None = None,
    options: Evaluation,
) -> Evaluated:
    """Judge predictions of every step, over all rows and within each segment.

    AUC and average precision are about what the model ranks by (``raw``); log loss, calibration error and mean
    prediction are about ``corrected``. What is undefined is None, with a sentence under ``note``.

    Args:
        labels: uint8 [N, T], end to end.
        raw: float [N, T], the model's output.
        corrected: float [N, T], probabilities.
        steps: the T names.
        segment: [N] names, or None.
        row_weights: float [N], at least 0; None: all alike. Every metric is weighted, while rows and positives stay
            counts; a row of weight 0 is treated as absent.
        options: level of the intervals, bins, and positives that a segment needs.

    Raises:
        InputError: a prediction is NaN.
    """
    if row_weights is not None and not row_weights.all():
        there = row_weights > 0
        labels, raw, corrected, row_weights = (each[there] for each in (labels, raw, corrected, row_weights))
        segment = None if segment is None else segment[there]
    codes, names = _segment_codes(segment)
    whole: dict[str, StepMetrics] = {}
    parts: dict[str, dict[str, SegmentMetrics]] = {name: {} for name in names}
    for position, step in enumerate(steps):
        order = sort_by_score(raw[:, position])
        ranked = _Ranked(labels[:, position], raw[:, position], row_weights).take(order)
        probability = _probability_metrics(labels[:, position], corrected[:, position], row_weights, options=options)
        whole[step] = StepMetrics(**_ranking_metrics(ranked, step=step, options=options), **probability)
        for name, rows in _split_by_segment(codes[order] if codes is not None else None, names):
            parts[name][step] = _segment_metrics(ranked.take(rows), step=step, options=options)
    violations = _order_violations(raw, row_weights, steps=steps)
    return Evaluated(rows=len(labels), steps=whole, segments=parts, order_violations=violations)


class _Ranked(NamedTuple):
    """Labels, scores and weights (None: all alike) of rows, [N] each, wanted in ascending order of the scores."""

    labels: np.ndarray
    scores: np.ndarray
    weights: np.ndarray | None

    def take(self, rows: np.ndarray) -> "_Ranked":
        """Some rows, in this order."""
        weights = None if self.weights is None else self.weights[rows]
        return _Ranked(self.labels[rows], self.scores[rows], weights)


def _segment_codes(segment: np.ndarray | None) -> tuple[np.ndarray | None, list[str]]:
    """Segments as small integers [N] and their names [S], in alphabetical order."""
    if segment is None:
        return None, []
    codes, names = pd.factorize(pd.Series(segment, dtype=object).fillna(NO_SEGMENT).astype(str), sort=True)
    # Sixteen bits let NumPy sort by radix, in one pass over the rows.
    return codes.astype(np.uint16 if len(names) < 2**16 else np.int64), [str(name) for name in names]


def _split_by_segment(codes: np.ndarray | None, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Each segment's rows, in the order in which they stand: what is sorted stays sorted."""
    if codes is None:
        return
    grouped = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(names)))
    yield from zip(names, np.split(grouped, ends[:-1]), strict=True)


def _ranking_metrics(ranked: _Ranked, *, step: str, options: Evaluation) -> dict[str, Any]:
    """Metrics of the order of rows."""
    ranks = count_ranks(*ranked)
    area = interval_of_ranks(ranks, confidence=options.confidence)
    precision = average_precision_of_ranks(ranks)
    return {"positives": ranks.rows[0], "average_precision": precision} | _area(area, ranks.rows, step=step)


def _probability_metrics(
    happened: np.ndarray, probabilities: np.ndarray, weights: np.ndarray | None, *, options: Evaluation
) -> dict[str, float | None]:
    """Metrics of the probabilities, in any order of rows."""
    if not len(happened):
        return dict.fromkeys(("log_loss", "calibration_error", "mean_predicted", "rate"))
    table = reliability(happened, probabilities, weights, bins=options.calibration_bins)
    return {
        "log_loss": mean_of(row_log_loss(happened, probabilities), weights),
        "calibration_error": expected_calibration_error(table),
        "mean_predicted": mean_of(probabilities, weights),
        "rate": mean_of(happened, weights),
    }


def _segment_metrics(ranked: _Ranked, *, step: str, options: Evaluation) -> SegmentMetrics:
    """AUC within one segment."""
    rows, positives = len(ranked.labels), int(ranked.labels.sum())
    if positives < options.min_segment_positives:
        note = (
            f"No AUC: {positives} positive{'' if positives == 1 else 's'} of '{step}', fewer than "
            f"evaluation.min_segment_positives ({options.min_segment_positives})."
        )
        return SegmentMetrics(rows=rows, positives=positives, auc=None, auc_low=None, auc_high=None, note=note)
    ranks = count_ranks(*ranked)
    area = interval_of_ranks(ranks, confidence=options.confidence)
    return SegmentMetrics(rows=rows, positives=positives, **_area(area, ranks.rows, step=step))


def _area(area: AUC, counts: tuple[int, int], *, step: str) -> dict[str, Any]:
    """An AUC under the names of the metrics, with a note where something is undefined."""
    return {"auc": area.value, "auc_low": area.low, "auc_high": area.high, "note": _note(area, counts, step=step)}


def _note(area: AUC, counts: tuple[int, int], *, step: str) -> str | None:
    """Why an AUC or its interval is undefined, as a sentence; None where both are there.

    Args:
        area: the AUC.
        counts: of positives and negatives.
        step: what is judged.
    """
    positives, rows = counts[0], sum(counts)
    if not rows:
        return "No AUC: there are no rows."
    if area.value is None:
        what = f"all {rows} rows are positives" if positives else f"none of the {rows} rows is a positive"
        return f"No AUC: {what} of '{step}'."
    if area.low is None:
        return f"No interval: there is a single {'positive' if positives == 1 else 'negative'} of '{step}'."
    return None


def _order_violations(raw: np.ndarray, weights: np.ndarray | None, *, steps: Sequence[str]) -> dict[str, float | None]:
    """Share of rows where a step is predicted above the step before it, which cannot be true, by the later step."""
    return {
        later: mean_of(raw[:, t] > raw[:, t - 1], weights) if len(raw) else None
        for t, later in enumerate(steps)
        if t > 0
    }
