"""Joins a chunk of impressions (the skeleton of Ali-CCP) with the common features that its rows name."""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from aitm_kedro.core.funnel import IMPRESSION_ID
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.sources.ali_ccp.commons import Commons
from aitm_kedro.sources.ali_ccp.layout import TEST_OFFSET, Fields, Split, weights_field
from aitm_kedro.sources.ali_ccp.parsing import Parsed, Single, as_int

# n = rows of a chunk


class Joined(NamedTuple):
    """A chunk of impressions.

    Attributes:
        table: n rows of the schema.
        without_common_row: rows whose common_feature_index no common row has; their user is unknown.
        overridden: single-valued fields of the skeleton that the common row has as well, which comes last and counts.
    """

    table: pa.Table
    without_common_row: int
    overridden: int


def schema_of(fields: Fields) -> pa.Schema:
    """Columns of the impressions; those of fields are named after them."""
    return pa.schema(
        [
            (IMPRESSION_ID, pa.int64()),
            ("split", pa.dictionary(pa.int8(), pa.string())),
            ("click", pa.int8()),
            ("purchase", pa.int8()),
            *((name, pa.int64()) for name in fields.single),
            *((name, pa.list_(pa.int64())) for name in fields.multi),
            *((weights_field(name), pa.list_(pa.float32())) for name in fields.weighted),
        ]
    )


def join(
    chunk: Parsed,
    commons: Commons,
    *,
    split: Split,
    fields: Fields,
    max_values: int | None,
) -> Joined:
    """Give every row the fields of its common row."""
    rows = commons.find(chunk.columns["common_feature_index"])
    columns: dict[str, pa.Array] = {
        IMPRESSION_ID: pa.array(as_int(chunk.columns["sample_id"]) + (TEST_OFFSET if split == "test" else 0)),
        "split": pa.DictionaryArray.from_arrays(pa.array(np.zeros(chunk.rows, np.int8)), [split]),
        **{step: pc.equal(chunk.columns[step], b"1").cast(pa.int8()) for step in ("click", "purchase")},
    }
    overridden = 0
    for name in fields.single:
        field, twice = _join_single(chunk.single.get(name), commons.single.get(name), rows)
        columns[name] = pa.array(field.ids, mask=~field.known)
        overridden += twice
    for name in fields.multi:
        lists = _join_multi(chunk.multi.get(name), commons.multi.get(name), rows)
        lists = lists.heaviest(max_values) if max_values else lists
        offsets = pa.array(lists.offsets, pa.int32())
        columns[name] = pa.ListArray.from_arrays(offsets, pa.array(lists.values))
        if name in fields.weighted:
            columns[weights_field(name)] = pa.ListArray.from_arrays(offsets, pa.array(lists.weights))
    schema = schema_of(fields)
    table = pa.table([columns[name] for name in schema.names], schema=schema)
    return Joined(table, without_common_row=int((rows < 0).sum()), overridden=overridden)


def _join_single(own: Single | None, common: Single | None, rows: np.ndarray) -> tuple[Single, int]:
    """The common row's value where it has one, else the row's own; how many have both."""
    own = own or Single(np.zeros(len(rows), np.int64), np.zeros(len(rows), bool))
    if common is None:
        return own, 0
    known = common.known[rows] & (rows >= 0)
    ids = np.where(known, common.ids[rows], own.ids)
    return Single(ids, known | own.known), int((known & own.known).sum())


def _join_multi(own: Ragged | None, common: Ragged | None, rows: np.ndarray) -> Ragged:
    """The common row's values where it has any, else the row's own."""
    own = own or Ragged(np.zeros(len(rows) + 1, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))
    if common is None:
        return own
    has_common = (rows >= 0) & (common.lengths[rows] > 0)
    order = np.concatenate([np.flatnonzero(has_common), np.flatnonzero(~has_common)])
    both = Ragged.concatenate([common.take(rows[has_common]), own.take(np.flatnonzero(~has_common))])
    return both.take(np.argsort(order))
