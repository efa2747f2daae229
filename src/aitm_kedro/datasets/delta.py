"""``DeltaTable``: a Delta table as a source of the catalog, of any version of it."""

from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ibis
import ibis.expr.types as ir
from kedro_datasets._typing import TablePreview

from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets.imports import import_extra
from aitm_kedro.datasets.sources import Source
from aitm_kedro.datasets.tables import as_preview, first_line


class DeltaTable(Source):
    """A Delta table as a lazy Ibis table; read-only.

    Its log is read by ``deltalake`` (``pip install -e ".[delta]"``), so DuckDB needs no extension. Loading fixes the
    version: what is written to the table during a run is not seen by it. The rows are streamed from the Parquet files
    of that version whenever a query needs them.

    Example:
        ```yaml
        raw_impressions:
          type: aitm_kedro.datasets.DeltaTable
          filepath: data/01_raw/shop_delta
          table_version: 12        # optional; or as_of: "2026-09-01T00:00:00Z"
          connection: ${globals:connection}
        ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        table_version: int | None = None,
        as_of: str | datetime | None = None,
        credentials: dict[str, Any] | None = None,
        connection: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the table; nothing is read yet.

        Args:
            filepath: folder of the table (which has ``_delta_log`` inside), or its address in an object store.
            table_version: number of a version of the table; default: the newest. (Kedro keeps the name ``version`` for
                itself.)
            as_of: time, in ISO 8601 with a zone: the version that was in force then.
            credentials: options of the object store, as deltalake calls them (such as ``AWS_ACCESS_KEY_ID``).
            connection: Ibis backend that computes with the rows; default: DuckDB in memory.
            metadata: ignored; for plugins such as Kedro-Viz.

        Raises:
            InputError: both a version and a time, or a time that is none.
        """
        if table_version is not None and as_of is not None:
            raise InputError(f"The Delta table '{filepath}' has 'table_version' and 'as_of' in the catalog; keep one.")
        self._filepath, self._table_version = filepath, table_version
        self._as_of = None if as_of is None else _moment(as_of, filepath)
        self._storage_options = deepcopy(credentials)
        self._use(connection)
        self.metadata = metadata

    def load(self) -> ir.Table:
        """The table.

        Raises:
            InputError: there is no such table or version, it is damaged, it cannot be read by deltalake, or deltalake
                is not installed.
        """
        dataset = self._dataset()
        if self.connection.name != "duckdb":
            return ibis.memtable(dataset)
        name = ibis.util.gen_name("delta")
        self.connection.con.register(name, dataset)
        return self.connection.table(name)

    def preview(self, nrows: int = 10) -> TablePreview:
        """The first rows for Kedro-Viz."""
        return as_preview(self._dataset().head(nrows))

    def _dataset(self) -> Any:
        """A ``pyarrow.dataset.Dataset`` of the files of the version."""
        deltalake = import_extra("deltalake", extra="delta")
        try:
            table = deltalake.DeltaTable(self._filepath, storage_options=self._storage_options)
        except deltalake.exceptions.TableNotFoundError as error:
            raise InputError(
                f"'{self._filepath}' is no Delta table: there is no log in a folder _delta_log inside it. Correct "
                "'filepath' in the catalog, or use aitm_kedro.datasets.Table for a folder of Parquet files."
            ) from error
        except (deltalake.exceptions.DeltaError, OSError) as error:
            raise self._unreadable(error) from error
        self._travel(table, deltalake.exceptions.DeltaError)
        try:
            dataset = table.to_pyarrow_dataset()
        except deltalake.exceptions.DeltaError as error:
            raise self._unreadable(error) from error
        self._check_files(dataset)
        return dataset

    def _travel(self, table: Any, library_error: type[Exception]) -> None:
        """Go to the version that the catalog names."""
        wanted = self._as_of if self._table_version is None else self._table_version
        if wanted is None:
            return
        newest = table.version()
        try:
            table.load_as_version(wanted)
        except (library_error, ValueError, OverflowError) as error:
            raise InputError(
                f"The Delta table '{self._filepath}' has no version {wanted} (the newest is {newest}, and a vacuum "
                f"takes old ones away); correct 'table_version' or 'as_of' in the catalog. ({first_line(error)})"
            ) from error
        if self._as_of is not None:
            written = datetime.fromtimestamp(table.history(1)[0]["timestamp"] / 1000, UTC)
            if written > self._as_of:  # deltalake gives the first version for every time before it
                raise InputError(
                    f"The Delta table '{self._filepath}' is younger than 'as_of' in the catalog ({self._as_of}): its "
                    f"first version was written {written:%Y-%m-%d %H:%M:%S} UTC; give a later time."
                )

    def _unreadable(self, error: Exception) -> InputError:
        return InputError(
            f"The Delta table '{self._filepath}' cannot be read: {first_line(error)}. If it uses a feature that "
            "deltalake has not, take that away where the table is written (for deletion vectors: REORG TABLE ... APPLY "
            "(PURGE), then ALTER TABLE ... DROP FEATURE deletionVectors), or write a copy as Parquet."
        )

    def _check_files(self, dataset: Any) -> None:
        """Raise InputError if a file of the version is gone; in an object store nobody looks."""
        if "://" in self._filepath:
            return
        gone = [found.path for found in dataset.filesystem.get_file_info(dataset.files) if not found.is_file]
        if gone:
            raise InputError(
                f"The Delta table '{self._filepath}' lacks {len(gone)} of its files, such as '{gone[0]}': a vacuum or "
                "somebody has deleted them. Choose a newer version, or restore them."
            )

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._filepath, "table_version": self._table_version, "as_of": self._as_of}

    def _exists(self) -> bool:
        return "://" in self._filepath or (Path(self._filepath) / "_delta_log").is_dir()


def _moment(text: Any, filepath: str) -> datetime:
    """A time of the catalog, which YAML may have understood already; without a zone it is UTC."""
    try:
        moment = text if isinstance(text, datetime) else datetime.fromisoformat(str(text))
    except ValueError as error:
        raise InputError(
            f"The Delta table '{filepath}' has 'as_of: {text}' in the catalog, which is no time; write it as in "
            "2026-09-01T00:00:00Z."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
