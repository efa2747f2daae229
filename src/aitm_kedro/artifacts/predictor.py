"""The predictor: raw rows in, probabilities of every step out, by the same code that encoded the training rows."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from aitm_kedro.artifacts.bundle import Bundle, load_bundle
from aitm_kedro.artifacts.correction import correct, row_keep_rates
from aitm_kedro.artifacts.rows import Needs, as_batches, prepare
from aitm_kedro.core.example_store import examples_of
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import IMPRESSION_ID, SEGMENT
from aitm_kedro.core.progress import Progress
from aitm_kedro.tables.encoding import encode_rows
from aitm_kedro.tables.sampling import segment_of

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 131_072

ROW = "_row"
"""Position of a row, by which the answer stands in the order of the question."""

Rows = pd.DataFrame | pa.Table | ir.Table | Sequence[Mapping[str, Any]]


class Predictor:
    """Predicts with a bundle; ``load`` and ``predict`` are all that is needed.

    Example:
        ```python
        from aitm_kedro.artifacts.predictor import Predictor

        predictor = Predictor.load("data/06_models/base/aitm/seed0/bundle")
        predictor.predict([{"city": "city7", "age_band": "25-34", ...}])
        ```
    """

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        self.manifest = manifest
        self.steps = manifest.funnel.steps
        self._trained = bundle.trained
        specs = bundle.trained.spec.features
        self._needs = Needs.of(manifest, specs)
        self._features = _offered(manifest.features, {spec.name for spec in specs})
        self._engine = ibis.duckdb.connect()
        self._vocabulary = self._engine.create_table("vocabulary", bundle.vocabulary)

    @classmethod
    def load(cls, path: Path | str, *, device: str = "auto", threads: int | None = None) -> Self:
        """Open a bundle; nothing else of the project is needed.

        Args:
            path: the folder of the bundle, or that of its versions, of which the newest is taken.
            device: where networks predict: auto, cpu, cuda or mps.
            threads: CPU threads of networks; None: as torch does by itself.

        Raises:
            InputError: the bundle is missing, damaged, or of a format that is not known here.
        """
        predictor = cls(load_bundle(path))
        predictor._trained.place(device=device, threads=threads)
        return predictor

    def predict(self, rows: Rows) -> pd.DataFrame:
        """Probabilities of every step, end to end from the impression, corrected for the downsampling of train.

        Args:
            rows: raw rows, as a data frame, an Arrow or Ibis table, or a list of dictionaries. Columns may stand in any
                order; labels are not needed; values may be null, and values that train has not seen are taken as rare.

        Returns:
            One row for each, in their order: impression_id where there is one, then a float32 column for each step.

        Raises:
            InputError: a column is missing, of a wrong type, or holds an impossible value.
        """
        source = as_batches(rows, needs=self._needs, rows_at_once=ROWS_AT_ONCE)
        answers = [self._predict_batch(batch) for batch in source]
        if not answers:
            return self._schema(source.schema).empty_table().to_pandas()
        return pa.Table.from_batches(answers).to_pandas()

    def stream(self, rows: ir.Table) -> pa.RecordBatchReader:
        """The same for a table of any size: batches in, batches out, when they are asked for.

        Raises:
            InputError: as ``predict``, when a batch is read.
        """
        source = as_batches(rows, needs=self._needs, rows_at_once=ROWS_AT_ONCE)
        return pa.RecordBatchReader.from_batches(self._schema(source.schema), self._answers(source))

    def _answers(self, source: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        progress = Progress(total=None, what="scoring", unit="rows")
        for batch in source:
            yield self._predict_batch(batch)
            progress.advance(batch.num_rows)

    def _schema(self, source: pa.Schema) -> pa.Schema:
        known = [source.field(IMPRESSION_ID)] if IMPRESSION_ID in source.names else []
        return pa.schema([*known, *(pa.field(step, pa.float32()) for step in self.steps)])

    def _predict_batch(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        rows = prepare(pa.Table.from_batches([batch]), self._needs)
        table = ibis.memtable(rows.append_column(ROW, pa.array(np.arange(len(rows)))))
        carry = {IMPRESSION_ID: table[ROW]}
        if self._needs.segment is not None:
            carry[SEGMENT] = segment_of(table, self.manifest.funnel)
        encoded = self._encode(table, carry)
        examples = examples_of(encoded)
        raw = self._trained.predict(examples)
        self._warn_of_segments(examples.segment)
        probabilities = correct(raw, row_keep_rates(self.manifest.keep_rates, examples.segment))
        known = [batch.column(IMPRESSION_ID)] if IMPRESSION_ID in batch.schema.names else []
        columns = [*known, *(pa.array(probabilities[:, t]) for t in range(len(self.steps)))]
        return pa.RecordBatch.from_arrays(columns, schema=self._schema(batch.schema))

    def _encode(self, table: ir.Table, carry: Mapping[str, ir.Value]) -> pa.Table:
        """Ids and values in the order of the rows; as in the pipeline, but for the labels."""
        named = {f"_context_{name}": value for name, value in carry.items()}  # any of these may be a feature as well
        encoded = encode_rows(table.mutate(**named), self._vocabulary, features=self._features, carry=[*named])
        renamed = encoded.rename({name: f"_context_{name}" for name in carry})
        return self._engine.to_pyarrow(renamed).sort_by(IMPRESSION_ID)

    def _warn_of_segments(self, segment: np.ndarray | None) -> None:
        rates = self.manifest.keep_rates.per_segment
        if segment is None or not rates:
            return
        unknown = ~np.isin(segment.astype(str), list(rates))
        if unknown.any():
            names = sorted(set(segment[unknown].astype(str)))
            logger.warning(
                "%d of %d rows have a '%s' that train has not seen (%s); they are corrected by the keep rate of all "
                "rows together",
                unknown.sum(), len(segment), self.manifest.funnel.segment, ", ".join(names[:5]),
            )  # fmt: skip


def _offered(features: Features, kept: set[str]) -> Features:
    """The features that the model knows, without those that were constant in train."""
    return Features(
        categorical=tuple(name for name in features.categorical if name in kept),
        numeric=tuple(name for name in features.numeric if name in kept),
        lists=tuple(feature for feature in features.lists if feature.name in kept),
    )
