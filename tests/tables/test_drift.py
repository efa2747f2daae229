import logging

import numpy as np
import pandas as pd
import pytest

from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.evaluation.stability import population_stability_index
from aitm_kedro.pipelines.preparation.nodes import (
    build_vocabulary,
    check_labels,
    describe_features,
    downsample_negatives,
    encode_impressions,
    measure_drift,
)
from aitm_kedro.tables import drift
from aitm_kedro.tables.parameters import Labels, Sampling, VocabularyOptions

STEPS = ("click", "application", "approval", "activation")
LISTS = Features(categorical=("city", "bank", "hour"), numeric=("spend", "orders"), lists=("tags",))


@pytest.fixture
def impressions(make_impressions):
    """Those in which the final step happens come from other cities and hours than the rest."""

    def make(rows, seed):
        frame, draw = make_impressions(rows, seed=seed, rate=0.15), np.random.default_rng(seed)
        happened = frame["activation"] == 1
        frame.loc[happened, "city"] = "c0"
        frame.loc[happened, "hour"] = 3
        frame["spend"] = frame["spend"].where(~happened, frame["spend"] + 200)
        frame["tags"] = [draw.integers(0, 9, size).tolist() for size in draw.integers(0, 4, rows)]
        return frame

    return make


@pytest.fixture
def report(put, funnel):
    """The drift report of a train split, which is downsampled, and a test split; validation is like train."""

    def run(train, test, funnel=funnel, **sampling):
        tables = put(train), put(train), put(test)
        *_, labels = check_labels(tables[0], funnel, Labels())
        options = Sampling(**({"positive_share": 0.2} | sampling))
        sample, valid, sampled = downsample_negatives(tables[0], tables[1], labels, funnel, options)
        words = build_vocabulary(sample, *tables[:2], funnel, LISTS, VocabularyOptions())
        specs = describe_features(sample, words, LISTS)
        encoded = [encode_impressions(table, words, funnel, LISTS) for table in (sample, valid, tables[2])]
        return measure_drift(*encoded, sampled, specs, funnel)

    return run


@pytest.mark.parametrize("per_segment", [False, True])
def test_downsampling_does_not_look_like_drift(report, impressions, caplog, per_segment):
    """Train goes from 2 % to 20 % of positives, which all come from one city, at one hour."""
    train, test = impressions(8000, 1), impressions(8000, 2)
    for frame in (train, test):
        frame.loc[(frame["bank"] == "south") & (frame.index % 3 > 0), list(STEPS)] = 0  # for another keep rate
    with caplog.at_level(logging.WARNING):
        found = report(train, test, per_segment=per_segment, positive_share=0.2)
    drifts = found.splits["test"].features
    assert set(drifts) == {*LISTS.names}
    assert all(each.psi < 2 * each.by_chance for each in drifts.values())
    assert {each.level for each in drifts.values()} == {"none"}
    assert not [record for record in caplog.records if "distribution" in record.getMessage()]
    assert all(each.psi < 1e-9 for each in found.splits["valid"].features.values())


def test_unweighted_it_would(report, impressions, monkeypatch):
    """What the test above would show without weights."""
    monkeypatch.setattr(drift, "_weights", lambda batch, rates, funnel: np.ones(batch.num_rows))
    found = report(impressions(8000, 1), impressions(8000, 2))
    assert min(found.splits["test"].features[name].psi for name in ("hour", "spend")) > 0.25


def test_indices_are_those_of_the_whole_log(report, impressions, funnel):
    """Without a sample or downsampling, each index is that of histograms counted by pandas."""
    train, test = impressions(3000, 1), impressions(2000, 2)
    test["hour"] = test["hour"] // 2
    found = report(train, test, positive_share=None)
    counts = [frame["hour"].value_counts().reindex(range(24), fill_value=0).to_numpy() for frame in (train, test)]
    expected = population_stability_index(*counts)
    assert found.splits["test"].features["hour"].psi == pytest.approx(expected.psi)
    assert found.splits["test"].features["hour"].by_chance == pytest.approx(expected.by_chance)
    assert (found.train_rows, found.splits["test"].rows) == (3000, 2000)


