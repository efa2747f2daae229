"""Reporting: the figures of a run."""

from aitm_kedro.pipelines.reporting.pipeline import create_pipeline

__all__ = ["create_pipeline"]
