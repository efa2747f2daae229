"""Sources of the catalog that are no plain files: what they have in common."""

from abc import abstractmethod
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import ibis.expr.types as ir
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview
from kedro_datasets._utils import ConnectionMixin

from aitm_kedro.datasets.tables import NO_ROWS, preview_parquet, remember

if TYPE_CHECKING:
    from ibis import BaseBackend


class Source(ConnectionMixin, AbstractDataset[NoReturn, ir.Table]):
    """A lazy, read-only Ibis table in an engine that it shares with the other tables of the catalog.

    It has no constructor here, since Kedro takes note of the arguments of each constructor, and only those of the
    subclass are of interest.
    """

    _CONNECTION_GROUP: ClassVar[str] = "ibis"  # one backend for equal connections, shared with ibis.FileDataset

    metadata: dict[str, Any] | None

    def _use(self, connection: dict[str, Any] | None) -> None:
        """Read by this Ibis backend; default: DuckDB in memory."""
        self._connection_config = deepcopy(connection or {"backend": "duckdb", "database": ":memory:"})

    @property
    def connection(self) -> "BaseBackend":
        """The Ibis backend that reads the source."""
        return self._connection

    def _connect(self) -> "BaseBackend":
        import ibis

        config = deepcopy(self._connection_config)
        backend = getattr(ibis, config.pop("backend"))
        return backend.connect(**config)

    def save(self, data: NoReturn) -> None:
        """Raise DatasetError: the source is read-only."""
        raise DatasetError(f"{type(self).__name__} is read-only; save to another dataset")


class MadeOnce(Source):
    """A source that is a Parquet file, which a load makes; a subclass says which file, and makes it."""

    @property
    @abstractmethod
    def path(self) -> Path:
        """The Parquet file, whether it is there or not."""

    @abstractmethod
    def _make(self) -> None:
        """Make the file unless it is there."""

    def load(self) -> ir.Table:
        """The table; made first if its file is not there.

        Raises:
            InputError: the file cannot be made.
            DatasetError: the file is there and has been damaged since.
        """
        self._make()
        try:
            table = self.connection.read_parquet(str(self.path))
            remember(table, str(self.path))
            return table
        except Exception as error:  # each engine has its own exceptions; all of them mean that it cannot be read
            raise DatasetError(f"'{self.path}' is damaged; delete it, and the next run makes it again") from error

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first rows for Kedro-Viz; no rows if the file has not been made yet."""
        if not self._exists():
            return NO_ROWS
        return preview_parquet(str(self.path), nrows)

    def _exists(self) -> bool:
        return self.path.exists()
