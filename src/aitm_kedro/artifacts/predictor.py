"""The predictor: raw rows in, probabilities of every step out, by the same code that encoded the training rows."""

import logging
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa

from aitm_kedro.artifacts.bundle import Bundle, load_bundle
from aitm_kedro.artifacts.correction import correct, row_keep_rates
from aitm_kedro.artifacts.encoder import Encoder
from aitm_kedro.artifacts.rows import Needs, Rows, as_batches, prepare
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import IMPRESSION_ID
from aitm_kedro.core.progress import Progress
from aitm_kedro.tables.sentences import counted, join_names, percent

logger = logging.getLogger(__name__)

ROWS_AT_ONCE = 131_072

MANY = 100
"""Rows from which on it is strange that a feature tells nothing of most of them."""

MORE = 0.25
"""How much larger than in validation the share of rows may be of which a feature tells nothing."""

NAMED = 5
"""Segments that a warning names."""


class Predictor:
    """Predicts with a bundle; ``load`` and ``predict`` are all that is needed.

    Example:
        ```python
        from aitm_kedro.artifacts.predictor import Predictor

        predictor = Predictor.load("data/06_models/base/aitm/seed0/bundle")
        predictor.predict(pd.read_parquet("audience.parquet"))
        ```

    Attributes:
        manifest: what the bundle is.
        steps: the steps that are predicted, in funnel order.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        """Get a bundle ready.

        Args:
            bundle: its model predicts where it was placed.
            threads: CPU threads of the engine that encodes; None: all cores.
        """
        self.manifest = bundle.manifest
        self.steps = self.manifest.funnel.steps
        self._trained = bundle.trained
        specs = self._trained.spec.features
        self._needs = Needs.of(self.manifest, specs)
        self._encoder = Encoder(
            bundle.vocabulary,
            features=_offered(self.manifest.features, {spec.name for spec in specs}),
            segmented_by=None if self._needs.segment is None else self.manifest.funnel,
            trim=self.manifest.trim,
            threads=threads,
        )

    @classmethod
    def load(cls, path: Path | str, *, device: str = "auto", threads: int | None = None) -> Self:
        """Open a bundle; nothing else of the project is needed.

        Args:
            path: the folder of the bundle, or that of its versions, of which the newest is taken.
            device: where networks predict: auto, cpu, cuda or mps.
            threads: CPU threads; None: all cores.

        Raises:
            InputError: the bundle is missing, damaged, or of a format that is not known here.
        """
        bundle = load_bundle(path)
        bundle.trained.place(device=device, threads=threads)
        return cls(bundle, threads=threads)

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
        frame: pd.DataFrame = self.stream(rows).read_all().to_pandas()
        return frame

    def stream(self, rows: Rows) -> pa.RecordBatchReader:
        """The same for a table of any size: batches in, batches out, when they are asked for.

        Raises:
            InputError: as ``predict``; of values, when their batch is read.
        """
        source = as_batches(rows, needs=self._needs, rows_at_once=ROWS_AT_ONCE)
        known = [source.schema.field(IMPRESSION_ID)] if IMPRESSION_ID in source.schema.names else []
        schema = pa.schema([*known, *(pa.field(step, pa.float32()) for step in self.steps)])
        return pa.RecordBatchReader.from_batches(schema, self._answers(source, schema))

    def _answers(self, source: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        progress, unseen, empty = Progress(what="scoring", unit="rows"), Counter[str](), Counter[str]()
        for batch in source:
            rows = prepare(pa.Table.from_batches([batch]), self._needs)
            probabilities = self._predict_batch(rows, unseen, empty)
            known = [batch.column(IMPRESSION_ID)] if IMPRESSION_ID in schema.names else []
            columns = [*known, *(pa.array(probabilities[:, t]) for t in range(len(self.steps)))]
            yield pa.RecordBatch.from_arrays(columns, schema=schema)
            progress.advance(batch.num_rows)
        self._warn_of_segments(unseen, rows=int(progress.done))
        self._warn_of_features(empty, rows=int(progress.done))

    def _predict_batch(self, rows: pa.Table, unseen: Counter[str], empty: Counter[str]) -> np.ndarray:
        """Probabilities [N, T] of prepared rows.

        Segments that train has not seen are counted in ``unseen``, and in ``empty``, by feature, the rows that are null
        there or hold nothing that train has seen.
        """
        examples = self._encoder.encode(rows)
        empty.update(examples.rows_without_known_values())
        raw = self._trained.predict(examples)
        rates, segment = self.manifest.keep_rates, examples.segment
        if segment is not None:
            counts = pd.Series(segment).value_counts()
            unseen.update({str(name): count for name, count in counts.items() if name not in (rates.per_segment or {})})
        return correct(raw, row_keep_rates(rates, segment))

    def _warn_of_features(self, empty: Counter[str], *, rows: int) -> None:
        """Name features that tell nothing of far more rows than of validation; of a few rows that may well be so."""
        usual = self.manifest.unknown_shares
        beside = {name: f"; validation {percent(share, 1)}" for name, share in usual.items()}
        found = [
            f"'{name}' in {count:,} ({percent(count, rows)}{beside.get(name, '')})"
            for name, count in empty.most_common()
            if count >= rows * min(1.0, usual.get(name, 1.0) + MORE)
        ]
        if found and rows >= MANY:
            logger.warning(
                f"Among {rows:,} rows, some features are null or hold no value that train has seen far more often than "
                f"in validation, and tell nothing there: {join_names(found)}; check how their values are spelled, and "
                "whether they are filled."
            )

    def _warn_of_segments(self, unseen: Counter[str], *, rows: int) -> None:
        if not unseen:
            return
        names = [name for name, _ in unseen.most_common(NAMED)] + (["..."] if len(unseen) > NAMED else [])
        logger.warning(
            "Of %s, %s with a '%s' that train has not seen (%s) are corrected by the keep rate of all rows together.",
            counted(rows, "row"), f"{unseen.total():,}", self.manifest.funnel.segment, ", ".join(names),
        )  # fmt: skip


def _offered(features: Features, kept: set[str]) -> Features:
    """The features that the model knows, without those that were constant in train."""
    return Features(
        categorical=tuple(name for name in features.categorical if name in kept),
        numeric=tuple(name for name in features.numeric if name in kept),
        lists=tuple(feature for feature in features.lists if feature.name in kept),
    )
