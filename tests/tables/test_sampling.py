import hashlib
import logging

import numpy as np
import pandas as pd
import pytest

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.pipelines.preparation.nodes import downsample_negatives
from aitm_kedro.tables.parameters import Sampling
from aitm_kedro.tables.reports import KeepRates, LabelReport, SamplingReport

STEPS = ("click", "application", "approval", "activation")
NOTHING_ASIDE = LabelReport(
    policy="drop", rows_in=9, rows_out=9, rows_aside=0, rows_repaired=0, legal={"0000": 9}, illegal={}, steps={}
)


def reference_sample(frame: pd.DataFrame, rates: dict[str, float], seed: int) -> set[int]:
    """Every positive and, segment by segment, the negatives of the lowest hash."""
    kept = set(frame["impression_id"][frame["activation"] == 1])
    for segment, rate in rates.items():
        negatives = frame["impression_id"][(frame["activation"] == 0) & (frame["bank"] == segment)]
        ordered = sorted(negatives, key=lambda key: hashlib.md5(f"{seed}:sampling:{key}".encode()).hexdigest())
        kept |= set(ordered[: round(rate * len(ordered))])
    return kept


def rate_for(positives: int, negatives: int, share: float) -> float:
    return min(1.0, positives * (1 - share) / share / negatives)


@pytest.fixture
def splits(make_impressions):
    return make_impressions(4000, seed=1), make_impressions(1500, seed=2)


@pytest.fixture
def sample(put, funnel):
    def run(train, valid, funnel=funnel, **parameters):
        options = Sampling(**parameters)
        kept, kept_valid, report = downsample_negatives(put(train), put(valid), NOTHING_ASIDE, funnel, options)
        return kept.to_pandas(), kept_valid.to_pandas(), report

    return run


@pytest.mark.parametrize("seed", [0, 7])
def test_one_rate_drawn_within_segments(sample, splits, seed):
    train, valid = splits
    kept, kept_valid, report = sample(train, valid, positive_share=0.2, seed=seed)
    positives = train["activation"].sum()
    rate = rate_for(positives, len(train) - positives, 0.2)
    rates = dict.fromkeys(("north", "south", "tiny"), rate)
    assert set(kept["impression_id"]) == reference_sample(train, rates, seed)
    assert set(kept_valid["impression_id"]) == reference_sample(valid, rates, seed)
    assert report.keep_rates.model_dump() == {"overall": pytest.approx(rate), "per_segment": None}
    assert kept["activation"].mean() == pytest.approx(0.2, abs=1e-3)
    pd.testing.assert_frame_equal(
        kept.sort_values("impression_id", ignore_index=True),
        train[train["impression_id"].isin(kept["impression_id"])].sort_values("impression_id", ignore_index=True),
        check_dtype=False,
    )


def test_each_segment_to_lambda_by_itself(sample, splits):
    train, valid = splits
    train.loc[train["bank"] == "tiny", "activation"] = 0
    rich = train["bank"] == "south"
    train.loc[rich, list(STEPS)] = np.repeat((np.arange(rich.sum()) % 2 == 0)[:, None], 4, axis=1).astype(np.int8)
    valid.loc[:9, "bank"] = "new"
    kept, kept_valid, report = sample(train, valid, positive_share=0.2, per_segment=True)
    count = {name: (part["activation"].sum(), (part["activation"] == 0).sum()) for name, part in train.groupby("bank")}
    overall = rate_for(train["activation"].sum(), (train["activation"] == 0).sum(), 0.2)
    rates = {"north": rate_for(*count["north"], 0.2), "south": 1.0, "tiny": overall, "new": overall}
    assert report.keep_rates.model_dump() == {"overall": pytest.approx(overall), "per_segment": pytest.approx(rates)}
    assert set(kept["impression_id"]) == reference_sample(train, rates, 0)
    assert set(kept_valid["impression_id"]) == reference_sample(valid, rates, 0)


def test_without_segment(sample, splits):
    train, valid = splits
    funnel = Funnel(steps=STEPS, main_steps=STEPS[2:])
    kept, _, report = sample(train.drop(columns="bank"), valid.drop(columns="bank"), funnel=funnel, positive_share=0.2)
    assert set(kept["impression_id"]) == reference_sample(train.assign(bank="x"), {"x": report.keep_rates.overall}, 0)
    assert report.train.after.segments == {}


def test_columns_may_have_any_name(sample, splits):
    """Names that the queries use for themselves are free for columns of the source."""
    train, valid = (frame.rename(columns={"bank": "segment", "city": "rows"}) for frame in splits)
    funnel = Funnel(steps=STEPS, main_steps=STEPS[2:], segment="segment")
    kept, _, report = sample(train, valid, funnel=funnel, positive_share=0.2)
    expected = reference_sample(splits[0], dict.fromkeys(("north", "south", "tiny"), report.keep_rates.overall), 0)
    assert set(kept["impression_id"]) == expected


