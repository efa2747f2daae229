"""Wiring of the comparison."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from aitm_kedro.config.runs import Run, Runs
from aitm_kedro.evaluation.results import ORACLE
from aitm_kedro.pipelines.binding import bind
from aitm_kedro.pipelines.comparison.nodes import (
    compare_runs,
    draw_comparison,
    draw_segments,
    summarise_runs,
    tabulate_comparison,
)
from aitm_kedro.pipelines.naming import leaving


def create_pipeline(runs: Runs, chosen: Sequence[tuple[Run, int]]) -> Pipeline:
    """Compare runs and seeds with each other, and with the truth.

    Results that are not there are named in the table; the rest is compared.

    Args:
        runs: all of the configuration, of which one is the reference.
        chosen: those that are compared, with a seed each.
    """
    keys: list[tuple[str, int | None]] = [(run.name, seed) for run, seed in chosen]
    judged = [*keys, (ORACLE, None)]
    roles = {"reference": runs.reference, "subject": runs.explain}
    return Pipeline(
        [
            Node(
                bind(compare_runs, keys=judged),
                [leaving(*key, "metrics") for key in judged],
                ["comparison", "segment_comparison", "comparison_notes"],
                name="compare_runs",
            ),
            Node(
                bind(summarise_runs, keys=keys, **roles),
                ["comparison", "params:funnel", *(leaving(*key, "placements") for key in keys)],
                "comparison_summary",
                name="summarise_runs",
            ),
            Node(
                bind(tabulate_comparison, **roles),
                [
                    "comparison_summary",
                    "comparison",
                    "comparison_notes",
                    "counts_report",
                    "params:funnel",
                    "params:evaluation",
                    "params:published",
                ],
                "comparison_table",
                name="tabulate_comparison",
            ),
            Node(
                bind(draw_comparison, **roles),
                ["comparison_summary", "comparison", "params:funnel"],
                "comparison_figure",
                name="draw_comparison",
            ),
            Node(
                draw_segments,
                ["segment_comparison", "params:funnel", "params:evaluation"],
                "segment_figure",
                name="draw_segments",
            ),
        ],
        tags="comparison",
    )
