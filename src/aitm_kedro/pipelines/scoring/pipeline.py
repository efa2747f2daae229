"""Wiring of scoring."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from aitm_kedro.config.runs import Run
from aitm_kedro.pipelines.binding import bind
from aitm_kedro.pipelines.naming import leaving
from aitm_kedro.pipelines.scoring.nodes import score_audience


def create_pipeline(runs: Sequence[tuple[Run, int]]) -> Pipeline:
    """Score the audience with one of these runs.

    Args:
        runs: with a seed each; those that were not trained are passed over.
    """
    keys = [(run.name, seed) for run, seed in runs]
    bundles = [leaving(name, seed, "bundle") for name, seed in keys]
    node = Node(
        bind(score_audience, keys=keys),
        ["audience", "params:scoring", "params:training", *bundles],
        "audience_scores",
        name="score_audience",
    )
    return Pipeline([node], tags="scoring")