def test_null_segments_are_a_segment(sample, splits):
    train, valid = splits
    train.loc[:99, "bank"] = None
    kept, _, report = sample(train, valid, positive_share=0.2)
    assert report.train.before.segments["(none)"].rows == 100
    assert report.train.after.segments["(none)"].rows == kept["bank"].isna().sum()


def test_report_tells_what_happened_to_every_step_and_segment(sample, splits):
    train, valid = splits
    kept, kept_valid, report = sample(train, valid, positive_share=0.2)
    assert SamplingReport.model_validate_json(report.model_dump_json()) == report
    report = report.model_dump(mode="json")
    for name, before, after in (("train", train, kept), ("valid", valid, kept_valid)):
        for when, frame in (("before", before), ("after", after)):
            said = report[name][when]
            assert said["rows"] == len(frame) == sum(part["rows"] for part in said["segments"].values())
            for step in STEPS:
                assert said["steps"][step] == {
                    "positives": frame[step].sum(),
                    "rate": pytest.approx(frame[step].mean()),
                }
                south = frame[frame["bank"] == "south"]
                assert said["segments"]["south"]["steps"][step]["positives"] == south[step].sum()


@pytest.mark.parametrize("share", [None, 0.001])
def test_everything_is_kept(sample, splits, caplog, share):
    """Without lambda in silence; where lambda is reached already with a warning."""
    train, valid = splits
    with caplog.at_level(logging.WARNING):
        kept, kept_valid, report = sample(train, valid, positive_share=share)
    assert (len(kept), len(kept_valid)) == (len(train), len(valid))
    assert report.keep_rates.model_dump() == {"overall": 1.0, "per_segment": None}
    assert ("positive_share (0.1 %) is reached already" in caplog.text) == (share is not None)


def test_segments_without_a_rate_of_their_own_take_that_of_all():
    assert KeepRates(overall=0.5).of("a") == 0.5
    rates = KeepRates(overall=0.5, per_segment={"a": 0.25})
    assert (rates.of("a"), rates.of("b")) == (0.25, 0.5)


def test_a_segment_without_a_negative_is_kept_as_it_is(sample, splits):
    train, valid = splits
    south = train["bank"] == "south"
    train.loc[south, list(STEPS)] = 1
    kept, _, _ = sample(train, valid, positive_share=0.5, per_segment=True)
    assert (kept["bank"] == "south").sum() == south.sum()


def test_a_segment_may_lose_all_its_negatives(sample, splits):
    train, valid = splits
    south = train["bank"] == "south"
    train.loc[south, "activation"] = 0
    train.loc[south & (train["activation"].index == train.index[south][0]), list(STEPS)] = 1
    kept, _, _ = sample(train, valid, positive_share=0.9, per_segment=True)
    assert (kept["bank"] == "south").sum() == 1


@pytest.mark.parametrize("split", ["train", "validation"])
def test_downsampling_that_leaves_one_class_ends_in_a_sentence(sample, splits, split):
    train, valid = splits
    if split == "train":
        train["activation"] = 0
        train.loc[0, list(STEPS)] = 1
    else:
        valid = valid[valid["activation"] == 1]
        valid = pd.concat([valid, valid.assign(**dict.fromkeys(STEPS, 0), impression_id=valid["impression_id"] + 9999)])
        valid = valid.iloc[: len(valid) // 2 + 1]
    with pytest.raises(InputError, match=rf"{split} impressions.*by downsampling to sampling.positive_share 0.9"):
        sample(train, valid, positive_share=0.9)


def test_bad_classes_end_in_a_sentence(sample, splits):
    train, valid = splits
    with pytest.raises(InputError, match="step 'approval' has no positives among the 4,000 train"):
        sample(train.assign(approval=0), valid)
    with pytest.raises(InputError, match="none of the main steps"):
        sample(train, valid.assign(approval=0, activation=0))
    sample(train, valid.assign(activation=0))
    with pytest.raises(InputError, match=r"every one of the 4,000 train .* all main steps .* nothing to learn"):
        sample(train.assign(**dict.fromkeys(STEPS, 1)), valid)
    with pytest.raises(InputError, match=r"funnel\.segment names 'bank'"):
        sample(train.drop(columns="bank"), valid)


@pytest.mark.parametrize(
    ("segment", "sentence"),
    [
        (None, None),
        (range(4000), "has 4,000 values in 4,000 train impressions, too many for figures of each"),
        ("one", "has one value alone ('one') in all 4,000 train impressions"),
        (pd.NA, "has one value alone ("),
    ],
)
def test_segments_that_tell_nothing_are_warned_of(sample, splits, caplog, segment, sentence):
    train, valid = splits
    if segment is not None:
        train["bank"] = pd.array(list(map(str, segment)), "string") if isinstance(segment, range) else segment
        train["bank"] = train["bank"].astype("string")
    sample(train, valid)
    assert ("The segment" in caplog.text) == (sentence is not None)
    assert (sentence or "") in caplog.text
