import logging
from datetime import datetime, timedelta

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.pipelines.ingestion.nodes import ingest_impressions
from aitm_kedro.tables import deduplication
from aitm_kedro.tables.attribution import attribute_conversions
from aitm_kedro.tables.parameters import Ingestion, Split

STEPS = ("click", "application", "approval", "activation")


def reference_labels(times: list[datetime | None], shown: datetime, windows: list[float]) -> list[int]:
    """A step counts if it happened and neither it nor an earlier one came too late after the one before."""
    labels = []
    for step in range(len(times)):
        on_time = True
        for earlier in range(step + 1):
            this, before = times[earlier], shown if earlier == 0 else times[earlier - 1]
            if this is not None and before is not None and this - before > timedelta(days=windows[earlier]):
                on_time = False
        labels.append(int(times[step] is not None and on_time))
    return labels


def reference_ingestion(log: pd.DataFrame, funnel: Funnel) -> dict[int, list[int]]:
    """Labels of the mature impressions, with loops."""
    end, result = log["impression_time"].max(), {}
    windows = [funnel.windows[step] for step in STEPS]
    for row in log.drop_duplicates("impression_id").to_dict("records"):
        times = [None if pd.isna(row[f"{step}_time"]) else row[f"{step}_time"] for step in STEPS]
        if row["impression_time"] + timedelta(days=sum(windows)) <= end:
            result[row["impression_id"]] = reference_labels(times, row["impression_time"], windows)
    return result


@pytest.fixture
def ingest(put, funnel, features):
    def run(frame, **overrides):
        given = {
            "source_report": {},
            "funnel": funnel,
            "features": features,
            "split": Split(),
            "ingestion": Ingestion(),
        }
        impressions, oracle, report = ingest_impressions(put(frame), *(given | overrides).values())
        return impressions.to_pandas(), oracle.to_pandas(), report

    return run


def with_labels(log: pd.DataFrame, **labels: object) -> pd.DataFrame:
    log = log.drop(columns=[f"{step}_time" for step in STEPS])
    return log.assign(**dict.fromkeys(STEPS, 0), **labels)


def test_attribution_and_maturity_agree_with_loops(ingest, make_log, funnel):
    log = make_log()
    impressions, _, report = ingest(log)
    expected = reference_ingestion(log, funnel)
    found = dict(zip(impressions["impression_id"], impressions[list(STEPS)].to_numpy().tolist(), strict=True))
    assert found == expected
    assert 0 < report.rows_aside.immature < len(log)
    assert all(0 < impressions[step].mean() < 1 for step in STEPS)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.none() | st.integers(-20, 40), min_size=4, max_size=4),
        min_size=1,
        max_size=20,
    )
)
def test_attribution_of_any_event_times(hours):
    shown = datetime(2024, 3, 1)
    windows = {"click": 1, "application": 0.5, "approval": 0.25, "activation": 1.5}
    funnel = Funnel(steps=STEPS, main_steps=STEPS[:1], windows=windows)
    times = [[None if hour is None else shown + timedelta(hours=hour) for hour in row] for row in hours]
    frame = pd.DataFrame({"impression_time": shown, "row": range(len(times))})
    for place, step in enumerate(STEPS):
        frame[f"{step}_time"] = pd.Series([row[place] for row in times], dtype="datetime64[us]")
    labels = (
        attribute_conversions(ibis.memtable(pa.Table.from_pandas(frame, preserve_index=False)), funnel)
        .order_by("row")
        .to_pandas()
    )
    expected = [reference_labels(row, shown, list(windows.values())) for row in times]
    assert labels[list(STEPS)].to_numpy().tolist() == expected


