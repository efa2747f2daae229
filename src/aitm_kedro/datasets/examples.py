"""Encoded examples as models read them: arrays mapped into memory, beside the Parquet file that they come from."""

from pathlib import Path
from typing import Any

import pyarrow as pa
from kedro.io import DatasetError

from aitm_kedro.core.example_store import LAYOUT, open_arrays, write_arrays
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.storage import ensure, sweep_versions
from aitm_kedro.datasets.tables import ArrowTable


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
        path = Path(str(self._get_load_path()))
        table = self._open()
        found = path.stat()
        folder = path.with_name(f"{path.stem}-{LAYOUT}-{found.st_size}-{found.st_mtime_ns}.arrays")
        try:
            if self._version and not folder.exists():  # a run that was killed may never come back to its version
                sweep_versions(path.parents[1])
            ensure(folder, lambda part: write_arrays(table, part))
        except (OSError, pa.ArrowException) as error:
            raise DatasetError(f"'{path}' cannot be laid out as arrays beside it: {error}") from error
        try:
            examples: Examples = open_arrays(folder)
        except (OSError, EOFError, TypeError, ValueError, pa.ArrowException) as error:
            raise DatasetError(
                f"The arrays in '{folder}' are damaged; delete the folder, and the next run lays them out again. "
                f"({error})"
            ) from error
        return examples
