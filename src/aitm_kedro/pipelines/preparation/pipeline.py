"""Wiring of the preparation stage: label consistency, split, downsampling, vocabulary, encoding."""

from kedro.pipeline import Node, Pipeline

from aitm_kedro.pipelines.preparation.nodes import (
    build_vocabulary,
    check_features,
    check_labels,
    check_published,
    describe_dataset,
    describe_features,
    downsample_negatives,
    encode_impressions,
    measure_drift,
    split_impressions,
)

EXAMPLES = ["train_examples@table", "valid_examples@table", "test_examples@table"]


def create_pipeline() -> Pipeline:
    """Impressions to encoded examples."""
    return Pipeline(
        [*_choose_rows(), *_learn_features(), *_encode(), *_choose_features(), *_describe()], tags="preparation"
    )


def _choose_rows() -> list[Node]:
    """Which impressions go into train, validation and test."""
    return [
        Node(
            check_labels,
            inputs=["impressions", "params:funnel", "params:labels"],
            outputs=["legal_impressions", "illegal_impressions", "label_report"],
            name="check_labels",
        ),
        Node(
            split_impressions,
            inputs=["legal_impressions", "label_report", "params:funnel", "params:split"],
            outputs=["train_impressions", "valid_impressions", "test_impressions"],
            name="split_impressions",
        ),
        Node(
            downsample_negatives,
            inputs=["train_impressions", "valid_impressions", "label_report", "params:funnel", "params:sampling"],
            outputs=["train_sample", "valid_sample", "sampling_report"],
            name="downsample_negatives",
        ),
    ]


def _learn_features() -> list[Node]:
    """What is known of each feature, learnt from train."""
    return [
        Node(
            build_vocabulary,
            inputs=[
                "train_sample",
                "train_impressions",
                "valid_impressions",
                "params:funnel",
                "params:features",
                "params:vocabulary",
            ],
            outputs="vocabulary@table",
            name="build_vocabulary",
        ),
        Node(
            describe_features,
            inputs=["train_sample", "vocabulary@table", "params:features"],
            outputs="feature_specs",
            name="describe_features",
        ),
    ]


def _encode() -> list[Node]:
    """The chosen rows as models take them."""
    sources = {"train": "train_sample", "valid": "valid_sample", "test": "test_impressions"}
    return [
        Node(
            encode_impressions,
            inputs=[source, "vocabulary@table", "params:funnel", "params:features"],
            outputs=f"{split}_examples@table",
            name=f"encode_{split}",
        )
        for split, source in sources.items()
    ]


def _choose_features() -> list[Node]:
    """Which features models are trained on."""
    return [
        Node(
            check_features,
            inputs=[
                "train_examples@arrays",
                "valid_examples@arrays",
                "feature_specs",
                "params:funnel",
                "params:split",
                "params:validation",
                "params:feature_check",
            ],
            outputs="feature_check",
            name="check_features",
        ),
    ]


def _describe() -> list[Node]:
    """What people read of the data, with warnings of what cannot work."""
    return [
        Node(
            check_published,
            inputs=["impressions", "params:funnel", "params:features", "params:split", "params:published"],
            outputs="counts_report",
            name="check_published",
        ),
        Node(
            measure_drift,
            inputs=[*EXAMPLES, "sampling_report", "feature_specs", "params:funnel"],
            outputs="drift_report",
            name="measure_drift",
        ),
        Node(
            describe_dataset,
            inputs=[*EXAMPLES, "vocabulary@table", "params:funnel"],
            outputs="dataset_statistics",
            name="describe_dataset",
        ),
    ]
