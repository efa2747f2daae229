"""``SimulatedFunnel``: the simulated industrial log as a source of the catalog."""

from pathlib import Path
from typing import Any

from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets.sources import MadeOnce
from aitm_kedro.sources.simulation import Settings, ensure_log, file_name


class SimulatedFunnel(MadeOnce):
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

    def __init__(
        self,
        *,
        filepath: str,
        impressions: int,
        connection: dict[str, Any] | None = None,
        preset: str = "base",
        seed: int = 0,
        rates: dict[str, float] | None = None,
        noise: dict[str, float] | None = None,
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
            noise: shares of the impressions that are 'duplicated', 'illegal' (inconsistent labels) or 'backwards' (an
                application earlier than its click), instead of the usual.
            chunk_rows: rows that are drawn together; bounds the memory.
            workers: threads that draw; default: one a core. The log does not depend on it.
            metadata: ignored; for plugins such as Kedro-Viz.

        Raises:
            InputError: a setting that cannot be.
        """
        if workers is not None and (isinstance(workers, bool) or not isinstance(workers, int) or workers < 1):
            raise InputError(f"simulation workers is {workers!r}; give a whole number from 1, or leave it out")
        self._settings = Settings.of(
            impressions=impressions, preset=preset, seed=seed, rates=rates, noise=noise, chunk_rows=chunk_rows
        )
        self._folder = Path(filepath)
        self._use(connection)
        self._workers = workers
        self.metadata = metadata

    @property
    def path(self) -> Path:
        """The Parquet file of this log, whether it is there or not."""
        return self._folder / file_name(self._settings)

    def _make(self) -> None:
        ensure_log(self._folder, self._settings, workers=self._workers)

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": str(self._folder),
            "impressions": self._settings.impressions,
            "seed": self._settings.seed,
            "file": self.path.name,
            "backend": self._connection_config["backend"],
        }
