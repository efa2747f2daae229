"""Raw log to impressions: types, deduplication, attribution, maturity."""

from aitm_kedro.pipelines.ingestion.pipeline import create_pipeline

__all__ = ["create_pipeline"]
