import hashlib
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.pipelines.preparation.nodes import split_impressions
from aitm_kedro.tables.parameters import Split
from aitm_kedro.tables.reports import LabelReport

FUNNEL = Funnel(steps=("click",), main_steps=("click",))
NOTHING_ASIDE = LabelReport(
    policy="drop", rows_in=9, rows_out=9, rows_aside=0, rows_repaired=0, legal={"0": 9}, illegal={}, steps={}
)


@pytest.fixture
def divide(put):
    def run(frame, **parameters):
        parts = split_impressions(put(frame), NOTHING_ASIDE, FUNNEL, Split(**parameters))
        return [set(part.to_pandas()["impression_id"]) for part in parts]

    return run


def by_cuts(frame: pd.DataFrame, valid_from, test_from) -> list[set[int]]:
    parts: list[set[int]] = [set(), set(), set()]
    for key, time in zip(frame["impression_id"], frame["impression_time"], strict=True):
        parts[0 if time < valid_from else 1 if time < test_from else 2].add(key)
    return parts


@pytest.mark.parametrize("shares", [(0.6, 0.1), (0.5, 0.25), (0.9, 0.05)])
@pytest.mark.parametrize("distinct_times", [25, 50_000])
def test_shares_cut_between_different_times(divide, make_impressions, shares, distinct_times):
    frame = make_impressions(1500)
    start, minutes = np.datetime64("2024-03-01", "us"), np.random.default_rng(1).integers(0, distinct_times, 1500)
    frame["impression_time"] = start + minutes.astype("timedelta64[m]")
    ordered = sorted(frame["impression_time"])
    cuts = [ordered[round(share * 1500)] for share in (shares[0], sum(shares))]
    found = divide(frame, train_share=shares[0], valid_share=shares[1])
    assert found == by_cuts(frame, *cuts)
    if distinct_times > 1500:
        assert abs(len(found[0]) - shares[0] * 1500) <= 2


def test_dates(divide, make_impressions):
    frame = make_impressions(500)
    cuts = datetime(2024, 3, 20), datetime(2024, 4, 1, 12)
    assert divide(frame, by="dates", valid_from=cuts[0], test_from=cuts[1]) == by_cuts(frame, *cuts)
    zoned = cuts[0].replace(tzinfo=UTC), cuts[1].replace(tzinfo=UTC)
    assert divide(frame, by="dates", valid_from=zoned[0], test_from=zoned[1]) == by_cuts(frame, *cuts)


def test_column_with_a_hashed_validation(divide, make_impressions):
    frame = make_impressions(3000).drop(columns="impression_time")
    frame["part"] = np.where(frame.index < 2400, "train", "test")
    train, valid, test = divide(frame, by="column", column="part", valid_share=0.1, seed=3)
    assert test == set(frame["impression_id"][2400:])
    threshold = 0.1 * 16**32
    digest = {key: int(hashlib.md5(f"3:valid:{key}".encode()).hexdigest(), 16) for key in frame["impression_id"][:2400]}
    assert valid == {key for key, value in digest.items() if value < threshold}
    assert train | valid == set(frame["impression_id"][:2400])
    assert 180 < len(valid) < 300
    assert divide(frame, by="column", column="part", valid_share=0.1, seed=4)[1] != valid


def test_column_with_its_own_validation(divide, make_impressions):
    frame = make_impressions(300)
    frame["part"] = np.array(["train", "valid", "test"])[frame.index % 3]
    train, valid, test = divide(frame, by="column", column="part")
    assert [len(train), len(valid), len(test)] == [100, 100, 100]
    assert valid == set(frame["impression_id"][frame["part"] == "valid"])


@pytest.mark.parametrize(
    ("change", "parameters", "message"),
    [
        (lambda frame: frame.drop(columns="impression_time"), {}, "no column 'impression_time'"),
        (lambda frame: frame.assign(impression_time=datetime(2024, 3, 1)), {}, "leaves train and valid empty"),
        (
            lambda frame: frame,
            {"by": "dates", "valid_from": datetime(2024, 3, 9), "test_from": datetime(2025, 1, 1)},
            r"leaves test empty \(rows: train",
        ),
        (lambda frame: frame, {"by": "column", "column": "part"}, "no such column"),
        (lambda frame: frame, {"by": "column", "column": "bank"}, "also holds north"),
        (lambda frame: frame.assign(part="train"), {"by": "column", "column": "part"}, "leaves test empty"),
        (
            lambda frame: frame.assign(part=np.where(frame.index < 9, None, "test")),
            {"by": "column", "column": "part"},
            "also holds null",
        ),
    ],
)
def test_bad_splits_end_in_a_sentence(divide, make_impressions, change, parameters, message):
    with pytest.raises(InputError, match=message):
        divide(change(make_impressions(300)), **parameters)