def test_window_bounds_are_included(ingest, funnel):
    shown = pd.Timestamp("2024-03-01")
    frame = pd.DataFrame(
        {
            "impression_id": [1, 2, 3],
            "impression_time": [shown, shown, shown + pd.Timedelta(days=17.5)],
            "bank": "b",
            "x": [1, 2, 3],
            "click_time": [shown + pd.Timedelta(days=1), shown + pd.Timedelta(days=1, microseconds=1), pd.NaT],
            **dict.fromkeys(("application_time", "approval_time", "activation_time"), pd.NaT),
        }
    )
    impressions, _, report = ingest(frame, features=Features(numeric=("x",)))
    assert dict(zip(impressions["impression_id"], impressions["click"], strict=True)) == {1: 1, 2: 0}
    assert report.mature_until == datetime(2024, 3, 1)


@pytest.mark.parametrize("few", [0, 200_000], ids=["by the engine", "in memory"])
def test_report_accounts_for_every_row(ingest, make_log, few, monkeypatch):
    monkeypatch.setattr(deduplication, "FEW", few)
    log = make_log()
    other = log.iloc[20:30].assign(spend=-1.0)
    impressions, _, report = ingest(pd.concat([log, log.iloc[:20], log.iloc[:5], other], ignore_index=True))
    assert report.rows_in == len(log) + 35
    assert report.rows_in == report.rows_out + report.rows_aside.total
    assert report.rows_out == len(impressions) == impressions["impression_id"].nunique()
    assert report.rows_aside.exact_duplicates == 25
    assert report.rows_aside.other_duplicates == 10


def test_many_ids_with_other_features_are_warned_of(ingest, make_log, caplog):
    log = make_log(100)
    ingest(pd.concat([log, log.iloc[:5].assign(spend=-1.0)], ignore_index=True))
    assert "have an impression_id" not in caplog.text
    ingest(pd.concat([log, log.iloc[:50].assign(spend=-1.0)], ignore_index=True))
    assert "50 rows of 150 (33.3 %) have an impression_id that other rows have, too, with other features" in caplog.text


def test_report_has_what_the_source_says_of_itself(ingest, make_log):
    _, _, report = ingest(make_log(300), source_report={"unreadable_lines": 3})
    assert report.source == {"unreadable_lines": 3}


def test_the_first_of_repeated_rows_is_kept(ingest, make_log):
    log = make_log(500)
    log = log.sort_values("impression_time", ignore_index=True)
    repeated = log.iloc[:2].assign(spend=[7.0, 5.0])
    log.loc[:1, "spend"] = [6.0, 8.0]
    # Equal times: the smaller value of the first column that differs. Different ones: the earlier row.
    repeated.loc[1, "impression_time"] -= pd.Timedelta(minutes=1)
    for frame in (pd.concat([log, repeated]), pd.concat([repeated, log])):
        impressions, _, _ = ingest(frame.reset_index(drop=True))
        kept = impressions.set_index("impression_id")["spend"]
        assert kept[log["impression_id"][0]] == 6.0
        assert kept[log["impression_id"][1]] == 5.0


@pytest.mark.parametrize("moved", ["another time", "no time"])
def test_repeated_ids_with_different_outcomes_are_an_error(ingest, make_log, moved):
    log = make_log(200)
    row = log[log["click_time"].notna()].iloc[[0]].copy()
    row["click_time"] = pd.NaT if moved == "no time" else row["click_time"] + pd.Timedelta(minutes=1)
    with pytest.raises(
        InputError, match=rf"'impression_id' has 1 value in several rows.*{row['impression_id'].iloc[0]}"
    ):
        ingest(pd.concat([log, row], ignore_index=True))


def test_repeated_ids_with_different_labels_are_an_error(ingest, make_log):
    log = with_labels(make_log(200))
    with pytest.raises(InputError, match="different outcomes"):
        ingest(pd.concat([log, log.iloc[:3].assign(click=1)], ignore_index=True))


def test_oracle_is_split_off(ingest, make_log):
    log = make_log()
    for place, step in enumerate(STEPS):
        log[f"oracle_{step}"] = log["impression_id"] * 0.5 + place
    impressions, oracle, _ = ingest(pd.concat([log, log.iloc[:9]], ignore_index=True))
    assert not [name for name in impressions.columns if name.startswith("oracle")]
    assert sorted(oracle["impression_id"]) == sorted(impressions["impression_id"])
    assert (oracle["oracle_approval"] == oracle["impression_id"] * 0.5 + 2).all()


