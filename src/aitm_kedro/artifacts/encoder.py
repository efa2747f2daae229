"""Raw rows to examples, batch after batch, by the code that encoded the training rows."""

import threading
from dataclasses import dataclass
from functools import lru_cache

import ibis
import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from aitm_kedro.core.example_store import examples_of
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import IMPRESSION_ID, SEGMENT, Funnel
from aitm_kedro.tables.encoding import encode_rows
from aitm_kedro.tables.forms import read_category, read_features, require_features
from aitm_kedro.tables.requirements import Requirement, enforce, measure
from aitm_kedro.tables.sampling import segment_of

ROWS = "rows"
"""Name under which the engine sees a batch."""

PLACE, OWN_SEGMENT = "_context_place", "_context_segment"
"""Columns beside the features, under names that no feature has: place of a row in its batch, and its segment."""

SCHEMAS = 16
"""Different schemas of rows whose queries are kept."""


@dataclass(frozen=True, kw_only=True)
class _Queries:
    """What is asked of the engine for rows of a schema.

    Attributes:
        table: the rows, as they come.
        requirements: what the columns must hold.
        check: query that finds out whether they do; None if there are no requirements.
        encode: query of the encoded rows.
        schema: of its result.
    """

    table: ir.Table
    requirements: list[Requirement]
    check: str | None
    encode: str
    schema: pa.Schema


class Encoder:
    """Reads, checks and encodes batches of rows by a vocabulary, which it keeps in an engine of its own.

    The queries are written once for each schema of rows: to write them takes as long as to encode some ten thousand.
    Several threads may share an encoder; they take turns.
    """

    def __init__(
        self,
        vocabulary: pa.Table,
        *,
        features: Features,
        segmented_by: Funnel | None,
        trim: bool = False,
        threads: int | None = None,
    ) -> None:
        """Read the vocabulary.

        Args:
            vocabulary: ids of every value (``tables.vocabulary.SCHEMA``).
            features: the columns that the model reads.
            segmented_by: the funnel, if examples need their segments.
            trim: whether spaces around text count (``tables.parameters.Ingestion``).
            threads: of the engine; None: all cores.
        """
        self._engine = ibis.duckdb.connect(**({} if threads is None else {"threads": threads}))
        self._vocabulary = self._engine.create_table("vocabulary", vocabulary)
        self._features, self._funnel, self._trim = features, segmented_by, trim
        self._turn = threading.Lock()
        self._queries = lru_cache(maxsize=SCHEMAS)(self._write_queries)

    def encode(self, rows: pa.Table) -> Examples:
        """Ids and values in the order of the rows; as in the pipeline, but for labels, and ids that count the rows.

        Raises:
            InputError: a column holds a value that cannot be what the model takes it for.
        """
        placed = rows.replace_schema_metadata(None).append_column(PLACE, pa.array(np.arange(len(rows))))
        with self._turn:
            queries = self._queries(placed.schema)
            self._engine.con.register(ROWS, placed)
            try:
                self._check(queries)
                encoded = self._engine.con.execute(queries.encode).to_arrow_table()
            finally:
                self._engine.con.unregister(ROWS)
        names = {PLACE: IMPRESSION_ID, OWN_SEGMENT: SEGMENT}
        ordered = encoded.cast(queries.schema).sort_by(PLACE)  # joins give rows in any order
        return examples_of(ordered.rename_columns([names.get(name, name) for name in ordered.column_names]))

    def _check(self, queries: _Queries) -> None:
        if queries.check is not None:
            found = self._engine.con.execute(queries.check).to_arrow_table().to_pylist()[0]
            enforce(queries.table, queries.requirements, found)

    def _write_queries(self, rows: pa.Schema) -> _Queries:
        self._engine.con.register(ROWS, rows.empty_table())
        raw = self._engine.table(ROWS)
        requirements = require_features(raw, self._features)
        segment = self._funnel and self._funnel.segment
        own = {segment: read_category(raw[segment], trim=self._trim)} if segment else {}
        table, carry = raw.mutate(**(own | read_features(raw, self._features, trim=self._trim))), [PLACE]
        if self._funnel is not None:
            table, carry = table.mutate(**{OWN_SEGMENT: segment_of(table, self._funnel)}), [PLACE, OWN_SEGMENT]
        encoded = encode_rows(table, self._vocabulary, features=self._features, carry=carry)
        return _Queries(
            table=raw,
            requirements=requirements,
            check=self._engine.compile(raw.aggregate(**measure(requirements))) if requirements else None,
            encode=self._engine.compile(encoded),
            schema=encoded.schema().to_pyarrow(),
        )
