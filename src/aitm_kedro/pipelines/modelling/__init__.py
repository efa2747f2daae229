"""Modelling: every model trained, run on the test split, and judged; the yardstick and the truth beside them."""

from aitm_kedro.pipelines.modelling.pipeline import create_pipeline

__all__ = ["create_pipeline"]
