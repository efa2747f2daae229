"""Nodes of the comparison."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from aitm_kedro.evaluation import comparison as scoreboard
from aitm_kedro.parameters import Evaluation, Funnel


def tidy_metrics(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Lay out one model's metrics, one number a row."""
    return scoreboard.tidy_metrics(metrics)


def compare_models(*scores: pd.DataFrame) -> pd.DataFrame:
    """Put the metrics of all models into one tidy table: model, seed, step, metric, value."""
    return scoreboard.gather(scores)


def tabulate_comparison(comparison: pd.DataFrame, funnel: Funnel, evaluation: Evaluation) -> str:
    """Write the comparison as Markdown."""
    positives = comparison[comparison["metric"] == "positives"].drop_duplicates("step").set_index("step")["value"]
    counted = ", ".join(f"{int(positives[step]):,} of {step}" for step in funnel.steps if step in positives)
    return scoreboard.tabulate(
        comparison,
        steps=funnel.steps,
        main_steps=funnel.main_steps,
        confidence=evaluation.confidence,
        tested_on=f"the test split (positives: {counted})",
    )
