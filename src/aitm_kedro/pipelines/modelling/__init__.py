"""Modelling: every run trained, used on the test split, judged, and packed into a bundle; the truth judged beside."""

from aitm_kedro.pipelines.modelling.pipeline import create_pipeline, create_rolling_pipeline

__all__ = ["create_pipeline", "create_rolling_pipeline"]
