"""``SimulatedFunnel``: the simulated industrial log as a source of the catalog."""

from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import ibis.expr.types as ir
import pyarrow.parquet as pq
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview
from kedro_datasets._utils import ConnectionMixin

from aitm_kedro.errors import InputError
from aitm_kedro.simulation import Settings, ensure_log, file_name

if TYPE_CHECKING:
    from ibis import BaseBackend


class SimulatedFunnel(ConnectionMixin, AbstractDataset[NoReturn, ir.Table]):
    """A simulated log of credit-card banners, as a lazy Ibis table; read-only.

    The first load writes the log to a Parquet file, later ones read it. The file is named after the settings: other
    settings are another file.

    Example:
        ```yaml
        raw_impressions:
          type: aitm_kedro.datasets.SimulatedFunnel
          filepath: data/01_raw/simulated
          impressions: 4_000_000
          preset: base
          seed: 0
          connection: ${globals:connection}
        ```
    """

    _CONNECTION_GROUP: ClassVar[str] = "ibis"  # one backend for equal connections, shared with ibis.FileDataset

    def __init__(
        self,
        *,
        filepath: str,
        impressions: int,
        connection: dict[str, Any] | None = None,
        preset: str = "base",
        seed: int = 0,
        rates: dict[str, float] | None = None,
        dirt: dict[str, float] | None = None,
        chunk_rows: int = 65_536,
        workers: int | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe a log; nothing is drawn yet.

        Args:
            filepath: folder in which the files of simulated logs are kept.
            impressions: mature impressions, about; the immature tail (about 40 %) and the duplicates come on top.
            connection: Ibis backend that reads the file; default: DuckDB in memory.
            preset: rates, 'base' or 'industrial'.
            seed: draws the rows.
            rates: {step: share of the mature impressions}, instead of the preset's.
            dirt: shares of the impressions that are 'duplicated', 'illegal' or 'backwards', instead of the usual.
            chunk_rows: rows that are drawn together; bounds the memory.
            workers: threads that draw; default: one a core. The log does not depend on it.
            metadata: ignored; for plugins such as Kedro-Viz.

        Raises:
            InputError: a setting that cannot be.
        """
        if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
            raise InputError(f"simulation workers is {workers!r}; give a whole number from 1, or leave it out")
        self._settings = Settings.of(
            impressions=impressions, preset=preset, seed=seed, rates=rates, dirt=dirt, chunk_rows=chunk_rows
        )
        self._folder = Path(filepath)
        self._connection_config = deepcopy(connection or {"backend": "duckdb", "database": ":memory:"})
        self._workers = workers
        self.metadata = metadata

    @property
    def path(self) -> Path:
        """The Parquet file of this log, whether it is there or not."""
        return self._folder / file_name(self._settings)

    @property
    def connection(self) -> "BaseBackend":
        """The Ibis backend that reads the file."""
        return self._connection

    def _connect(self) -> "BaseBackend":
        import ibis

        config = deepcopy(self._connection_config)
        backend = getattr(ibis, config.pop("backend"))
        return backend.connect(**config)

    def load(self) -> ir.Table:
        """The log; drawn and written first if its file is not there.

        Raises:
            InputError: the file cannot be written.
            DatasetError: the file is there and has been damaged since.
        """
        path = ensure_log(self._folder, self._settings, workers=self._workers)
        try:
            return self.connection.read_parquet(str(path))
        except Exception as error:  # each engine has its own exceptions; all of them mean that it cannot be read
            raise DatasetError(f"'{path}' is damaged; delete it, and the next run draws the log again") from error

    def save(self, data: NoReturn) -> None:
        """Raise DatasetError: a simulated log is read-only."""
        raise DatasetError("SimulatedFunnel is read-only; save to another dataset")

    def preview(self, nrows: int = 5) -> TablePreview:
        """The first rows for Kedro-Viz; no rows if the log has not been drawn yet."""
        if not self._exists():
            return TablePreview({"index": [], "columns": [], "data": []})
        with pq.ParquetFile(self.path) as file:
            rows = next(file.iter_batches(batch_size=nrows)).to_pylist()
        data = [[_shown(value) for value in row.values()] for row in rows]
        return TablePreview({"index": list(range(len(rows))), "columns": list(rows[0]), "data": data})

    def _exists(self) -> bool:
        return self.path.exists()

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": str(self._folder),
            "impressions": self._settings.impressions,
            "seed": self._settings.seed,
            "file": self.path.name,
            "backend": self._connection_config["backend"],
        }


def _shown(value: object) -> object:
    """A value as JSON can hold it."""
    return value if value is None or isinstance(value, int | float | str) else str(value)
