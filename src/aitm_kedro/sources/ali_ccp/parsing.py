"""Parses a chunk of lines of Ali-CCP into columns, and tells which lines cannot be read.

A feature text is a table in itself: with its entries on lines of their own, Arrow's CSV reader takes a whole chunk of
them at once. That is quick, but one bad line spoils the chunk; only then are the lines looked at one by one, the bad
ones put aside, and the chunk is read again without them.
"""

import codecs
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from aitm_kedro.core.ragged import LARGEST_WEIGHT, Ragged, offsets_of
from aitm_kedro.sources.ali_ccp.layout import ENTRIES, ID, LONGEST_ID, VALUE, Column, Layout

# n = lines of a chunk that can be read, m = their entries

_AS_TABLE = bytes.maketrans(ENTRIES + ID + VALUE, b"\n,,")
_NO_SEPARATORS = bytes(set(range(256)).difference(ENTRIES + ID + VALUE + b"\n"))
_PLAIN = b"0123456789._\n" + ENTRIES + ID + VALUE
"""Bytes of usual feature texts; of others Arrow may read numbers that our patterns do not take, such as 0x1f."""


class Unreadable(NamedTuple):
    """A line that cannot be read.

    Attributes:
        line: number, from 1; in the chunk, then in the file.
        reason: a key of ``REASONS``.
        text: the line, without its end.
    """

    line: int
    reason: str
    text: bytes