def test_source_without_oracle_gives_an_empty_one(ingest, make_log):
    _, oracle, _ = ingest(make_log(300))
    assert list(oracle.columns) == ["impression_id", *(f"oracle_{step}" for step in STEPS)]
    assert len(oracle) == 0


def test_incomplete_oracle_is_an_error(ingest, make_log):
    with pytest.raises(InputError, match="oracle_application"):
        ingest(make_log(300).assign(oracle_click=0.5))


@pytest.mark.parametrize("dtype", ["bool", "int64", "float64", "float-null"])
def test_label_columns_of_any_numeric_type(ingest, make_log, dtype):
    log = with_labels(make_log(300))
    log["click"] = np.arange(300) % 2
    log["click"] = log["click"].astype(dtype.split("-")[0])
    if dtype == "float-null":
        log.loc[:9, "click"] = None
    impressions, _, report = ingest(log)
    assert report.rows_aside.immature == (10 if dtype == "float-null" else 0)
    assert impressions["click"].dtype == np.int8
    assert impressions.set_index("impression_id")["click"].sum() == log["click"].sum()


def test_labels_need_neither_times_nor_windows(ingest, make_log):
    log = with_labels(make_log(300)).drop(columns="impression_time")
    impressions, _, report = ingest(log, funnel=Funnel(steps=STEPS, main_steps=STEPS))
    assert len(impressions) == 300
    assert report.first_impression is None


def test_ids_beyond_signed_integers_are_read_as_text(ingest, make_log):
    log = make_log(200)
    log["impression_id"] = (2**64 - 1 - np.arange(200, dtype=np.uint64)).astype(np.uint64)
    impressions, *_ = ingest(log)
    assert impressions["impression_id"].max() == str(2**64 - 1)


def test_times_as_text_and_text_ids(ingest, make_log, funnel):
    log = make_log(300)
    text = log.assign(impression_id=log["impression_id"].astype(str))
    for name in ["impression_time", *(f"{step}_time" for step in STEPS)]:
        text[name] = log[name].map(lambda time: None if pd.isna(time) else time.isoformat(sep=" "))
    found, _, _ = ingest(text)
    expected, _, _ = ingest(log)
    assert found["impression_id"].map(int).tolist() == expected["impression_id"].tolist()
    pd.testing.assert_frame_equal(found.iloc[:, 1:], expected.iloc[:, 1:])


@pytest.mark.parametrize("kind", ["datetime64[ns]", "datetime64[ms]", "datetime64[us, Europe/Berlin]"])
def test_times_of_any_unit_and_zone(ingest, make_log, kind):
    log = make_log(300)
    for name in ["impression_time", *(f"{step}_time" for step in STEPS)]:
        log[name] = log[name].astype("datetime64[s]").astype("datetime64[us]")
    other = log.copy()
    for name in ["impression_time", *(f"{step}_time" for step in STEPS)]:
        times = other[name].dt.tz_localize("UTC") if "Berlin" in kind else other[name]
        other[name] = times.astype(kind)
    pd.testing.assert_frame_equal(ingest(other)[0], ingest(log)[0])


def test_rename_and_only_named_columns(ingest, make_log):
    log = make_log(300).assign(unused=1).rename(columns={"spend": "SPEND_EUR", "impression_id": "id"})
    names = {"spend": "SPEND_EUR", "impression_id": "id"}
    impressions, _, _ = ingest(log, ingestion=Ingestion(rename=names))
    assert set(names) <= set(impressions.columns)
    assert "unused" not in impressions.columns


def test_nan_is_null(con, put, make_log, funnel, features):
    log = make_log(300)
    table, _, _ = ingest_impressions(put(log), {}, funnel, features, Split(), Ingestion())
    assert int(table["spend"].isnan().fill_null(False).sum().execute()) == 0
    assert int(table["spend"].isnull().sum().execute()) > 0


def test_split_column_is_kept(ingest, make_log):
    impressions, _, _ = ingest(make_log(300).assign(part="train"), split=Split(by="column", column="part"))
    assert "part" in impressions.columns


