"""Wiring of the comparison."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from aitm_kedro.config.runs import Run, Runs
from aitm_kedro.evaluation.results import ORACLE
from aitm_kedro.pipelines.binding import bind, bind_runs
from aitm_kedro.pipelines.comparison.nodes import (
    compare_runs,
    draw_comparison,
    draw_segments,
    summarise_runs,
    tabulate_comparison,
)
from aitm_kedro.pipelines.naming import leaving


def create_pipeline(runs: Runs, chosen: Sequence[tuple[Run, int]], *, environment: str | None = None) -> Pipeline:
    """Compare runs and seeds with each other, and with the truth.

    Results that are not there are named in the table; the rest is compared.

    Args:
        runs: all of the configuration, of which one is the reference.
        chosen: those that are compared, with a seed each.
        environment: of the commands in the notes; None: base alone.
    """
    keys: list[tuple[str, int | None]] = [(run.name, seed) for run, seed in chosen]
    names = list(dict.fromkeys(name for name, _ in keys))
    judged = [*keys, (ORACLE, None)]
    once = {(run.name, seed) for run, seed in runs.keys("full")}
    pipelines = {key: "modelling" if key in once or key[1] is None else "benchmark" for key in judged}
    options = {run.name: run for run, _ in chosen}
    roles = {"reference": runs.reference, "subject": runs.explain}
    return Pipeline(
        [
            Node(
                bind_runs(
                    compare_runs,
                    judged,
                    reference=runs.reference,
                    pipelines=pipelines,
                    runs=options,
                    environment=environment,
                ),
                [
                    *(f"{split}_examples@fingerprint" for split in ("train", "valid", "test")),
                    "feature_check",
                    "params:funnel",
                    "params:validation",
                    "params:training",
                    *(leaving(name, None, "results@metrics") for name in names),
                    leaving(ORACLE, None, "metrics"),
                ],
                ["comparison", "segment_comparison", "comparison_notes"],
                name="compare_runs",
            ),
            Node(
                bind_runs(summarise_runs, keys, **roles),
                [
                    "comparison",
                    "comparison_notes",
                    "params:funnel",
                    *(leaving(name, None, "results@placements") for name in names),
                ],
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
