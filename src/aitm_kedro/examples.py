"""Encoded examples: what every model trains on and is judged by, in memory or mapped into it from a folder."""

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from aitm_kedro.errors import InputError
from aitm_kedro.funnel import IMPRESSION_ID, SEGMENT, value_column, weights_column
from aitm_kedro.ragged import Ragged

# N = examples, F = fields with one id a row, L = fields with a list of ids a row, T = steps

ROWS_AT_ONCE = 131_072
LAYOUT = 1
"""Of the folder of arrays; a new one is laid out for another number."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """N encoded impressions.

    Attributes:
        ids: int32 [N, F], C-contiguous; each field counts from 0 (unknown, rare, or null).
        labels: uint8 [N, T], end to end: labels[:, t] is 1 where step t and all before it happened.
        fields: the F + L feature names, in the order of the vocabulary; those of lists come last.
        steps: the T steps, in funnel order.
        impression_id: [N], int64 or str.
        segment: [N] segment names, or None where the funnel has no segment.
        values: float32 [N] of each numeric field, NaN where null.
        lists: of each of the L list fields, N lists of ids (int32), none of them empty; weights are at least 0.
    """

    ids: np.ndarray
    labels: np.ndarray
    fields: tuple[str, ...]
    steps: tuple[str, ...]
    impression_id: np.ndarray
    segment: np.ndarray | None = None
    values: Mapping[str, np.ndarray] = field(default_factory=dict)
    lists: Mapping[str, Ragged] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def single_fields(self) -> tuple[str, ...]:
        """The F fields with one id a row."""
        return tuple(name for name in self.fields if name not in self.lists)

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ where rows, their order, their ids or their labels do."""
        digest = blake2b(digest_size=6)
        lists = [part for value in self.lists.values() for part in (value.offsets, value.values, value.weights)]
        for part in (pd.util.hash_array(self.impression_id), self.labels, self.ids, *lists):
            if part is not None:
                digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def steps_of_one_class(self) -> list[str]:
        """Steps that happened in no row, or in every one."""
        happened = self.labels.sum(axis=0, dtype=np.int64)
        return [step for step, count in zip(self.steps, happened, strict=True) if count in (0, len(self))]

    def of_steps(self, steps: Sequence[str]) -> Self:
        """The same rows with the labels of some steps alone.

        Raises:
            InputError: a step is not there.
        """
        if tuple(steps) == self.steps:
            return self
        _check_there(steps, self.steps)
        chosen = [self.steps.index(step) for step in steps]
        return replace(self, labels=self.labels[:, chosen], steps=tuple(steps))

    def of_fields(self, fields: Sequence[str]) -> Self:
        """The same rows with some features alone; lists come last, here as everywhere.

        Raises:
            InputError: a feature is not there, or a list stands before a feature with one id.
        """
        if tuple(fields) == self.fields:
            return self
        _check_there(fields, self.fields)
        is_list = [name in self.lists for name in fields]
        if is_list != sorted(is_list):
            raise InputError(f"Features with lists come last, but the order asked for is {list(fields)}.")
        single = self.single_fields
        chosen = [single.index(name) for name in fields if name not in self.lists]
        return replace(
            self,
            ids=np.ascontiguousarray(self.ids[:, chosen]),
            fields=tuple(fields),
            values={name: column for name, column in self.values.items() if name in fields},
            lists={name: self.lists[name] for name in fields if name in self.lists},
        )

    def take(self, rows: np.ndarray) -> Self:
        """Some rows, in this order."""
        return replace(
            self,
            ids=self.ids[rows],
            labels=self.labels[rows],
            impression_id=self.impression_id[rows],
            segment=None if self.segment is None else self.segment[rows],
            values={name: column[rows] for name, column in self.values.items()},
            lists={name: lists.take(rows) for name, lists in self.lists.items()},
        )


def _check_there(wanted: Sequence[str], present: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in present]
    if missing:
        raise InputError(
            f"The encoded examples have no column {missing}: they were made for other steps or features. "
            "Run preparation and modelling again."
        )


