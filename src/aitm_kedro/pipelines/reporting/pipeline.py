"""Wiring of the reporting stage."""

from kedro.pipeline import Node, Pipeline

from aitm_kedro.config.runs import Run, Runs
from aitm_kedro.core.namespaces import namespace_of
from aitm_kedro.pipelines.binding import bind
from aitm_kedro.pipelines.reporting.nodes import (
    draw_calibration,
    draw_funnel,
    draw_learning_curves,
    draw_transfer_weights,
    draw_tsne,
    measure_reliability,
    project_representations,
    weigh_transfer,
)


def create_pipeline(runs: Runs) -> Pipeline:
    """Draw the figures: of the data, and of the run that is explained (parameter ``explain``), with its first seed."""
    reports = ["ingestion_report", "label_report", "sampling_report", "dataset_statistics", "params:funnel"]
    nodes = [Node(draw_funnel, reports, "funnel_figure", name="draw_funnel")]
    if runs.explain is not None:
        run = runs.find(runs.explain)
        seed = runs.seeds_of(run, "full")[0]
        nodes += _training_and_probabilities(run, seed)
        if run.is_inspectable:
            nodes += _inside(run, seed)
    return Pipeline(nodes, tags="reporting")


def _training_and_probabilities(run: Run, seed: int) -> list[Node]:
    """Figures of a run of any model. Nodes that read from its namespace live in it, as Kedro's naming asks."""
    name = namespace_of(run.name, seed)
    judged = ["test_examples@arrays", f"{name}.predictions", "params:funnel", "params:evaluation"]
    return [
        Node(
            bind(draw_learning_curves, name=name),
            [f"{name}.history", "feature_specs", "params:funnel"],
            "learning_curves",
            name="draw_learning_curves",
            namespace=run.name,
        ),
        Node(
            bind(measure_reliability, name=name),
            judged,
            "calibration_table",
            name="measure_reliability",
            namespace=run.name,
        ),
        Node(
            bind(draw_calibration, run=run.name),
            ["calibration_table", "params:funnel"],
            "calibration",
            name="draw_calibration",
        ),
    ]


def _inside(run: Run, seed: int) -> list[Node]:
    """Figures of what a network computes on its way."""
    name = namespace_of(run.name, seed)
    explained = [f"{name}.weights", "test_examples@arrays", f"{name}.predictions", "params:funnel", "params:reporting"]
    return [
        Node(
            bind(project_representations, name=name),
            explained,
            "tsne_points",
            name="project_representations",
            namespace=run.name,
        ),
        Node(
            bind(weigh_transfer, name=name),
            explained,
            "transfer_weights_table",
            name="weigh_transfer",
            namespace=run.name,
        ),
        Node(
            bind(draw_tsne, run=run.name),
            ["tsne_points", "params:funnel", "params:reporting"],
            "tsne",
            name="draw_tsne",
        ),
        Node(
            bind(draw_transfer_weights, run=run.name),
            ["transfer_weights_table", "params:funnel"],
            "transfer_weights",
            name="draw_transfer_weights",
        ),
    ]
