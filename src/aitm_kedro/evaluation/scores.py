"""The results of one model and seed as numbers in rows: what a comparison is made of."""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

SCORES = ("model", "seed", "segment", "step", "metric", "value", "data", "test_rows")
"""Columns: what a number is about (seed, segment and step may be null), the number, and the rows it comes from."""

_FACTS = ("parameters", "epochs", "best_epoch", "seconds_per_epoch", "seconds")
_SETTINGS = ("batch_size", "learning_rate", "l2", "max_epochs", "patience")


def tidy_scores(metrics: Mapping[str, Any], history: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Lay out metrics and training of one model and seed, one number a row.

    Args:
        metrics: model, seed (or None), steps, segments, order_violations, rows and test_rows.
        history: of its training; None where nothing was trained.

    Returns:
        Columns ``SCORES``: seed Int64, value float64 (null where undefined), the rest text. The share of rows where a
        step is predicted above the one before it is the later step's ``order_violations``. Facts of the training
        belong to no step.
    """
    rows = [*_of_steps(metrics), *_of_segments(metrics), *_of_training(history or {})]
    if "rows" in metrics:
        rows.append((None, None, "rows", metrics["rows"]))
    table = pd.DataFrame(rows, columns=["segment", "step", "metric", "value"]).astype({"value": "float64"})
    table["model"] = metrics["model"]
    table["seed"] = pd.Series([metrics.get("seed")] * len(table), dtype="Int64")
    table["data"] = (history or {}).get("data")
    table["test_rows"] = metrics.get("test_rows")
    return table[list(SCORES)]


Row = tuple[str | None, str | None, str, float | None]


def _of_steps(metrics: Mapping[str, Any]) -> Iterator[Row]:
    for step, values in metrics["steps"].items():
        yield from ((None, step, metric, value) for metric, value in values.items() if metric != "note")
    for pair, share in metrics.get("order_violations", {}).items():
        yield None, pair.split(">")[0], "order_violations", share


def _of_segments(metrics: Mapping[str, Any]) -> Iterator[Row]:
    for segment, steps in metrics.get("segments", {}).items():
        for step, values in steps.items():
            yield from ((segment, step, metric, value) for metric, value in values.items() if metric != "note")


def _of_training(history: Mapping[str, Any]) -> Iterator[Row]:
    """Facts of the training, and the settings by which one can see whether the comparison is fair."""
    yield from ((None, None, name, history[name]) for name in _FACTS if name in history)
    given = history.get("parameters_used", {})
    training, options = given.get("training", {}), given.get(history.get("model"), {})
    yield from ((None, None, name, training[name]) for name in _SETTINGS if name in training)
    if "embedding_dim" in options:
        yield None, None, "embedding_dim", options["embedding_dim"]
