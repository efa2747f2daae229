"""Encoded examples on disk: arrays that are mapped into memory.

Ids lie row by row, so that a random row is one place on the disk: 4 bytes a field. The order of rows is kept.
"""

import json
import os
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples, Fingerprints
from aitm_kedro.core.features import VOCABULARY
from aitm_kedro.core.funnel import IMPRESSION_ID, ROW_WEIGHT, SEGMENT, value_column, weights_column
from aitm_kedro.core.ragged import Ragged, offsets_of

# N = examples, F = fields with one id a row, T = steps, V = numeric fields

ROWS_AT_ONCE = 131_072
LAYOUT = 3
"""Of the folder of arrays; a new one is laid out for another number."""

_COLUMNS, _FINGERPRINTS = "meta.json", "fingerprints.json"


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """What the columns of an encoded table are, by their types.

    Attributes:
        steps: labels.
        single: fields with one id a row.
        lists: fields with a list of ids a row.
        values: single fields whose values stand beside the ids.
        weighted: lists whose weights stand beside the ids.
        has_row_weights: whether each row has a weight.
        texts: columns of text, which cannot be mapped as an array.
    """

    steps: list[str]
    single: list[str]
    lists: list[str]
    values: list[str]
    weighted: list[str]
    has_row_weights: bool
    texts: list[str]

    @classmethod
    def of(cls, schema: pa.Schema) -> Self:
        """Read them from the types."""
        kinds = {name: schema.field(name).type for name in schema.names}
        single = [name for name, kind in kinds.items() if pa.types.is_int32(kind)]
        lists = [name for name, kind in kinds.items() if pa.types.is_list(kind) and pa.types.is_int32(kind.value_type)]
        return cls(
            steps=[name for name, kind in kinds.items() if pa.types.is_int8(kind)],
            single=single,
            lists=lists,
            values=[name for name in single if value_column(name) in kinds],
            weighted=[name for name in lists if weights_column(name) in kinds],
            has_row_weights=ROW_WEIGHT in kinds,
            texts=[name for name in (IMPRESSION_ID, SEGMENT) if name in kinds and not pa.types.is_int64(kinds[name])],
        )


def examples_of(table: pa.Table) -> Examples:
    """An encoded table that fits into memory, as examples, without a file in between.

    Args:
        table: what ``write_arrays`` takes; label columns may be missing.
    """
    columns = _Columns.of(table.schema)

    def matrix(names: list[str], kind: Any) -> np.ndarray:
        result = np.empty((len(table), len(names)), kind)
        for place, name in enumerate(names):
            result[:, place] = table[name].to_numpy()
        return result

    return Examples(
        ids=matrix(columns.single, np.int32),
        labels=matrix(columns.steps, np.uint8),
        fields=(*columns.single, *columns.lists),
        steps=tuple(columns.steps),
        impression_id=table[IMPRESSION_ID].to_numpy(),
        segment=table[SEGMENT].to_numpy() if SEGMENT in table.column_names else None,
        numeric=tuple(columns.values),
        values=matrix([value_column(name) for name in columns.values], np.float32),
        lists={name: _ragged(table, name, is_weighted=name in columns.weighted) for name in columns.lists},
        row_weights=table[ROW_WEIGHT].to_numpy() if columns.has_row_weights else None,
        vocabulary=_only(_vocabularies(table)),
    )


def _ragged(table: pa.Table, name: str, *, is_weighted: bool) -> Ragged:
    column = table[name].combine_chunks()
    values = np.ascontiguousarray(column.flatten().to_numpy(), np.int32)
    weights = table[weights_column(name)].combine_chunks().flatten().to_numpy() if is_weighted else None
    lengths = column.value_lengths().to_numpy().astype(np.int64)
    return Ragged(offsets_of(lengths), values, None if weights is None else np.ascontiguousarray(weights, np.float32))


