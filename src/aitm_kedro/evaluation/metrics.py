"""Everything the project says about a model's predictions, from one sort a step."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from aitm_kedro.evaluation.auc import (
    AUC,
    average_precision_of_ranks,
    count_ranks,
    interval_of_ranks,
    sort_by_score,
)
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.evaluation.reliability import expected_calibration_error, reliability, row_log_loss

# N = rows, T = steps, S = segments

NO_SEGMENT = "(none)"
"""Name under which rows with a null segment are reported."""


def evaluate_predictions(
    labels: np.ndarray,
    raw: np.ndarray,
    corrected: np.ndarray,
    *,
    steps: Sequence[str],
    segment: np.ndarray | None,
    options: Evaluation,
) -> dict[str, Any]:
    """Judge predictions of every step, over all rows and within each segment.

    AUC and average precision are about what the model ranks by (``raw``); log loss, calibration error and mean
    prediction are about ``corrected``. What is undefined is None, with a sentence under "note".

    Args:
        labels: uint8 [N, T], end to end.
        raw: float [N, T], the model's output.
        corrected: float [N, T], probabilities.
        steps: the T names.
        segment: [N] names, or None.
        options: level of the intervals, bins, and positives that a segment needs.

    Returns:
        {"rows", "steps": {step: {...}}, "segments": {segment: {step: {...}}}, "order_violations": {"later>earlier":
        share of rows}}, ready for JSON.

    Raises:
        InputError: a prediction is NaN.
    """
    codes, names = _segment_codes(segment)
    whole: dict[str, Any] = {}
    parts: dict[str, dict[str, Any]] = {name: {} for name in names}
    for position, step in enumerate(steps):
        order = sort_by_score(raw[:, position])
        happened, scores = labels[order, position], raw[order, position]
        whole[step] = _ranking_metrics(happened, scores, step=step, options=options)
        whole[step] |= _probability_metrics(labels[:, position], corrected[:, position], options=options)
        for name, rows in _split_by_segment(codes[order] if codes is not None else None, names):
            parts[name][step] = _segment_metrics(happened[rows], scores[rows], step=step, options=options)
    violations = _order_violations(raw, steps=steps)
    return {"rows": len(labels), "steps": whole, "segments": parts, "order_violations": violations}


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


def _ranking_metrics(happened: np.ndarray, scores: np.ndarray, *, step: str, options: Evaluation) -> dict[str, Any]:
    """Metrics of the order of rows, which come in ascending order of their scores."""
    ranks = count_ranks(happened, scores)
    area = interval_of_ranks(ranks, confidence=options.confidence)
    result: dict[str, Any] = {"positives": int(ranks.positives.sum())}
    result |= _area(area) | {"average_precision": average_precision_of_ranks(ranks)}
    return result | _note(area, positives=result["positives"], rows=len(happened), step=step)


def _probability_metrics(happened: np.ndarray, probabilities: np.ndarray, *, options: Evaluation) -> dict[str, Any]:
    """Metrics of the probabilities, in any order of rows."""
    if not len(happened):
        return dict.fromkeys(("log_loss", "calibration_error", "mean_predicted", "rate"))
    table = reliability(happened, probabilities, bins=options.calibration_bins)
    return {
        "log_loss": float(row_log_loss(happened, probabilities).mean()),
        "calibration_error": expected_calibration_error(table),
        "mean_predicted": float(probabilities.mean(dtype=np.float64)),
        "rate": float(happened.mean(dtype=np.float64)),
    }


def _segment_metrics(happened: np.ndarray, scores: np.ndarray, *, step: str, options: Evaluation) -> dict[str, Any]:
    """AUC within one segment, whose rows come in ascending order of their scores."""
    positives = int(happened.sum())
    result: dict[str, Any] = {"rows": len(happened), "positives": positives}
    if positives < options.min_segment_positives:
        note = f"{positives} positives of '{step}', fewer than evaluation.min_segment_positives"
        return result | _area(AUC(None, None, None)) | {"note": f"No AUC: {note} ({options.min_segment_positives})."}
    area = interval_of_ranks(count_ranks(happened, scores), confidence=options.confidence)
    return result | _area(area) | _note(area, positives=positives, rows=len(happened), step=step)


def _area(area: AUC) -> dict[str, float | None]:
    """An AUC under the keys of the metrics."""
    return {"auc": area.value, "auc_low": area.low, "auc_high": area.high}


def _note(area: AUC, *, positives: int, rows: int, step: str) -> dict[str, str]:
    """Why an AUC or its interval is undefined, as a sentence; nothing where both are there."""
    if not rows:
        return {"note": "No AUC: there are no rows."}
    if area.value is None:
        what = f"all {rows} rows are positives" if positives else f"none of the {rows} rows is a positive"
        return {"note": f"No AUC: {what} of '{step}'."}
    if area.low is None:
        which = "positive" if positives == 1 else "negative"
        return {"note": f"No interval: there is a single {which} of '{step}'."}
    return {}


def _order_violations(raw: np.ndarray, *, steps: Sequence[str]) -> dict[str, float | None]:
    """Share of rows where a step is predicted above the step before it, which cannot be true."""
    pairs = zip(range(1, len(steps)), steps[1:], steps, strict=False)
    return {
        f"{later}>{earlier}": float((raw[:, t] > raw[:, t - 1]).mean()) if len(raw) else None
        for t, later, earlier in pairs
    }
