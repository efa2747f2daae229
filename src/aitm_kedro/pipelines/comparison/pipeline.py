"""Wiring of the comparison."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from aitm_kedro.pipelines.binding import bind
from aitm_kedro.pipelines.comparison.nodes import (
    compare_models,
    draw_comparison,
    draw_segments,
    summarise_models,
    tabulate_comparison,
)


def create_pipeline(*, models: Sequence[str], seeds: Sequence[int]) -> Pipeline:
    """Compare every model and seed with each other, with the yardstick and the truth.

    Results that are not there are named in the table; the rest is compared.
    """
    runs = [f"{model}.seed{seed}" for model in models for seed in seeds] + ["logistic.seed0"]
    judged = [*runs, "oracle"]
    return Pipeline(
        [
            Node(
                bind(compare_models, runs=judged),
                [_dataset(run, "scores") for run in judged],
                ["comparison", "segment_comparison", "comparison_notes"],
                name="compare_models",
            ),
            Node(
                bind(summarise_models, runs=runs),
                ["comparison", "params:funnel", *(_dataset(run, "placements") for run in runs)],
                "comparison_summary",
                name="summarise_models",
            ),
            Node(
                tabulate_comparison,
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
                draw_comparison,
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


def _dataset(run: str, what: str) -> str:
    """Kedro keeps the dot for namespaces, so what a namespace hands on has a name without one."""
    return f"{run.replace('.', '_')}_{what}"
