"""Comparison: all models side by side."""

from aitm_kedro.pipelines.comparison.pipeline import create_pipeline

__all__ = ["create_pipeline"]
