"""Tables on disk with several faces: Ibis (lazy, any size), pandas (small results), Arrow (streams)."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from glob import glob, has_magic
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

from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets.atomic import Atomic
from aitm_kedro.datasets.csv_files import open_csv
from aitm_kedro.datasets.parquet_files import open_parquet
from aitm_kedro.datasets.parts import find_parts
from aitm_kedro.datasets.watched import check_unchanged, watch

ROWS_A_GROUP = 262_144
"""Of the Parquet files that are written from a stream."""


class Table(Atomic, FileDataset):
    """An Ibis table in one file or many, Parquet by default, CSV with ``file_format: csv``.

    What is loaded may be one file, a folder of parts, or a pattern (``data/01_raw/*.csv.gz``); what is saved is one.

    Loading is lazy: rows are read when a node's result is computed. (Every row of a CSV is parsed once before, to find
    the types, and lines that cannot be read.) Errors of the engine about a missing or broken file become sentences. A
    table that a node hands on as it was loaded is not computed again: it becomes a second name of the same file, if
    both are versions (which are never changed).
    """

    def load(self) -> ir.Table:
        """Open the file, or the parts, as a lazy table.

        Raises:
            InputError: the file is missing, a part cannot be read, or an option does not exist.
            DatasetError: the file is not of its format.
        """
        path = str(self._get_load_path())
        try:
            table = self._open(path)
            if self._version and not self._load_args:  # never changed; a file of one's own may be written over
                remember(table, path)
            else:
                _FILES.pop(table.op(), None)
            return table
        except InputError:
            raise
        except Exception as error:  # each engine has its own exceptions; all of them mean that it cannot be read
            raise DatasetError(
                f"'{path}' cannot be read as {self._file_format}: it is cut short, damaged, or of another format. "
                f"({first_line(error)})"
            ) from error

    def _open(self, path: str) -> ir.Table:
        reader = READERS.get(self._file_format)
        if reader is None or not self._is_local() or self.connection.name != "duckdb":
            return super().load.__wrapped__(self)
        parts = find_parts(path, self._file_format)
        table = reader(self.connection, parts, self._load_args, name=self._table_name)
        if not self._version:  # versions never change
            watch(table, parts)
        return table

    def save(self, data: ir.Table) -> None:
        """Compute the table and write it, whole or not at all.

        Raises:
            InputError: a file that it is computed from has changed since it was loaded.
            DatasetError: if the table lives in another engine, or cannot be written.
        """
        if any(backend is not self.connection for backend in data._find_backends()[0]):
            raise DatasetError(
                f"'{self._filepath}' is computed from a table of another engine. In the catalog, give raw_impressions "
                "the connection of all tables: 'connection: ${globals:connection}'."
            )
        try:
            super().save(data)
        except Exception:
            check_unchanged(data)  # which is then why
            raise

    def _write(self, data: ir.Table) -> None:
        source = _FILES.get(data.op()) if self._version and self._is_local() else None
        if source and source.endswith(f".{self._file_format}") and Path(source).is_file():
            target = Path(self._get_save_path())
            target.unlink(missing_ok=True)  # what is written there must not be written into a file that has other names
            with contextlib.suppress(OSError):  # a file system without second names, or another one: written anew
                os.link(source, target)
                return
        super()._write(data)
        check_unchanged(data)

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the first rows for Kedro-Viz, without reading the rest; no rows where nothing was saved yet."""
        if not self.exists():
            return NO_ROWS
        path = str(self._get_load_path())
        if self._file_format == "parquet" and self._is_local() and Path(path).is_file():
            return preview_parquet(path, nrows)
        if self._file_format == "csv" and self._is_local():  # opening it would read all of it
            first = find_parts(path, "csv")[0]
            return as_preview(self.connection.read_csv(first, **self._load_args).limit(nrows).to_pyarrow())
        return as_preview(self.load().limit(nrows).to_pyarrow())

    def _exists(self) -> bool:
        if not has_magic(str(self._filepath)) or not self._is_local():
            return bool(super()._exists())
        return any(Path(found).is_file() for found in glob(str(self._filepath), recursive=True))


READERS = {"parquet": open_parquet, "csv": open_csv}
"""How DuckDB opens local files of a format."""


_FILES: dict[Any, str] = {}
"""Expression of each table that is a file, with that file."""


def remember(table: ir.Table, path: str) -> None:
    """Note of which file a lazy table is, so that saving it again need not compute it."""
    _FILES[table.op()] = path


class Frame(Atomic, ParquetDataset):
    """A pandas table as Parquet."""

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the first rows for Kedro-Viz, without reading the rest; no rows where nothing was saved yet."""
        return preview_parquet(str(self._get_load_path()), nrows) if self.exists() else NO_ROWS


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
            raise DatasetError(f"'{path}' cannot be read as Parquet. ({first_line(error)})") from error

    def save(self, data: Any) -> NoReturn:
        """Raise: the file is written by its other face."""
        raise DatasetError(f"{type(self).__name__} only loads; save through the '@table' face of the dataset")

    def preview(self, nrows: int = 10) -> TablePreview:
        """Return the first rows for Kedro-Viz, without reading the rest; no rows where nothing was saved yet."""
        return preview_parquet(str(self._get_load_path()), nrows) if self.exists() else NO_ROWS

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


NO_ROWS = TablePreview({"index": [], "columns": [], "data": []})
"""Preview of a table that is not there."""


def preview_parquet(path: str, nrows: int) -> TablePreview:
    """The first rows of a file for Kedro-Viz."""
    with pq.ParquetFile(path) as file:
        batch = next(file.iter_batches(batch_size=nrows), None)
        table = file.schema_arrow.empty_table() if batch is None else pa.Table.from_batches([batch])
    return as_preview(table)


def as_preview(table: pa.Table) -> TablePreview:
    """Kedro-Viz shows text, so that times and missing values arrive as people read them."""
    rows = [["" if value is None else str(value) for value in row.values()] for row in table.to_pylist()]
    return TablePreview({"index": list(range(len(rows))), "columns": table.column_names, "data": rows})


def first_line(error: BaseException) -> str:
    """What a library says, in short."""
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else type(error).__name__
