"""Wiring of the reporting stage."""

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


def create_pipeline(*, seed: int = 0) -> Pipeline:
    """Draw the figures of a run; those of the model explain ``aitm.seed{seed}``.

    Nodes that read from the model's namespace live in it, as Kedro's naming asks.
    """
    run = f"{MODEL}.seed{seed}"
    explained = [f"{run}.weights", "test_examples@arrow", f"{run}.predictions", "params:funnel", "params:reporting"]
    judged = ["test_examples@arrow", f"{run}.predictions", "params:funnel", "params:evaluation"]
    of_model = [
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
    ]
    reports = ["ingestion_report", "label_report", "sampling_report", "dataset_statistics", "params:funnel"]
    drawn = [
        Node(draw_funnel, reports, "funnel_figure", name="draw_funnel"),
        Node(draw_tsne, ["tsne_points", "params:funnel", "params:reporting"], "tsne", name="draw_tsne"),
        Node(
            draw_transfer_weights,
            ["transfer_weights_table", "params:funnel"],
            "transfer_weights",
            name="draw_transfer_weights",
        ),
        Node(draw_calibration, ["calibration_table", "params:funnel"], "calibration", name="draw_calibration"),
    ]
    return Pipeline([*of_model, *drawn], tags="reporting")
