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
from aitm_kedro.core.funnel import IMPRESSION_ID
from aitm_kedro.core.provenance import PROVENANCE, Provenance
from aitm_kedro.learning.parameters import Training
from aitm_kedro.tables.sentences import counted

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
    bundle = choose_bundle(dict(zip(keys, bundles, strict=True)), scoring)
    _check_audience(audience, raw_id=bundle.manifest.rename.get(IMPRESSION_ID, IMPRESSION_ID))
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


def _check_audience(audience: ir.Table, *, raw_id: str) -> None:
    """Say so if there is nothing to score, or if scores cannot be told apart by their ids."""
    name = next((name for name in (IMPRESSION_ID, raw_id) if name in audience.columns), None)
    counts = {"rows": audience.count()}
    if name is not None:
        counts |= {"known": audience[name].count(), "distinct": audience[name].nunique()}
    found = audience.aggregate(**counts).to_pyarrow().to_pylist()[0]
    rows = found["rows"]
    if not rows:
        logger.warning("The audience has no rows, so there are no scores; check its entry in the catalog.")
    elif name is None:
        logger.warning(
            "The audience has no column '%s', so its scores can be told apart by their order alone.", IMPRESSION_ID
        )
    elif found["distinct"] < rows:
        logger.warning(
            "Among the %s of the audience, '%s' is null in %s, and the others have %s: scores of a row cannot be found "
            "by its id alone.",
            counted(rows, "row"),
            name,
            f"{rows - found['known']:,}",
            counted(found["distinct"], "different value"),
        )


def describe_maker(bundle: Bundle) -> dict[str, str]:
    """What scores say of the bundle that made them: ``bundle`` and ``provenance``, as JSON."""
    manifest = bundle.manifest
    made = {"run": manifest.run, "seed": manifest.seed, "fingerprint": bundle.fingerprint()}
    scored = Provenance.now(data=manifest.trained.data | {"weights": manifest.weights}, parameters={})
    return {BUNDLE: json.dumps(made), PROVENANCE: scored.model_dump_json()}
