"""Scoring: probabilities of every step for the rows of ``audience``, by the bundle of a run."""

from aitm_kedro.pipelines.scoring.pipeline import create_pipeline

__all__ = ["create_pipeline"]
