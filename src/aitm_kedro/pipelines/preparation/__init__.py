"""Impressions to encoded examples: label consistency, split, downsampling, vocabulary, ids."""

from aitm_kedro.pipelines.preparation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
