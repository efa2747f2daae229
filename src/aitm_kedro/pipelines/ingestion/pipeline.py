"""Wiring of the ingestion stage, which is one node."""

from kedro.pipeline import Pipeline, node

from aitm_kedro.pipelines.ingestion.nodes import ingest_impressions


def create_pipeline() -> Pipeline:
    """Raw log to impressions."""
    return Pipeline(
        [
            node(
                ingest_impressions,
                inputs=[
                    "raw_impressions",
                    "source_report",
                    "params:funnel",
                    "params:features",
                    "params:split",
                    "params:ingestion",
                ],
                outputs=["impressions", "oracle@table", "ingestion_report"],
                name="ingest_impressions",
            )
        ],
        tags="ingestion",
    )
