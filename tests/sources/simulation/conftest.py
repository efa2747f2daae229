"""One log that most tests of the simulator look at."""

import numpy as np
import pyarrow as pa
import pytest

from aitm_kedro.sources.simulation import Log, Settings


@pytest.fixture(scope="session")
def log() -> Log:
    return Log.of(Settings.of(impressions=300_000, seed=7))


@pytest.fixture(scope="session")
def table(log: Log) -> pa.Table:
    return pa.concat_tables(log.chunk(number) for number in range(log.chunks))


@pytest.fixture(scope="session")
def columns(table: pa.Table) -> dict[str, np.ndarray]:
    """Every column that is not a dictionary, as NumPy; times in days since the first midnight, NaN for null."""
    result = {}
    for name in table.column_names:
        column = table[name]
        if pa.types.is_timestamp(column.type):
            times = column.to_numpy()
            days = (times - np.datetime64("2024-03-04")) / np.timedelta64(1, "D")
            result[name] = np.where(np.isnat(times), np.nan, days)
        elif not pa.types.is_dictionary(column.type):
            result[name] = column.to_numpy()
    return result