@pytest.mark.parametrize(
    ("change", "overrides", "message"),
    [
        (lambda log: log.iloc[:0], {}, "raw_impressions is empty: it has the columns impression_id, .*, but no rows"),
        (lambda log: log.drop(columns="spend"), {}, "no column 'spend'"),
        (lambda log: log.rename(columns={"spend": "spent"}), {}, "did you mean 'spent' for 'spend'"),
        (lambda log: log.drop(columns="impression_id"), {}, "no column 'impression_id'"),
        (lambda log: log.drop(columns="impression_time"), {}, "no column 'impression_time'"),
        (lambda log: log.drop(columns=["bank"]), {"features": Features(numeric=("spend",))}, "funnel.segment names it"),
        (lambda log: log.drop(columns="click_time"), {}, "missing: click_time"),
        (lambda log: log.assign(**dict.fromkeys(STEPS, 0)), {}, "set ingestion.labels_from"),
        (lambda log: log, {"ingestion": Ingestion(labels_from="columns")}, "labels_from is 'columns'"),
        (lambda log: log, {"ingestion": Ingestion(rename={"x": "nowhere"})}, "ingestion.rename names it"),
        (lambda log: log, {"ingestion": Ingestion(rename={"spend": "orders"})}, "has a column 'spend' already"),
        (lambda log: log, {"split": Split(by="column", column="part")}, "split.column names it"),
        (lambda log: log, {"funnel": Funnel(steps=STEPS, main_steps=STEPS)}, "funnel.windows has no entry for click"),
        (lambda log: log, {"features": Features(numeric=("click_time",))}, "a label of the funnel"),
        (lambda log: log, {"features": Features(numeric=("oracle_click",))}, "hold the truth"),
        (lambda log: log, {"features": Features(numeric=("city",))}, "'city' must hold numbers .* example c9"),
        (lambda log: log.assign(impression_id=log["impression_id"] + 0.5), {}, "must be an integer or text"),
        (lambda log: log.assign(impression_id=log["impression_id"].astype("Int64").where(log.index > 2)),
         {}, "null or blank in 3 rows"),
        (lambda log: log.assign(impression_id=log["impression_id"].astype(str).where(log.index > 1, " ")),
         {}, "null or blank in 2 rows"),
        (lambda log: log.assign(impression_time=log["impression_time"].where(log.index > 1)), {}, "null in 2 rows"),
        (lambda log: log.assign(impression_time="yesterday"), {}, "for example yesterday"),
        (lambda log: log.assign(click_time=17), {}, "'click_time' holds numbers from 17 to 17, which are"),
        (lambda log: with_labels(log).assign(click=np.where(log.index < 4, 2, 0)), {}, "4 rows .* for example 2"),
        (lambda log: with_labels(log).assign(click=0.5), {}, "'click' must hold 0, 1 or null.*for example 0.5"),
        (lambda log: with_labels(log).assign(click="won"), {}, "'click' must hold one of 1, .* for example won"),
        (lambda log: with_labels(log).assign(approval=np.nan), {}, "none of the 300 impressions is mature"),
        (lambda log: log.assign(impression_time=datetime(2024, 3, 1)), {}, "the log ends 2024-03-01"),
    ],
)  # fmt: skip
def test_bad_input_ends_in_a_sentence(ingest, make_log, change, overrides, message):
    with pytest.raises(InputError, match=message):
        ingest(change(make_log(300)), **overrides)


def test_observed_until_ends_the_log(ingest, make_log, funnel):
    log = make_log()
    end = datetime(2024, 4, 1)
    impressions, _, report = ingest(log, funnel=funnel.model_copy(update={"observed_until": end}))
    assert impressions["impression_time"].max() <= end - timedelta(days=funnel.total_window)
    assert report.observed_until == end


def test_ingestion_logs_what_it_did(ingest, make_log, caplog):
    with caplog.at_level(logging.INFO):
        ingest(make_log(300))
    assert "of 300 rows" in caplog.text