def write_arrays(table: ds.Dataset, folder: Path) -> None:
    """Write an encoded table as arrays, one batch of rows at a time.

    Args:
        table: what ``tables.encoding.encode_examples`` made; its column types say what is a label, an id, or a value.
        folder: to be created.

    Raises:
        InputError: its rows were encoded by different vocabularies.
    """
    folder.mkdir()
    columns = _Columns.of(table.schema)
    with ExitStack() as files:
        writer = _Writer(folder, columns, table.schema, rows=table.count_rows(), files=files)
        # One batch ahead is enough, and lists may be long.
        for batch in table.to_batches(batch_size=ROWS_AT_ONCE, batch_readahead=1, fragment_readahead=1):
            writer.add(batch)
        writer.write_offsets()
    (folder / _COLUMNS).write_text(json.dumps(asdict(columns)))
    # Now, while they are in memory, and once: every run asks for them.
    written = replace(_open_columns(folder), vocabulary=_only(writer.vocabularies))
    known = Fingerprints(written.fingerprint(), written.fingerprint_of_rows(), written.vocabulary)
    (folder / _FINGERPRINTS).write_text(json.dumps(known._asdict()))


def read_fingerprints(folder: Path) -> Fingerprints:
    """What was written into a folder of arrays, without opening them.

    Raises:
        OSError, TypeError, ValueError: the file is missing, or is not as it was written.
    """
    return Fingerprints(**json.loads((folder / _FINGERPRINTS).read_text()))


def _vocabularies(table: pa.Table | pa.RecordBatch) -> set[str]:
    return set(table[VOCABULARY].unique().to_pylist()) if VOCABULARY in table.schema.names else set()


def _only(vocabularies: set[str]) -> str | None:
    """The one vocabulary of all rows, None if it is not known."""
    if len(vocabularies) > 1:
        raise InputError(
            f"the encoded examples come from {len(vocabularies)} different vocabularies, but an id means one thing "
            "only; run preparation again: kedro run --pipelines=preparation"
        )
    return next(iter(vocabularies), None)


class _Writer:
    """The arrays of a table, in files that somebody else closes."""

    def __init__(self, folder: Path, columns: _Columns, schema: pa.Schema, *, rows: int, files: ExitStack) -> None:
        self.vocabularies: set[str] = set()
        self._columns, self._start = columns, 0
        numbered = 0 if IMPRESSION_ID in columns.texts else rows
        self._impressions = _create(folder / "impression_id.npy", np.int64, (numbered,))
        self._ids = _create(folder / "ids.npy", np.int32, (rows, len(columns.single)))
        self._labels = _create(folder / "labels.npy", np.uint8, (rows, len(columns.steps)))
        self._values = _create(folder / "values.npy", np.float32, (rows, len(columns.values)))
        self._row_weights = _create(folder / "row_weights.npy", np.float32, (rows if columns.has_row_weights else 0,))
        self._lists = {
            name: _RaggedWriter(folder, place, name in columns.weighted, files)
            for place, name in enumerate(columns.lists)
        }
        sink = files.enter_context(pa.OSFile(str(folder / "texts.arrow"), "wb"))
        texts = pa.schema([schema.field(name) for name in columns.texts])
        self._texts = files.enter_context(pa.ipc.new_file(sink, texts))

    def add(self, batch: pa.RecordBatch) -> None:
        """Append the rows of a batch."""
        columns, rows = self._columns, slice(self._start, self._start + batch.num_rows)
        for place, name in enumerate(columns.single):
            self._ids[rows, place] = batch[name]
        for place, name in enumerate(columns.steps):
            self._labels[rows, place] = batch[name]
        for place, name in enumerate(columns.values):
            self._values[rows, place] = batch[value_column(name)].to_numpy(zero_copy_only=False)
        for name, writer in self._lists.items():
            writer.add(batch[name], batch[weights_column(name)] if name in columns.weighted else None)
        if columns.has_row_weights:
            self._row_weights[rows] = batch[ROW_WEIGHT]
        if IMPRESSION_ID not in columns.texts:
            self._impressions[rows] = batch[IMPRESSION_ID]
        self._texts.write_batch(batch.select(columns.texts))
        self.vocabularies |= _vocabularies(batch)
        self._start = rows.stop

    def write_offsets(self) -> None:
        """Write where the lists of each row begin, once all are there."""
        for writer in self._lists.values():
            writer.write_offsets()


