"""Encoded examples as models read them: arrays mapped into memory, beside the Parquet file that they come from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
from kedro.io import DatasetError

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.example_store import LAYOUT, open_arrays, read_fingerprints, write_arrays
from aitm_kedro.core.examples import Examples, Fingerprints
from aitm_kedro.core.storage import ensure, sweep_versions
from aitm_kedro.datasets.tables import ArrowTable

Read = TypeVar("Read")


class ExampleArrays(ArrowTable):
    """An encoded Parquet file as ``Examples``.

    The first load lays the file out as arrays in a folder beside it; this and every later load maps them into memory.
    Ids, labels and lists are not read until they are used, and models that run one after another share what is in
    memory already. The folder is named after the file's size and time: another file has other arrays.
    """

    def load(self) -> Any:
        """Map the arrays.

        Raises:
            DatasetError: if the file is not Parquet, the arrays cannot be written, or have been damaged since.
        """
        examples: Examples = self._read(open_arrays)
        return examples

    def fingerprints(self) -> Fingerprints:
        """What the examples are, by content, without opening their arrays.

        Raises:
            DatasetError: as ``load``.
        """
        return self._read(read_fingerprints)

    def _read(self, read: Callable[[Path], Read]) -> Read:
        """Lay the arrays out unless they are there, and read something of their folder."""
        path = Path(str(self._get_load_path()))
        table = self._open()
        found = path.stat()
        folder = path.with_name(f"{path.stem}-{LAYOUT}-{found.st_size}-{found.st_mtime_ns}.arrays")
        try:
            if self._version and not folder.exists():  # a run that was killed may never come back to its version
                sweep_versions(path.parents[1])
            ensure(folder, lambda part: write_arrays(table, part))
        except (OSError, pa.ArrowException, InputError) as error:
            raise DatasetError(f"'{path}' cannot be laid out as arrays beside it: {error}") from error
        try:
            return read(folder)
        except (OSError, EOFError, TypeError, ValueError, pa.ArrowException) as error:
            raise DatasetError(
                f"The arrays in '{folder}' are damaged; delete the folder, and the next run lays them out again. "
                f"({error})"
            ) from error


class ExampleFingerprints(ExampleArrays):
    """What encoded examples are, by content (``core.examples.Fingerprints``); None where nothing was encoded yet."""

    def load(self) -> Any:
        """Read the fingerprints, which costs next to nothing once the arrays are laid out.

        Raises:
            DatasetError: as ``ExampleArrays``.
        """
        return self.fingerprints() if self.exists() else None
