"""Impressions to encoded examples: legality, split, sampling, vocabulary, ids."""

from aitm_kedro.pipelines.preparation.pipeline import create_pipeline

__all__ = ["create_pipeline"]
