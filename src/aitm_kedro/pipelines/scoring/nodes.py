"""Nodes of scoring."""

import json
import logging
from collections.abc import Sequence

import ibis.expr.types as ir
import pyarrow as pa

from aitm_kedro.artifacts.bundle import Bundle
from aitm_kedro.artifacts.parameters import Scoring
from aitm_kedro.artifacts.predictor import Predictor
from aitm_kedro.artifacts.selection import Key, choose_bundle
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.provenance import PROVENANCE, Provenance
from aitm_kedro.learning.parameters import Training

logger = logging.getLogger(__name__)

BUNDLE = "bundle"
"""Under this name the metadata of the scores' schema say which bundle made them: run, seed and fingerprint."""


def score_audience(
    audience: ir.Table, scoring: Scoring, training: Training, *bundles: Bundle | None, keys: Sequence[Key]
) -> pa.RecordBatchReader:
    """Probabilities of every step for every row, batch after batch as they are saved.

    The metadata of their schema, which Parquet keeps, are JSON: ``bundle`` says which one made them, and ``provenance``
    what its model was trained on (``pyarrow.parquet.read_schema(path).metadata``).

    Args:
        audience: raw rows; labels are not needed.
        scoring: which run.
        training: device and threads.
        *bundles: of the runs, None where a run was not trained.
        keys: run and seed of each bundle.

    Raises:
        InputError: no bundle is there that was asked for, or the audience lacks a column of it. What is wrong with
            values shows when their batch is read.
    """
    if not isinstance(audience, ir.Table):
        raise InputError(
            f"audience is loaded as {type(audience).__name__}, but scoring reads Ibis tables; in the catalog, give it "
            "the type 'aitm_kedro.datasets.Table' (or ibis.FileDataset)"
        )
    if not audience.limit(1).count().to_pyarrow().as_py():
        logger.warning("The audience has no rows, so there are no scores; check its entry in the catalog.")
    bundle = choose_bundle(dict(zip(keys, bundles, strict=True)), scoring)
    bundle.trained.place(device=training.device, threads=training.threads)
    manifest = bundle.manifest
    logger.info(
        "Scoring with '%s', seed %d, bundle %s (mean validation AUC of the main steps %s)",
        manifest.run,
        manifest.seed,
        bundle.fingerprint(),
        "undefined" if manifest.validation_score is None else f"{manifest.validation_score:.4f}",
    )
    scores = Predictor(bundle, threads=training.threads).stream(audience)
    return pa.RecordBatchReader.from_batches(scores.schema.with_metadata(describe_maker(bundle)), scores)


def describe_maker(bundle: Bundle) -> dict[str, str]:
    """What scores say of the bundle that made them: ``bundle`` and ``provenance``, as JSON."""
    manifest = bundle.manifest
    made = {"run": manifest.run, "seed": manifest.seed, "fingerprint": bundle.fingerprint()}
    scored = Provenance.now(data=manifest.trained.data | {"weights": manifest.weights}, parameters={})
    return {BUNDLE: json.dumps(made), PROVENANCE: scored.model_dump_json()}
