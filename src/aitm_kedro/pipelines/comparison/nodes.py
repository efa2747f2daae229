"""Nodes of the comparison."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from aitm_kedro import figures
from aitm_kedro.comparison import markdown as scoreboard
from aitm_kedro.comparison import summary as board
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.published import Published
from aitm_kedro.evaluation.parameters import Evaluation

logger = logging.getLogger(__name__)


def compare_models(
    *scores: pd.DataFrame | None, runs: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Put the numbers of all models together.

    Args:
        *scores: of each of the runs, None where it has none.
        runs: their names.

    Returns:
        The tidy table (model, seed, step, metric, value), the same by segment, and what is to be known of them: how
        the models were trained, and what is missing.
    """
    gathered = board.gather(dict(zip(runs, scores, strict=True)))
    for note in gathered.notes:
        logger.warning(note)
    return gathered.comparison, gathered.segments, {"settings": gathered.settings, "notes": gathered.notes}


def summarise_models(
    comparison: pd.DataFrame, funnel: Funnel, *placements: pd.DataFrame | None, runs: Sequence[str]
) -> pd.DataFrame:
    """Means over seeds, gains, and paired tests, one row a model and step."""
    return board.summarise(comparison, dict(zip(runs, placements, strict=True)), steps=funnel.steps)


def tabulate_comparison(
    summary: pd.DataFrame,
    comparison: pd.DataFrame,
    notes: Mapping[str, Any],
    counts_report: Mapping[str, Any],
    funnel: Funnel,
    evaluation: Evaluation,
    published: Published,
) -> str:
    """Write the comparison as Markdown: the paper's Table 2, and what others report for a published data set."""
    return scoreboard.tabulate(
        summary,
        comparison,
        steps=funnel.steps,
        main_steps=funnel.main_steps,
        confidence=evaluation.confidence,
        tested_on=scoreboard.describe_test(comparison, steps=funnel.steps),
        settings=notes["settings"],
        notes=notes["notes"],
        published=published,
        verdict=str(counts_report.get("verdict", "not checked")),
    )


def draw_comparison(summary: pd.DataFrame, comparison: pd.DataFrame, funnel: Funnel) -> Figure:
    """Draw the AUC of every model on the main steps."""
    steps = [step for step in funnel.steps if step in funnel.main_steps]
    return figures.draw_comparison(summary, comparison, steps=steps)


def draw_segments(segment_comparison: pd.DataFrame, funnel: Funnel, evaluation: Evaluation) -> Figure:
    """Draw the AUC of every model within each segment as a heat map."""
    steps = [step for step in funnel.steps if step in funnel.main_steps]
    return figures.draw_segments(
        segment_comparison, steps=steps, segment=funnel.segment, min_positives=evaluation.min_segment_positives
    )