class Single(NamedTuple):
    """A single-valued field: ids int64 [n], and whether each row has one, bool [n]."""

    ids: np.ndarray
    known: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What a chunk says.

    Attributes:
        columns: all columns but the features, binary [n] each, by name.
        single: single-valued fields wanted, those that occur in the chunk.
        multi: multi-valued fields wanted, those that occur in the chunk, in the order of the entries.
        rows: n.
        lines: of the chunk, empty ones and unreadable ones included.
        unreadable: lines left out.
        repeated_field: entries of single-valued fields that a later entry of their row overrides.
        feature_count_differs: lines whose number of features is not that of their entries.
    """

    columns: dict[str, pa.Array]
    single: dict[str, Single]
    multi: dict[str, Ragged]
    rows: int
    lines: int
    unreadable: list[Unreadable]
    repeated_field: int
    feature_count_differs: int


class _Doubt(Exception):
    """A chunk is not as usual, so that its lines have to be looked at."""


def parse(data: bytes, layout: Layout, *, single: Sequence[str], multi: Sequence[str]) -> Parsed:
    """Read a chunk of whole lines.

    Args:
        data: the chunk.
        layout: of its file.
        single: single-valued fields wanted.
        multi: multi-valued fields wanted.
    """
    lines = data.count(b"\n") + (not data.endswith(b"\n"))
    unreadable: list[Unreadable] = []
    try:
        table = _read_lines(data, layout, trusted=False)
        entries = _read_entries(table["features"], trusted=False)
    except (_Doubt, pa.ArrowInvalid):
        data, unreadable = _sift(data, layout)
        table = _read_lines(data, layout, trusted=True)
        entries = _read_entries(table["features"], trusted=True)
    singles, repeated = _pick_single(entries, single)
    return Parsed(
        columns={name: column for name, column in table.items() if name not in ("feature_count", "features")},
        single=singles,
        multi=_pick_multi(entries, multi),
        rows=len(table["features"]),
        lines=lines,
        unreadable=unreadable,
        repeated_field=repeated,
        feature_count_differs=int((as_int(table["feature_count"]) != entries.counts).sum()),
    )


def _sift(data: bytes, layout: Layout) -> tuple[bytes, list[Unreadable]]:
    """The lines that can be read, and the others."""
    good, bad = [], []
    for number, ended in enumerate(data.split(b"\n"), start=1):
        line = ended.removesuffix(b"\r")
        if not line:
            continue
        reason = layout.complaint(line)
        if reason:
            bad.append(Unreadable(number, reason, line))
        else:
            good.append(line)
    return b"".join(line + b"\n" for line in good), bad


def _read_lines(data: bytes, layout: Layout, *, trusted: bool) -> dict[str, pa.Array]:
    """The columns of a chunk as they are, binary [n] each."""
    names = [column.name for column in layout.columns]
    if not data:
        return {name: pa.array([], pa.binary()) for name in names}
    if not trusted and b"\r" in data and data.count(b"\r") != data.count(b"\r\n"):
        raise _Doubt
    table = _read_csv(data, {name: pa.binary() for name in names})
    columns = {name: _in_one(table[name]) for name in names}
    if not trusted:
        for column in layout.columns[:-1]:
            _check(columns[column.name], column)
    return columns


def _check(values: pa.Array, column: Column) -> None:
    """Raise _Doubt unless every value is as it must be."""
    pattern = f"(?s)^(?:{column.pattern.pattern.decode()})$"
    if not pc.all(pc.match_substring_regex(pc.unique(values), pattern)).as_py():
        raise _Doubt


class _Entries(NamedTuple):
    """The entries of all rows of a chunk, in order.

    Attributes:
        counts: of each row, int64 [n].
        row: of each entry, int64 [m].
        code: place of its field among ``fields``, int32 [m].
        fields: names.
        ids: int64 [m].
        values: float32 [m].
    """

    counts: np.ndarray
    row: np.ndarray
    code: np.ndarray
    fields: list[str]
    ids: np.ndarray
    values: np.ndarray


def _read_entries(features: pa.Array, *, trusted: bool) -> _Entries:
    """Take the feature texts apart.

    Raises:
        _Doubt, pa.ArrowInvalid: a text is not of the usual form.
    """
    filled = np.flatnonzero(pc.binary_length(features).to_numpy(zero_copy_only=False))
    texts = features if len(filled) == len(features) else features.take(pa.array(filled))
    counts = np.zeros(len(features), np.int64)
    if not len(filled):
        nothing = np.empty(0, np.int64)
        return _Entries(counts, nothing, nothing.astype(np.int32), [], nothing, nothing.astype(np.float32))
    text = _in_one(pc.binary_join_element_wise(texts, b"\n", b"")).buffers()[2].to_pybytes()
    counts[filled] = _count_entries(text)
    if not trusted:
        _check_entries(text)
    kinds = {"field": pa.dictionary(pa.int32(), pa.binary()), "id": pa.int64(), "value": pa.float32()}
    table = _read_csv(text.translate(_AS_TABLE), kinds)
    field = _in_one(table["field"])
    fields = field.dictionary.to_pylist()
    if not trusted and (b"" in fields or not (table["value"].to_numpy() <= LARGEST_WEIGHT).all()):
        raise _Doubt
    return _Entries(
        counts=counts,
        row=np.repeat(np.arange(len(features)), counts),
        code=field.indices.to_numpy(),
        fields=[name.decode("latin-1") for name in fields],
        ids=table["id"].to_numpy(),
        values=table["value"].to_numpy(),
    )


def _count_entries(text: bytes) -> np.ndarray:
    """Entries of each row, from texts that each end with a line break.

    Raises:
        _Doubt: the separators do not come in the order field 2 id 3 value 1 (or the end of the row).
    """
    separators = np.frombuffer(text.translate(None, _NO_SEPARATORS), np.uint8)
    if len(separators) % 3:
        raise _Doubt
    triples = separators.reshape(-1, 3)
    last = triples[:, 2] == ord("\n")
    if not ((triples[:, 0] == ID[0]).all() and (triples[:, 1] == VALUE[0]).all()):
        raise _Doubt
    if not (last | (triples[:, 2] == ENTRIES[0])).all():
        raise _Doubt
    return np.diff(np.flatnonzero(last), prepend=-1)


def _check_entries(text: bytes) -> None:
    """Raise _Doubt if Arrow may read entries, with separators in order, that our pattern does not take."""
    if text.translate(None, _PLAIN):
        raise _Doubt
    separators = np.flatnonzero(np.frombuffer(text, np.uint8) <= ord("\n"))
    if (separators[1::3] - separators[::3] > LONGEST_ID + 1).any():
        raise _Doubt


def _pick_single(entries: _Entries, wanted: Sequence[str]) -> tuple[dict[str, Single], int]:
    """The last id of each wanted field in every row, and how many earlier ones it overrides."""
    found, repeated, rows = {}, 0, len(entries.counts)
    for name in wanted:
        if name not in entries.fields:
            continue
        places = np.flatnonzero(entries.code == entries.fields.index(name))
        ids, known = np.zeros(rows, np.int64), np.zeros(rows, bool)
        ids[entries.row[places]] = entries.ids[places]  # of several values for one place NumPy keeps the last
        known[entries.row[places]] = True
        repeated += len(places) - int(known.sum())
        found[name] = Single(ids, known)
    return found, repeated


def _pick_multi(entries: _Entries, wanted: Sequence[str]) -> dict[str, Ragged]:
    """All ids of each wanted field in every row, with their values as weights."""
    found, rows = {}, len(entries.counts)
    for name in wanted:
        if name not in entries.fields:
            continue
        places = np.flatnonzero(entries.code == entries.fields.index(name))
        offsets = offsets_of(np.bincount(entries.row[places], minlength=rows))
        found[name] = Ragged(offsets, entries.ids[places], entries.values[places])
    return found


def as_int(values: pa.Array) -> np.ndarray:
    """Digits as int64 [n]."""
    numbers: np.ndarray = pc.cast(pc.cast(values, pa.string()), pa.int64()).to_numpy(zero_copy_only=False)
    return numbers


def _read_csv(data: bytes, kinds: dict[str, pa.DataType]) -> pa.Table:
    """Columns separated by commas, without quotes or nulls; threads work on other chunks, not on this one."""
    if data.startswith(codecs.BOM_UTF8):  # Arrow would pass over it, wherever in its file the chunk lies
        data = b"\n" + data
    return pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(use_threads=False, column_names=list(kinds), block_size=max(len(data), 1)),
        parse_options=pacsv.ParseOptions(quote_char=False),
        convert_options=pacsv.ConvertOptions(column_types=kinds, null_values=[], strings_can_be_null=False),
    )


def _in_one(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    """A column as one array."""
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
