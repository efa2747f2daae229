"""Raw rows to examples, batch after batch, by the code that encoded the training rows."""

import threading
from functools import lru_cache

import ibis
import numpy as np
import pyarrow as pa

from aitm_kedro.core.example_store import examples_of
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import IMPRESSION_ID, SEGMENT, Funnel
from aitm_kedro.tables.encoding import encode_rows
from aitm_kedro.tables.sampling import segment_of

ROWS = "rows"
"""Name under which the engine sees a batch."""

PLACE, OWN_SEGMENT = "_context_place", "_context_segment"
"""Columns beside the features, under names that no feature has: place of a row in its batch, and its segment."""

SCHEMAS = 16
"""Different schemas of rows whose queries are kept."""


class Encoder:
    """Encodes batches of rows by a vocabulary, which it keeps in an engine of its own.

    The query is written once for each schema of rows: to write it takes as long as to encode some ten thousand of them.
    Several threads may share an encoder; they take turns.
    """

    def __init__(
        self, vocabulary: pa.Table, *, features: Features, segmented_by: Funnel | None, threads: int | None = None
    ) -> None:
        """Read the vocabulary.

        Args:
            vocabulary: ids of every value (``tables.vocabulary.SCHEMA``).
            features: the columns that the model reads.
            segmented_by: the funnel, if examples need their segments.
            threads: of the engine; None: all cores.
        """
        self._engine = ibis.duckdb.connect(**({} if threads is None else {"threads": threads}))
        self._vocabulary = self._engine.create_table("vocabulary", vocabulary)
        self._features, self._funnel = features, segmented_by
        self._turn = threading.Lock()
        self._query = lru_cache(maxsize=SCHEMAS)(self._write_query)

    def encode(self, rows: pa.Table) -> Examples:
        """Ids and values in the order of the rows; as in the pipeline, but for labels, and ids that count the rows."""
        placed = rows.replace_schema_metadata(None).append_column(PLACE, pa.array(np.arange(len(rows))))
        with self._turn:
            query, schema = self._query(placed.schema)
            self._engine.con.register(ROWS, placed)
            encoded = self._engine.con.execute(query).to_arrow_table()
            self._engine.con.unregister(ROWS)
        names = {PLACE: IMPRESSION_ID, OWN_SEGMENT: SEGMENT}
        ordered = encoded.cast(schema).sort_by(PLACE)  # joins give rows in any order
        return examples_of(ordered.rename_columns([names.get(name, name) for name in ordered.column_names]))

    def _write_query(self, rows: pa.Schema) -> tuple[str, pa.Schema]:
        """The query that encodes rows of a schema, and the schema of its result."""
        self._engine.con.register(ROWS, rows.empty_table())
        table, carry = self._engine.table(ROWS), [PLACE]
        if self._funnel is not None:
            table, carry = table.mutate(**{OWN_SEGMENT: segment_of(table, self._funnel)}), [PLACE, OWN_SEGMENT]
        encoded = encode_rows(table, self._vocabulary, features=self._features, carry=carry)
        return self._engine.compile(encoded), encoded.schema().to_pyarrow()