def open_arrays(folder: Path) -> Examples:
    """Examples whose arrays stay on disk until they are read, written by ``write_arrays``.

    They may be changed in memory, which does not change the files. Texts (segments, and ids of impressions that are no
    numbers) are read at once.

    Raises:
        OSError, EOFError, TypeError, ValueError, pa.ArrowException: a file is missing, or is not as it was written.
    """
    fingerprints = read_fingerprints(folder)
    return replace(_open_columns(folder), vocabulary=fingerprints.vocabulary).stored_as(fingerprints)


def _open_columns(folder: Path) -> Examples:
    known = _Columns(**json.loads((folder / _COLUMNS).read_text()))
    with pa.memory_map(str(folder / "texts.arrow")) as source:
        texts = pa.ipc.open_file(source).read_all()
        columns = {name: texts[name].to_numpy() for name in texts.column_names}
    return Examples(
        ids=_open(folder / "ids.npy"),
        labels=_open(folder / "labels.npy"),
        fields=(*known.single, *known.lists),
        steps=tuple(known.steps),
        impression_id=columns[IMPRESSION_ID] if IMPRESSION_ID in columns else _open(folder / "impression_id.npy"),
        segment=columns.get(SEGMENT),
        numeric=tuple(known.values),
        values=_open(folder / "values.npy"),
        lists={
            name: _open_lists(folder, place, is_weighted=name in known.weighted)
            for place, name in enumerate(known.lists)
        },
        row_weights=_open(folder / "row_weights.npy") if known.has_row_weights else None,
    )


class _RaggedWriter:
    """A list field, batch after batch, in files that somebody else closes."""

    def __init__(self, folder: Path, place: int, is_weighted: bool, files: ExitStack) -> None:
        self._folder, self._place, self._lengths = folder, place, [np.empty(0, np.int64)]
        self._values = files.enter_context((folder / f"list{place}_values").open("wb"))
        self._weights = files.enter_context((folder / f"list{place}_weights").open("wb")) if is_weighted else None

    def add(self, values: pa.ListArray, weights: pa.ListArray | None) -> None:
        """Append the lists of a batch."""
        self._lengths.append(values.value_lengths().to_numpy().astype(np.int64))
        # `tofile` would not say why it cannot, such as a full disk.
        self._values.write(np.ascontiguousarray(values.flatten().to_numpy(), np.int32).data)
        if self._weights is not None and weights is not None:
            self._weights.write(np.ascontiguousarray(weights.flatten().to_numpy(), np.float32).data)

    def write_offsets(self) -> None:
        """Write where each list begins, once all are there."""
        np.save(self._folder / f"list{self._place}_offsets.npy", offsets_of(np.concatenate(self._lengths)))


def _create(path: Path, kind: Any, shape: tuple[int, ...]) -> np.ndarray:
    """An array on disk; an array without elements cannot be mapped, so it is saved and stays as it is."""
    if 0 in shape:
        np.save(path, np.empty(shape, kind))
        return np.empty(shape, kind)
    array = np.lib.format.open_memmap(path, mode="w+", dtype=kind, shape=shape)
    if hasattr(os, "posix_fallocate"):  # room is taken now: a disk that is full is an error here, but would kill later
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def _open(path: Path) -> np.ndarray:
    try:
        # Changes stay in memory ("c"): torch asks for arrays that may be changed.
        array: np.ndarray = np.load(path, mmap_mode="c")
    except ValueError:  # without elements there is nothing to map
        array = np.load(path)
    return array


def _open_lists(folder: Path, place: int, *, is_weighted: bool) -> Ragged:
    offsets = _open(folder / f"list{place}_offsets.npy")
    values = _map(folder / f"list{place}_values", np.int32, int(offsets[-1]))
    return Ragged(
        offsets, values, _map(folder / f"list{place}_weights", np.float32, len(values)) if is_weighted else None
    )


def _map(path: Path, kind: Any, count: int) -> np.ndarray:
    if path.stat().st_size != count * np.dtype(kind).itemsize:
        raise ValueError(f"'{path.name}' does not have the size of {count} numbers")
    return np.memmap(path, kind, mode="c") if count else np.empty(0, kind)
