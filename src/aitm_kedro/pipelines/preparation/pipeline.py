"""Wiring of the preparation stage: label consistency, split, downsampling, vocabulary, encoding."""

from kedro.pipeline import Pipeline, node

from aitm_kedro.pipelines.preparation.nodes import (
    build_vocabulary,
    check_labels,
    check_published,
    describe_dataset,
    describe_features,
    downsample_negatives,
    encode_impressions,
    split_impressions,
)


def create_pipeline() -> Pipeline:
    """Impressions to encoded examples."""
    encoded = [
        node(
            encode_impressions,
            inputs=[source, "vocabulary@table", "params:funnel", "params:features"],
            outputs=f"{split}_examples@table",
            name=f"encode_{split}",
        )
        for split, source in (("train", "train_sample"), ("valid", "valid_sample"), ("test", "test_impressions"))
    ]
    return Pipeline(
        [
            node(
                check_labels,
                inputs=["impressions", "params:funnel", "params:labels"],
                outputs=["legal_impressions", "illegal_impressions", "label_report"],
                name="check_labels",
            ),
            node(
                check_published,
                inputs=["impressions", "params:funnel", "params:features", "params:split", "params:published"],
                outputs="counts_report",
                name="check_published",
            ),
            node(
                split_impressions,
                inputs=["legal_impressions", "params:split"],
                outputs=["train_impressions", "valid_impressions", "test_impressions"],
                name="split_impressions",
            ),
            node(
                downsample_negatives,
                inputs=["train_impressions", "valid_impressions", "params:funnel", "params:sampling"],
                outputs=["train_sample", "valid_sample", "sampling_report"],
                name="downsample_negatives",
            ),
            node(
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
            node(
                describe_features,
                inputs=["train_sample", "vocabulary@table", "params:features"],
                outputs="feature_specs",
                name="describe_features",
            ),
            *encoded,
            node(
                describe_dataset,
                inputs=[
                    "train_examples@table",
                    "valid_examples@table",
                    "test_examples@table",
                    "vocabulary@table",
                    "params:funnel",
                ],
                outputs="dataset_statistics",
                name="describe_dataset",
            ),
        ],
        tags="preparation",
    )
