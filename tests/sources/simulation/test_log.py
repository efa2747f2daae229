"""The log as a reader sees it: labels worked out from it by the words of the data contract, against the truth."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from aitm_kedro.sources.simulation import PRESETS, STEPS, Log, Settings

WINDOWS = {"click": 1, "application": 1, "approval": 1, "activation": 14}


def slow_labels(columns, rows):
    """A row at a time: [rows, 4] labels, and which are consistent (no step without the one before, no time back)."""
    labels, consistent = np.zeros((len(rows), 4), int), np.ones(len(rows), bool)
    for place, row in enumerate(rows):
        before, counts, missing = columns["impression_time"][row], True, False
        for step, name in enumerate(STEPS):
            time = columns[f"{name}_time"][row]
            if np.isnan(time):
                missing, counts = True, False
                continue
            if missing or time < before:
                consistent[place] = False
            counts = counts and time - before <= WINDOWS[name]
            labels[place, step] = counts
            before = time
    return labels, consistent


@pytest.fixture(scope="module")
def mature(columns):
    """Rows of unique, mature impressions; their labels; which are consistent."""
    _, first = np.unique(columns["impression_id"], return_index=True)
    end = columns["impression_time"].max()
    rows = first[columns["impression_time"][first] + sum(WINDOWS.values()) <= end]
    return rows, *slow_labels(columns, rows)


def test_size_is_what_was_asked_for(mature):
    assert len(mature[0]) == pytest.approx(300_000, rel=1e-3)


def test_rows_come_in_order_of_time(columns):
    assert (np.diff(columns["impression_time"]) >= 0).all()
    assert (np.diff(columns["impression_id"]) >= 0).all()


def test_rates_are_near_their_targets(mature):
    _, labels, consistent = mature
    for step, rate in enumerate(PRESETS["base"].values):
        seen = labels[consistent, step].mean()
        assert seen == pytest.approx(rate, abs=4 * np.sqrt(rate / consistent.sum()) + 0.02 * rate)


def test_truth_is_calibrated_in_every_tenth(columns, mature):
    rows, labels, consistent = mature
    for step, name in enumerate(STEPS):
        truth, label = columns[f"oracle_{name}"][rows][consistent], labels[consistent, step]
        for part in np.array_split(np.argsort(truth), 10):
            expected = truth[part].sum()
            assert abs(label[part].sum() - expected) < 4.5 * np.sqrt(expected) + 1, name


def test_truth_falls_from_step_to_step(columns):
    truth = np.stack([columns[f"oracle_{name}"] for name in STEPS])
    assert (truth > 0).all()
    assert (truth < 1).all()
    assert (np.diff(truth, axis=0) <= 0).all()


def test_some_activations_come_too_late_to_count(columns, mature):
    rows, labels, consistent = mature
    rows, labels = rows[consistent], labels[consistent]
    waited = columns["activation_time"][rows] - columns["approval_time"][rows]
    late = waited > 14
    assert 0.02 < late.sum() / (~np.isnan(waited)).sum() < 0.15
    assert not labels[late, 3].any()


def test_last_days_are_immature(columns):
    end = columns["impression_time"].max()
    assert end == pytest.approx(60, abs=0.01)
    immature = columns["impression_time"] > end - sum(WINDOWS.values())
    assert immature.mean() == pytest.approx(17 / 60, abs=0.03)


def test_nothing_is_known_after_the_end_of_the_log(columns, mature):
    rows, _, consistent = mature
    for name in STEPS:
        times = columns[f"{name}_time"][rows[consistent]]
        assert not (times > 60).any()


def test_noise_has_its_shares(table, columns, mature):
    unique = len(np.unique(columns["impression_id"]))
    assert table.num_rows / unique - 1 == pytest.approx(0.005, abs=0.0005)
    assert 1 - mature[2].mean() == pytest.approx(0.003, abs=0.0004)


def test_duplicates_are_exact_copies(table, columns):
    again = np.flatnonzero(np.diff(columns["impression_id"]) == 0)
    assert len(again) > 1000
    assert table.take(pa.array(again)).equals(table.take(pa.array(again + 1)))


def test_noise_does_not_look_at_the_truth(columns, mature):
    rows, _, consistent = mature
    for name in STEPS:
        truth = columns[f"oracle_{name}"][rows]
        error = truth.std() / np.sqrt((~consistent).sum())
        assert abs(truth[~consistent].mean() - truth.mean()) < 4 * error


def test_several_features_have_missing_values(table):
    lost = [name for name in table.column_names[2:40] if table[name].null_count]
    assert len(lost) >= 8
    assert all(table[name].null_count < 0.5 * table.num_rows for name in lost)


def test_some_values_are_first_seen_after_train(table, columns):
    """Unseen values and drift begin inside the mature period, so that validation and test meet them."""
    day = columns["impression_time"]
    for field in ("audience_segment", "creative", "campaign", "place_of_interest", "search_topic"):
        codes = pc.dictionary_encode(table[field].cast(pa.string())).combine_chunks().indices
        codes = codes.fill_null(-1).to_numpy(zero_copy_only=False)
        train = np.unique(codes[day < 25.8])
        new = ~np.isin(codes[(day > 30.1) & (day < 43)], train)
        assert 0.002 < new.mean() < 0.25, field


def test_people_drift_in_the_later_half(columns):
    day, income = columns["impression_time"], columns["income_index"]
    early, late = income[day < 21], income[(day > 40) & (day < 60)]
    assert np.nanmean(late) < np.nanmean(early) - 1


def test_bank_sizes_differ_widely_and_heavy_tails_are_heavy(table):
    banks = np.sort(np.array([item["counts"] for item in pc.value_counts(table["bank"]).to_pylist()]))
    assert len(banks) == 12
    assert banks[-1] > 30 * banks[0]
    segments = np.sort([item["counts"] for item in pc.value_counts(table["audience_segment"]).to_pylist()])
    assert len(segments) > 20_000
    assert segments[-300:].sum() > 0.25 * table.num_rows


def test_industrial_rates():
    log = Log.of(Settings.of(impressions=200_000, preset="industrial"))
    truth = pa.concat_tables(log.chunk(number) for number in range(3))
    for name, rate in zip(STEPS, PRESETS["industrial"].values, strict=True):
        assert truth[f"oracle_{name}"].to_numpy().mean() == pytest.approx(rate, rel=0.06)


def test_a_chunk_does_not_depend_on_the_others(log):
    assert log.chunk(2).equals(log.chunk(2))
    again = Log.of(log.settings)
    assert again.chunk(2).equals(log.chunk(2))
    other = Log.of(Settings.of(impressions=300_000, seed=8))
    assert not other.chunk(2).equals(log.chunk(2))
