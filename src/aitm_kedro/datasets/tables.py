"""Tables on disk with several faces: Ibis (lazy, any size), pandas (small results), Arrow (streams)."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from kedro.io import AbstractVersionedDataset, DatasetError
from kedro_datasets._typing import TablePreview
from kedro_datasets.ibis import FileDataset
from kedro_datasets.pandas import ParquetDataset

from aitm_kedro.datasets.atomic import Atomic

ROWS_A_GROUP = 262_144
"""Of the Parquet files that are written from a stream."""


class Table(Atomic, FileDataset):
    """An Ibis table in one file, Parquet by default, CSV with ``file_format: csv``.

    Loading is lazy: rows are read when a node's result is computed. Errors of the engine about a missing or broken
    file become sentences. A table that a node hands on as it was loaded is not computed again: it becomes a second name
    of the same file, if both are versions (which are never changed).
    """

    def load(self) -> ir.Table:
        """Open the file as a lazy table.

        Raises:
            DatasetError: if the file is missing, or is not of its format.
        """
        path = str(self._get_load_path())
        if self._is_local() and not _exists(path):
            raise DatasetError(f"There is no file '{path}'. Put it there, or correct 'filepath' in the catalog.")
        try:
            table = super().load.__wrapped__(self)
            if self._version and not self._load_args:  # never changed; a file of one's own may be written over
                remember(table, path)
            else:
                _FILES.pop(table.op(), None)
            return table
        except Exception as error:  # each engine has its own exceptions; all of them mean that it cannot be read
            raise DatasetError(
                f"'{path}' cannot be read as {self._file_format}: it is cut short, damaged, or of another format. "
                f"({_first_line(error)})"
            ) from error

    def save(self, data: ir.Table) -> None:
        """Compute the table and write it, whole or not at all.

        Raises:
            DatasetError: if the table lives in another engine, or cannot be written.
        """
        if any(backend is not self.connection for backend in data._find_backends()[0]):
            raise DatasetError(
                f"'{self._filepath}' is computed from a table of another engine. In the catalog, give raw_impressions "
                "the connection of all tables: 'connection: ${globals:connection}'."
            )
        super().save(data)

    def _write(self, data: ir.Table) -> None:
        source = _FILES.get(data.op()) if self._version and self._is_local() else None
        if source and source.endswith(f".{self._file_format}") and Path(source).is_file():
            target = Path(self._get_save_path())
            target.unlink(missing_ok=True)  # what is written there must not be written into a file that has other names
            with contextlib.suppress(OSError):  # a file system without second names, or another one: written anew
                os.link(source, target)
                return
        super()._write(data)

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the first rows for Kedro-Viz, without reading the rest."""
        if self._file_format == "parquet" and self._is_local():
            return preview_parquet(str(self._get_load_path()), nrows)
        return _as_preview(self.load().limit(nrows).to_pyarrow())


_FILES: dict[Any, str] = {}
"""Expression of each table that is a file, with that file."""


def remember(table: ir.Table, path: str) -> None:
    """Note of which file a lazy table is, so that saving it again need not compute it."""
    _FILES[table.op()] = path


class Frame(Atomic, ParquetDataset):
    """A pandas table as Parquet."""

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the first rows for Kedro-Viz, without reading the rest."""
        return preview_parquet(str(self._get_load_path()), nrows)


class OptionalFrame(Frame):
    """A pandas table that need not be there: None is loaded then."""

    def load(self) -> pd.DataFrame | None:
        """Read the table, or None if nothing was ever saved."""
        return super().load() if self.exists() else None


class ArrowTable(AbstractVersionedDataset[NoReturn, Any]):
    """A Parquet file as a ``pyarrow.dataset.Dataset``: nothing is read until someone streams its batches.

    Only the loading face of a file that :class:`Table` saved (Kedro calls the pair transcoding).
    """

    def __init__(self, *, filepath: str, version: Any = None, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(filepath=PurePosixPath(filepath), version=version)
        self.metadata = metadata

    def load(self) -> Any:
        """Open the file.

        Raises:
            DatasetError: if the file is not Parquet.
        """
        return self._open()

    def _open(self) -> ds.Dataset:
        path = str(self._get_load_path())
        try:
            return ds.dataset(path, format="parquet")
        except (OSError, pa.ArrowInvalid) as error:
            raise DatasetError(f"'{path}' cannot be read as Parquet. ({_first_line(error)})") from error

    def save(self, data: Any) -> NoReturn:
        """Raise: the file is written by its other face."""
        raise DatasetError(f"{type(self).__name__} only loads; save through the '@table' face of the dataset")

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the first rows for Kedro-Viz, without reading the rest."""
        return preview_parquet(str(self._get_load_path()), nrows)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}

    def _exists(self) -> bool:
        return Path(str(self._get_load_path())).exists()


class ParquetStream(Atomic, ArrowTable):  # type: ignore[misc]  # which saves, unlike the other face
    """Record batches of a stream as one Parquet file, for tables that do not fit into memory.

    What is saved is a ``pyarrow.RecordBatchReader``, or anything with a ``schema`` whose iteration gives record
    batches; what is loaded is a ``pyarrow.dataset.Dataset``.
    """

    def _write(self, data: Any) -> None:
        """Write the batches as they come, a row group at a time."""
        schema = getattr(data, "schema", None)
        if not isinstance(schema, pa.Schema) or not isinstance(data, Iterable):
            raise DatasetError(
                f"'{self._filepath}' is written from a stream of record batches with a schema, such as a "
                f"pyarrow.RecordBatchReader, but the node returned {type(data).__name__}."
            )
        with pq.ParquetWriter(str(self._get_save_path()), schema, compression="zstd") as writer:
            for group in row_groups(data, rows=ROWS_A_GROUP):
                writer.write_table(group, row_group_size=ROWS_A_GROUP)


def row_groups(batches: Iterable[pa.RecordBatch], *, rows: int) -> Iterator[pa.Table]:
    """Gather batches of any size to tables of ``rows`` rows; the last one may have fewer."""
    waiting: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        waiting.append(batch)
        count += batch.num_rows
        while count >= rows:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, rows)
            waiting = table.slice(rows).to_batches()
            count -= rows
    if count:
        yield pa.Table.from_batches(waiting)


def _exists(path: str) -> bool:
    folder, _, pattern = path.rpartition("/")
    return any(Path(folder or ".").glob(pattern)) if any(c in pattern for c in "*?[") else Path(path).exists()


def preview_parquet(path: str, nrows: int) -> TablePreview:
    """The first rows of a file for Kedro-Viz."""
    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=nrows), None)
        table = file.schema_arrow.empty_table() if batch is None else pa.Table.from_batches([batch])
    return _as_preview(table)


def _as_preview(table: pa.Table) -> TablePreview:
    """Kedro-Viz shows text, so that times and missing values arrive as people read them."""
    rows = [["" if value is None else str(value) for value in row.values()] for row in table.to_pylist()]
    return TablePreview({"index": list(range(len(rows))), "columns": table.column_names, "data": rows})


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
