"""A small log with all the noise of real ones, and a database to hold it."""

from collections.abc import Callable, Iterator

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from ibis.backends.duckdb import Backend

from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel

STEPS = ("click", "application", "approval", "activation")


@pytest.fixture
def con() -> Iterator[Backend]:
    connection = ibis.duckdb.connect(threads=2)
    yield connection
    connection.disconnect()


@pytest.fixture
def put(con) -> Callable[[pd.DataFrame], ibis.Table]:
    """Hand a frame to the database."""

    def create(frame: pd.DataFrame) -> ibis.Table:
        return con.create_table(ibis.util.gen_name("frame"), pa.Table.from_pandas(frame, preserve_index=False))

    return create


@pytest.fixture
def funnel() -> Funnel:
    return Funnel(
        steps=STEPS,
        main_steps=("approval", "activation"),
        segment="bank",
        windows={"click": 1, "application": 0.5, "approval": 2, "activation": 14},
    )


@pytest.fixture
def features() -> Features:
    return Features(categorical=("city", "bank", "hour"), numeric=("spend", "orders"))


@pytest.fixture
def make_log() -> Callable[..., pd.DataFrame]:
    """A log of impressions with event times, some late, some out of order, and features with nulls."""

    def make(rows: int = 2000, seed: int = 0) -> pd.DataFrame:
        draw = np.random.default_rng(seed)
        start = np.datetime64("2024-03-01T00:00:00", "us")
        log = pd.DataFrame({"impression_id": draw.permutation(rows) + 10**12})
        log["impression_time"] = start + draw.integers(0, 60 * 24 * 60, rows).astype("timedelta64[m]")
        log["bank"] = draw.choice(["north", "south", "tiny"], rows, p=[0.6, 0.38, 0.02])
        log["city"] = [None if draw.random() < 0.1 else f"c{int(40 * draw.random() ** 3)}" for _ in range(rows)]
        log["hour"] = draw.integers(0, 24, rows)
        log["spend"] = np.where(draw.random(rows) < 0.1, np.nan, draw.exponential(50, rows).round(1))
        log["orders"] = draw.poisson(0.7, rows)
        before = log["impression_time"]
        happened = np.ones(rows, bool)
        for step, rate, days in zip(STEPS, (0.6, 0.6, 0.7, 0.6), (1, 0.5, 2, 14), strict=True):
            orphan = draw.random(rows) < 0.01
            happened = (happened & (draw.random(rows) < rate)) | orphan
            delay = pd.to_timedelta(draw.uniform(-0.02, 1.2, rows) * days, unit="D").astype("timedelta64[us]")
            time = before.fillna(log["impression_time"]) + delay
            log[f"{step}_time"] = time.where(happened)
            before = log[f"{step}_time"]
        return log

    return make


@pytest.fixture
def make_impressions() -> Callable[..., pd.DataFrame]:
    """Impressions with consistent labels."""

    def make(rows: int = 2000, seed: int = 0, rate: float = 0.3) -> pd.DataFrame:
        draw = np.random.default_rng(seed)
        frame = pd.DataFrame({"impression_id": draw.permutation(rows)})
        minutes = draw.integers(0, 50 * 24 * 60, rows).astype("timedelta64[m]")
        frame["impression_time"] = np.datetime64("2024-03-01T00:00:00", "us") + minutes
        frame["bank"] = draw.choice(["north", "south", "tiny"], rows, p=[0.6, 0.37, 0.03])
        frame["city"] = [None if draw.random() < 0.1 else f"c{int(40 * draw.random() ** 3)}" for _ in range(rows)]
        frame["hour"] = draw.integers(0, 24, rows)
        frame["spend"] = np.where(draw.random(rows) < 0.1, np.nan, draw.exponential(50, rows).round(1))
        frame["orders"] = draw.poisson(0.7, rows)
        happened = np.ones(rows, bool)
        for step in STEPS:
            happened = happened & (draw.random(rows) < rate**0.5)
            frame[step] = happened.astype(np.int8)
        return frame

    return make
