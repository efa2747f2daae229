"""The results of one model and seed as numbers in rows: what a comparison is made of."""

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pandas as pd

ORIGIN = ("data", "test_rows", "judged", "settings")
"""Columns that are the same in all rows: fingerprints of the rows learnt from and tested on, the moment of the
judgement, and what the model was trained with, as JSON."""

SCORES = ("model", "seed", "segment", "step", "metric", "value", *ORIGIN)
"""Columns: what a number is about (seed, segment and step may be null), the number, and where it comes from."""

FACTS = ("parameters", "epochs", "best_epoch", "seconds_per_epoch", "seconds")
"""Metrics of the training, which belong to no step."""


def tidy_scores(metrics: Mapping[str, Any], history: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Lay out metrics and training of one model and seed, one number a row.

    Args:
        metrics: model, seed (or None), steps, segments, order_violations, rows, test_rows and judged.
        history: of its training; None where nothing was trained.

    Returns:
        Columns ``SCORES``: seed Int64, value float64 (null where undefined), the rest text. The share of rows where a
        step is predicted above the one before it is the later step's ``order_violations``.
    """
    told = history or {}
    rows = [*_of_steps(metrics), *_of_segments(metrics)]
    rows += [(None, None, name, told[name]) for name in FACTS if name in told]
    if "rows" in metrics:
        rows.append((None, None, "rows", metrics["rows"]))
    table = pd.DataFrame(rows, columns=["segment", "step", "metric", "value"]).astype({"value": "float64"})
    table["model"] = metrics["model"]
    table["seed"] = pd.Series([metrics.get("seed")] * len(table), dtype="Int64")
    table["data"] = told.get("data")
    table["test_rows"], table["judged"] = metrics.get("test_rows"), metrics.get("judged")
    table["settings"] = json.dumps(told["settings"], sort_keys=True) if "settings" in told else None
    return table[list(SCORES)]


Row = tuple[str | None, str | None, str, float | None]


def _of_steps(metrics: Mapping[str, Any]) -> Iterator[Row]:
    for step, values in metrics["steps"].items():
        yield from ((None, step, metric, value) for metric, value in values.items() if metric != "note")
    violations = metrics.get("order_violations", {})
    for earlier, later in pairwise(metrics["steps"]):
        if f"{later}>{earlier}" in violations:
            yield None, later, "order_violations", violations[f"{later}>{earlier}"]


def _of_segments(metrics: Mapping[str, Any]) -> Iterator[Row]:
    for segment, steps in metrics.get("segments", {}).items():
        for step, values in steps.items():
            yield from ((segment, step, metric, value) for metric, value in values.items() if metric != "note")