def test_steps_are_compared_over_all_rows_before_downsampling(report, impressions, caplog):
    train, test = impressions(10_000, 1), impressions(10_000, 2)
    test.loc[test.index % 2 == 0, "activation"] = 0
    with caplog.at_level(logging.WARNING):
        found = report(train, test).splits["test"].steps
    assert list(found) == list(STEPS)
    for step in STEPS:
        assert found[step].train_rate == pytest.approx(train[step].mean())
        assert found[step].rate == pytest.approx(test[step].mean())
    assert [found[step].level for step in STEPS] == ["none", "none", "none", "large"]
    (text,) = [record.getMessage() for record in caplog.records]
    assert "The rates of steps differ much between train and test ('activation': 2." in text


def test_what_drifts_is_named_largest_first(report, impressions, caplog):
    train, test = impressions(5000, 1), impressions(5000, 2)
    test["city"] = "elsewhere"
    test["spend"] *= 3
    test["tags"] = [[8, 8, 7]] * len(test)
    test["orders"] += (test.index % 3 == 0).astype(int)
    with caplog.at_level(logging.INFO):
        found = report(train, test, positive_share=None).splits["test"]
    levels = {name: each.level for name, each in found.features.items()}
    assert levels == dict.fromkeys(("city", "tags", "spend"), "large") | {
        "orders": "moderate",
        "hour": "none",
        "bank": "none",
    }
    assert [each.psi for each in found.features.values()] == sorted(
        (e.psi for e in found.features.values()), reverse=True
    )
    (warning,) = [record.getMessage() for record in caplog.records if "differs much" in record.getMessage()]
    names = [f"'{name}' ({found.features[name].psi:.2f})" for name in levels if levels[name] == "large"]
    assert f"The distribution of {names[0]}, {names[1]} and {names[2]} differs much" in warning
    assert f"The distribution of 'orders' ({found.features['orders'].psi:.2f}) differs somewhat" in caplog.text


def test_at_most_so_many_rows_are_looked_at_and_always_the_same(report, impressions, monkeypatch):
    monkeypatch.setattr(drift, "SAMPLE_ROWS", 1000)
    train, test = impressions(5000, 1), impressions(900, 2)
    found = report(train, test, positive_share=None)
    assert 850 < found.train_rows < 1150
    assert found.splits["test"].rows == 900
    assert report(train.sample(frac=1, random_state=0), test, positive_share=None) == found


def test_rare_values_share_a_bin(report, impressions, monkeypatch):
    """A shuffle among all but the most frequent values is no drift; unknown values have a bin of their own."""
    monkeypatch.setattr(drift, "NAMED_IDS", 4)
    train, test = impressions(3600, 1), impressions(3600, 2)
    hours = np.repeat(np.arange(24), np.arange(24, 0, -1) * 12)  # hour 0 is the most frequent one
    train["hour"] = hours
    test["hour"] = np.where(hours < 4, hours, 27 - hours)
    assert report(train, test, positive_share=None).splits["test"].features["hour"].level == "none"
    test["hour"] = np.where(test["hour"] < 4, test["hour"], 99)
    assert report(train, test, positive_share=None).splits["test"].features["hour"].level == "large"


def test_without_segment(report, impressions):
    funnel = Funnel(steps=STEPS, main_steps=STEPS[2:])
    found = report(impressions(6000, 1), impressions(6000, 2), funnel=funnel, per_segment=True)
    assert max(each.psi for each in found.splits["test"].features.values()) < 0.05


def test_small_splits_do_not_cry_wolf(report, impressions, caplog):
    with caplog.at_level(logging.WARNING):
        found = report(impressions(300, 1), impressions(60, 2), positive_share=None)
    assert found.splits["test"].features["hour"].psi > 0.25
    assert pd.Series([each.level for each in found.splits["test"].features.values()]).eq("none").all()
    assert "distribution" not in caplog.text