def write_arrays(table: ds.Dataset, folder: Path) -> None:
    """Write an encoded table as arrays that can be mapped into memory, one batch of rows at a time.

    Ids lie row by row, so that a random row is one place on the disk: 4 bytes a field. The order of rows is kept.

    Args:
        table: what ``tables.encoding.encode_examples`` made; its column types say what is a label, an id, or a value.
        folder: to be created.
    """
    folder.mkdir()
    rows, kinds = table.count_rows(), {name: table.schema.field(name).type for name in table.schema.names}
    steps = [name for name, kind in kinds.items() if pa.types.is_int8(kind)]
    single = [name for name, kind in kinds.items() if pa.types.is_int32(kind)]
    lists = [name for name, kind in kinds.items() if pa.types.is_list(kind) and pa.types.is_int32(kind.value_type)]
    values = [name for name in single if value_column(name) in kinds]
    weighted = [name for name in lists if weights_column(name) in kinds]
    # Text, which cannot be mapped as an array.
    texts = [name for name in (IMPRESSION_ID, SEGMENT) if name in kinds and not pa.types.is_int64(kinds[name])]
    meta = {"rows": rows, "steps": steps, "single": single, "lists": lists, "values": values, "weighted": weighted}
    ids = _create(folder / "ids.npy", np.int32, (rows, len(single)))
    labels = _create(folder / "labels.npy", np.uint8, (rows, len(steps)))
    numbers = _create(folder / "values.npy", np.float32, (len(values), rows))
    numbered = IMPRESSION_ID not in texts
    impressions = _create(folder / "impression_id.npy", np.int64, (rows if numbered else 0,))
    schema = pa.schema([(name, kinds[name]) for name in texts])
    start = 0
    with ExitStack() as files:
        ragged = {name: _RaggedWriter(folder, place, name in weighted, files) for place, name in enumerate(lists)}
        sink = files.enter_context(pa.OSFile(str(folder / "texts.arrow"), "wb"))
        out = files.enter_context(pa.ipc.new_file(sink, schema))
        # One batch ahead is enough, and lists may be long.
        for batch in table.to_batches(batch_size=ROWS_AT_ONCE, batch_readahead=1, fragment_readahead=1):
            stop = start + batch.num_rows
            for position, name in enumerate(single):
                ids[start:stop, position] = batch[name]
            for position, name in enumerate(steps):
                labels[start:stop, position] = batch[name]
            for position, name in enumerate(values):
                numbers[position, start:stop] = batch[value_column(name)].to_numpy(zero_copy_only=False)
            for name, writer in ragged.items():
                writer.add(batch[name], batch[weights_column(name)] if name in weighted else None)
            if numbered:
                impressions[start:stop] = batch[IMPRESSION_ID]
            out.write_batch(batch.select(texts))
            start = stop
        for writer in ragged.values():
            writer.write_offsets()
    (folder / "meta.json").write_text(json.dumps(meta))


def open_arrays(folder: Path) -> Examples:
    """Examples whose arrays stay on disk until they are read, written by ``write_arrays``.

    They may be changed in memory, which does not change the files. Texts (segments, and ids of impressions that are no
    numbers) are read at once.

    Raises:
        OSError, EOFError, ValueError, KeyError, pa.ArrowException: a file is missing, or is not as it was written.
    """
    meta = json.loads((folder / "meta.json").read_text())
    with pa.memory_map(str(folder / "texts.arrow")) as source:
        texts = pa.ipc.open_file(source).read_all()
        columns = {name: texts[name].to_numpy() for name in texts.column_names}
    numbers = _open(folder / "values.npy")
    return Examples(
        ids=_open(folder / "ids.npy"),
        labels=_open(folder / "labels.npy"),
        fields=(*meta["single"], *meta["lists"]),
        steps=tuple(meta["steps"]),
        impression_id=columns[IMPRESSION_ID] if IMPRESSION_ID in columns else _open(folder / "impression_id.npy"),
        segment=columns.get(SEGMENT),
        values={name: numbers[place] for place, name in enumerate(meta["values"])},
        lists={
            name: _open_lists(folder, place, is_weighted=name in meta["weighted"])
            for place, name in enumerate(meta["lists"])
        },
    )


class _RaggedWriter:
    """A list field, batch after batch, in files that somebody else closes."""

    def __init__(self, folder: Path, place: int, is_weighted: bool, files: ExitStack) -> None:
        self._folder, self._place, self._lengths = folder, place, [np.zeros(1, np.int64)]
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
        np.save(self._folder / f"list{self._place}_offsets.npy", np.cumsum(np.concatenate(self._lengths)))


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
