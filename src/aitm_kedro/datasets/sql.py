"""``SQLTable``: a table, or the answer to a query, of a database as a source of the catalog."""

import logging
import re
from pathlib import Path
from typing import Any

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.storage import reason_of, replacing
from aitm_kedro.datasets.batches import write_batches
from aitm_kedro.datasets.databases import TypeMismatchError, find_database, in_python
from aitm_kedro.datasets.sources import MadeOnce

logger = logging.getLogger(__name__)


class SQLTable(MadeOnce):
    """A database table as a lazy Ibis table; read-only.

    Stages look at their source several times, and a database may change meanwhile. So every load sends one query, and
    writes the answer to a Parquet file, batch by batch, in bounded memory; what was there before is replaced once the
    new file is whole. **Every run of ingestion (of scoring, for an audience) reads the database anew**, and nothing
    else does; the file stays until then, and may be deleted at any time between runs.

    SQLite and PostgreSQL are read through ADBC (``pip install -e ".[sql]"``), in Arrow batches; other databases through
    any driver after Python's DB-API, or one of ADBC's.

    Example:
        ```yaml
        raw_impressions:
          type: aitm_kedro.datasets.SQLTable
          credentials: shop_database        # of credentials.yml: {uri: postgresql://user:password@host/shop}
          query: SELECT * FROM impressions WHERE impression_time >= '2026-01-01'
          filepath: data/01_raw/${globals:folder}/impressions.parquet
          connection: ${globals:connection}
        ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        table: str | None = None,
        query: str | None = None,
        uri: str | None = None,
        credentials: dict[str, Any] | None = None,
        driver: str | None = None,
        rows_a_batch: int = 65_536,
        connection: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the source; nothing is read yet.

        Args:
            filepath: Parquet file for the copy of the rows.
            table: name of a table or a view, with its schema if need be ("sales.impressions").
            query: a SELECT, instead of a table.
            uri: address of a database without a password: ``sqlite:///relative/path``, ``sqlite:////absolute/path``,
                ``postgresql://host:5432/database``.
            credentials: {"uri": an address with a password}; with ``driver``, other arguments of its ``connect``.
            driver: Python module of another driver, such as ``oracledb`` or ``adbc_driver_snowflake.dbapi``.
            rows_a_batch: rows that are read together, which bounds the memory; PostgreSQL's driver reads 16 MB.
            connection: Ibis backend that reads the Parquet file; default: DuckDB in memory.
            metadata: ignored; for plugins such as Kedro-Viz.

        Raises:
            InputError: neither a table nor a query, or both; no database; a password in the catalog.
        """
        if bool(table) == bool(query):
            raise InputError("A source of the type SQLTable needs either 'table' or 'query' in the catalog.")
        if isinstance(rows_a_batch, bool) or not isinstance(rows_a_batch, int) or rows_a_batch < 1:
            raise InputError(f"'rows_a_batch' of an SQLTable is {rows_a_batch!r}; give a whole number from 1.")
        self._database = find_database(uri, credentials, driver, rows_a_batch)
        self._query = query.strip().rstrip(";") if query else f"SELECT * FROM {_quoted(table or '')}"
        self._file = Path(filepath)
        self._use(connection)
        self.metadata = metadata

    @property
    def path(self) -> Path:
        """The Parquet file of the copy, whether it is there or not."""
        return self._file

    def _make(self) -> None:
        """Read the database.

        Raises:
            InputError: it cannot be reached, refuses the query, has no rows, or holds what cannot be read; or the copy
                cannot be written.
        """
        logger.info(
            "Reading the %s into '%s'; each run of ingestion (or scoring) does so anew.", self._database.name, self.path
        )
        try:
            with replacing(self.path) as part:
                rows = self._fill(part)
                if not rows:
                    raise InputError(f"The {self._database.name} gives no rows to the query: {self._query}")
        except OSError as error:
            raise InputError(
                f"The copy of the {self._database.name} cannot be written to '{self.path}': {reason_of(error)}; make "
                "room or choose another filepath."
            ) from error

    def _fill(self, part: Path) -> int:
        """Write the rows to a file; by Python's own driver where SQLite changes the type of a column on the way."""
        try:
            return write_batches(lambda: self._database.batches(self._query), part, name=self._database.name)
        except TypeMismatchError:
            slower = in_python(self._database)
            return write_batches(lambda: slower.batches(self._query), part, name=slower.name)

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self.path), "database": self._database.name, "query": self._query}


def _quoted(table: str) -> str:
    """The name as SQL writes it; capitals and other characters are kept by quotes."""
    parts = table.split(".")
    return ".".join(part if re.fullmatch(r"[a-z_][a-z0-9_$]*", part) else f'"{part}"' for part in parts)
