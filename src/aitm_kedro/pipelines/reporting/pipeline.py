"""Wiring of the reporting stage."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

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

MODEL = "aitm"


def create_pipeline(*, models: Sequence[str] = (MODEL,), seed: int = 0) -> Pipeline:
    """Draw the figures of a run; those that look into AITM explain ``aitm.seed{seed}``.

    Args:
        models: that are trained; without AITM among them there is nothing to look into.
        seed: of the one that is explained.
    """
    reports = ["ingestion_report", "label_report", "sampling_report", "dataset_statistics", "params:funnel"]
    nodes = [Node(draw_funnel, reports, "funnel_figure", name="draw_funnel")]
    if MODEL in models:
        nodes += _explanations(f"{MODEL}.seed{seed}")
    return Pipeline(nodes, tags="reporting")


def _explanations(run: str) -> list[Node]:
    """Figures of one run of AITM. Nodes that read from its namespace live in it, as Kedro's naming asks."""
    explained = [f"{run}.weights", "test_examples@arrays", f"{run}.predictions", "params:funnel", "params:reporting"]
    judged = ["test_examples@arrays", f"{run}.predictions", "params:funnel", "params:evaluation"]
    return [
        Node(
            draw_learning_curves,
            [f"{run}.history", "params:funnel"],
            "learning_curves",
            name="draw_learning_curves",
            namespace=MODEL,
        ),
        Node(project_representations, explained, "tsne_points", name="project_representations", namespace=MODEL),
        Node(weigh_transfer, explained, "transfer_weights_table", name="weigh_transfer", namespace=MODEL),
        Node(measure_reliability, judged, "calibration_table", name="measure_reliability", namespace=MODEL),
        Node(draw_tsne, ["tsne_points", "params:funnel", "params:reporting"], "tsne", name="draw_tsne"),
        Node(
            draw_transfer_weights,
            ["transfer_weights_table", "params:funnel"],
            "transfer_weights",
            name="draw_transfer_weights",
        ),
        Node(draw_calibration, ["calibration_table", "params:funnel"], "calibration", name="draw_calibration"),
    ]
