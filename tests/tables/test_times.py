"""Times as people have them: what is read, what is guessed, and what is never guessed."""

from datetime import UTC, date, datetime
from decimal import Decimal

import ibis
import pyarrow as pa
import pytest
from pydantic import ValidationError

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.pipelines.ingestion.nodes import ingest_impressions
from aitm_kedro.tables.parameters import Ingestion, Split, TimeForm
from aitm_kedro.tables.source import read_source

NOON = datetime(2026, 8, 31, 13, 5)
SECONDS = 1788181500  # of it, since 1970
FUNNEL = Funnel(steps=("click",), main_steps=("click",))


@pytest.fixture
def ingest(con):
    """Impressions of these times, as they are read, and the report."""

    def run(times, kind=None, **time):
        rows = pa.table({"impression_id": range(len(times)), "impression_time": pa.array(times, kind)})
        rows = rows.append_column("click", pa.array([0] * len(times))).append_column("x", pa.array([1.0] * len(times)))
        table = con.create_table(ibis.util.gen_name("times"), rows)
        options = Split(), Ingestion(time=time)
        found, _, report = ingest_impressions(table, {}, FUNNEL, Features(numeric=("x",)), *options)
        return found.order_by("impression_id")["impression_time"].to_pyarrow().to_pylist(), report

    return run


@pytest.mark.parametrize(
    ("times", "kind"),
    [
        ([SECONDS], pa.int64()),
        ([SECONDS], pa.uint32()),
        ([float(SECONDS)], pa.float64()),
        ([Decimal(SECONDS)], pa.decimal128(18, 2)),
        ([SECONDS * 10**3], pa.int64()),
        ([SECONDS * 10**6], pa.int64()),
        ([SECONDS * 10**9], pa.int64()),
        ([SECONDS * 10.0**3], pa.float64()),
        ([str(SECONDS)], pa.string()),
        ([f" {SECONDS}000 "], pa.string()),
        ([f"{SECONDS}.0"], pa.string()),
        ([f"{SECONDS}".encode()], pa.binary()),
        (["2026-08-31 13:05:00"], pa.string()),
        (["2026-08-31T13:05:00.000"], pa.string()),
        (["2026-08-31 13:05"], pa.string()),
        ([" 2026/8/31 13:05:00 "], pa.string()),
        (["2026-08-31T13:05:00Z", "2026-08-31T15:05:00+02:00"], pa.string()),
        (["2026-08-31 13:05:00 UTC", "2026-08-31 11:05:00 -0200", "2026-08-31 15:05 +02"], pa.string()),
        (["2026-08-31T13:05Z", "2026-08-31T13:05z", "2026-08-31T15:05+02:00"], pa.string()),
        ([NOON], pa.timestamp("s")),
        ([NOON.replace(tzinfo=UTC)], pa.timestamp("us", "Europe/Berlin")),
    ],
    ids=str,
)
def test_times_in_every_form_are_the_same_moment(ingest, times, kind):
    found, report = ingest(times, kind)
    assert found == [NOON] * len(times)
    assert report.first_impression == report.last_impression == NOON


@pytest.mark.parametrize("times", [[date(2026, 8, 31)], ["2026-08-31"], ["2026/8/31"]], ids=str)
def test_days_begin_at_midnight(ingest, times):
    assert ingest(times)[0] == [datetime(2026, 8, 31)]


@pytest.mark.parametrize(
    ("times", "kind", "microseconds"),
    [
        ([SECONDS + 0.25], pa.float64(), 250_000),
        ([SECONDS * 1000 + 7], pa.int64(), 7_000),
        ([SECONDS * 10**6 + 7], pa.int64(), 7),
        ([SECONDS * 10**9 + 7_999], pa.int64(), 7),
        ([f"{SECONDS}.25"], pa.string(), 250_000),
        (["2026-08-31 13:05:00.25"], pa.string(), 250_000),
    ],
    ids=str,
)
def test_fractions_of_seconds_are_kept(ingest, times, kind, microseconds):
    assert ingest(times, kind)[0] == [NOON.replace(microsecond=microseconds)]


@pytest.mark.parametrize("times", [[1700000000123456.0], ["1700000000123456"]], ids=str)
def test_the_report_has_the_times_of_the_table(ingest, times):
    found, report = ingest(times)
    assert report.first_impression == report.last_impression == found[0]


@pytest.mark.parametrize(
    ("times", "time", "moment"),
    [
        (["31.08.2026 13:05"], {"format": "%d.%m.%Y %H:%M"}, NOON),
        (["08/31/2026 01:05 PM"], {"format": "%m/%d/%Y %I:%M %p"}, NOON),
        (["01.02.2026"], {"format": "%d.%m.%Y"}, datetime(2026, 2, 1)),
        (["01.02.2026"], {"format": "%m.%d.%Y"}, datetime(2026, 1, 2)),
        ([20260831], {"format": "%Y%m%d"}, datetime(2026, 8, 31)),
        ([100], {"unit": "s"}, datetime(1970, 1, 1, 0, 1, 40)),
        (["100"], {"unit": "ms"}, datetime(1970, 1, 1, 0, 0, 0, 100_000)),
        ([SECONDS], {"unit": "s", "format": "%d.%m.%Y"}, NOON),
    ],
    ids=str,
)
def test_forms_by_option(ingest, times, time, moment):
    found, report = ingest(times, **time)
    assert found == [moment]
    assert report.last_impression == moment


def test_what_was_guessed_stands_in_the_log_and_in_the_report(ingest, caplog):
    caplog.set_level("INFO")
    assert ingest([SECONDS * 1000])[1].read_as == {"impression_time": "ms since 1970 (guessed by their size)"}
    assert "Columns read: 'impression_time' ms since 1970 (guessed by their size)" in caplog.text
    assert ingest([5], unit="s")[1].read_as == {"impression_time": "s since 1970 (by ingestion.time.unit)"}
    assert ingest(["2026-08-31"])[1].read_as == {"impression_time": "text without time zones, taken as UTC"}
    assert ingest(["2026-08-31T13:05Z"])[1].read_as == {"impression_time": "text with time zones, made UTC"}
    assert ingest(["31.08.2026"], format="%d.%m.%Y")[1].read_as == {"impression_time": "text in the format %d.%m.%Y"}
    assert ingest([NOON])[1].read_as == {}


@pytest.mark.parametrize(
    ("times", "time", "sentence"),
    [
        ([SECONDS, 0], {}, r"holds numbers from 0 to 1.78818e\+09, which are not all times between 1990 and 2100"),
        ([SECONDS, SECONDS * 1000], {}, r"set ingestion.time: \{unit: s\} \(or ms, us, ns"),
        ([20260831], {}, r"\{format: '%Y%m%d'\} if 20240331 is a day"),
        (["20260831"], {}, r"\{format: '%Y%m%d'\} if 20240331 is a day"),
        ([-5], {}, "numbers from -5 to -5, which are not all times"),
        ([SECONDS * 10**6], {"unit": "s"}, "which are no times in the unit 's' of ingestion.time; name another one"),
        ([float("nan"), SECONDS], {}, "column 'impression_time' is null in 1 row; fill it, or leave such rows out"),
        ([float("inf")], {}, "must hold times or null, but holds inf; make it null"),
        (["01.02.2026"], {}, "1 row holds something else, for example 01.02.2026, where day and month could be meant"),
        (["01/02/2026"], {}, r"either way; ingestion.time.format says how .* \{format: '%d.%m.%Y %H:%M'\}"),
        (["01/02/26"], {}, "where day and month could be meant either way"),
        (["13/31/2026", "2026-08-31"], {}, "where day and month could be meant either way"),
        (["31. August 2026"], {}, "for example 31. August 2026; ingestion.time.format says how it is written"),
        (["2026-02-31"], {}, "1 row holds something else, for example 2026-02-31"),
        (["infinity"], {}, "for example infinity"),
        (["2026-08-31T13:05:00Z", "2026-08-31T13:05:00"], {}, "mixes forms: 1 with a time zone among 2 times"),
        (["2026-08-31T13:05:00Z", str(SECONDS)], {}, "mixes forms: 1 number among 2 times; write all alike"),
        (["31.08.2026", "2026-08-31"], {"format": "%d.%m.%Y"},
         r"must hold times in the format %d.%m.%Y \(ingestion.time.format\) or null, but 1 row holds .* 2026-08-31"),
        (["31.02.2026"], {"format": "%d.%m.%Y"}, "for example 31.02.2026"),
        ([True], {}, "column 'impression_time' is boolean, for example true; it must hold timestamps"),
        ([[NOON]], {}, r"column 'impression_time' is array<timestamp\(6\)>, for example \["),
        ([NOON, None], {}, "'impression_time' is null in 1 row; fill it, or leave such rows out"),
        ([SECONDS, None], {}, "'impression_time' is null in 1 row;"),
        (["2026-08-31", "  ", None], {}, "'impression_time' is null in 2 rows"),
        (pa.nulls(2, pa.string()), {}, "'impression_time' is null in 2 rows"),
        (pa.nulls(2, pa.int32()), {}, "'impression_time' is null in 2 rows"),
    ],
    ids=str,
)  # fmt: skip
def test_what_could_mean_two_things_ends_in_a_sentence(ingest, times, time, sentence):
    with pytest.raises(InputError, match=sentence):
        ingest(times, **time)


def test_event_times_of_other_forms_than_impressions(con):
    """Numbers by their unit, text by its format, and what never happened is null, whichever way it is written."""
    rows = pa.table(
        {
            "impression_id": [1, 2, 3, 4],
            "impression_time": ["31.08.2026 13:05", "31.08.2026 13:05", "31.08.2026 13:05", "30.09.2026 00:00"],
            "click_time": [SECONDS + 60, None, SECONDS + 90000, None],
            "buy_time": ["31.08.2026 14:00", "", "31.08.2026 14:00", None],
            "x": [1.0, 2.0, 3.0, 4.0],
        }
    )
    funnel = Funnel(steps=("click", "buy"), main_steps=("buy",), windows={"click": 1, "buy": 1})
    options = Split(), Ingestion(time={"format": "%d.%m.%Y %H:%M", "unit": "s"})
    table = con.create_table("log", rows)
    found, _, report = ingest_impressions(table, {}, funnel, Features(numeric=("x",)), *options)
    labels = found.order_by("impression_id").select("click", "buy").to_pyarrow().to_pydict()
    assert labels == {"click": [1, 0, 0], "buy": [1, 0, 0]}
    assert report.observed_until == datetime(2026, 9, 30)
    assert report.rows_aside.immature == 1


ZONED = NOON.replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("shown", "clicked", "time", "warns"),
    [
        (NOON, ZONED, {}, True),
        ("2026-08-31 13:05", "2026-08-31T13:06Z", {}, True),
        (ZONED, "2026-08-31 13:06", {}, True),
        (NOON, SECONDS + 60, {}, True),
        (NOON, "2026-08-31 13:06", {}, False),
        (ZONED, SECONDS + 60, {}, False),
        ("2026-08-31T13:05Z", "2026-08-31T15:06+02:00", {}, False),
        (NOON, pa.scalar(None, pa.timestamp("us", "UTC")), {}, False),
        (ZONED, "31.08.2026 13:06", {"format": "%d.%m.%Y %H:%M"}, True),
    ],
    ids=str,
)
def test_columns_with_and_without_zone_are_warned_of(con, caplog, shown, clicked, time, warns):
    """Windows are measured between them, and would be wrong by hours if those without a zone are local."""
    columns = {"impression_id": [1], "impression_time": [shown], "click_time": [clicked], "x": [1.0]}
    table = con.create_table(ibis.util.gen_name("log"), pa.table(columns))
    features, ingestion = Features(numeric=("x",)), Ingestion(time=time)
    read_source(table, funnel=FUNNEL, features=features, split=Split(), ingestion=ingestion)
    assert ("windows are wrong by hours: write all with a zone" in caplog.text) == warns


def test_of_labels_from_columns_the_zones_of_event_times_are_no_matter(con, caplog):
    columns = {"impression_id": [1], "impression_time": [NOON], "click_time": [ZONED], "click": [0], "x": [1.0]}
    table = con.create_table(ibis.util.gen_name("log"), pa.table(columns))
    ingestion = Ingestion(labels_from="columns")
    ingest_impressions(table, {}, FUNNEL, Features(numeric=("x",)), Split(), ingestion)
    assert "time zone" not in caplog.text


def test_a_step_that_never_happened_has_no_time(con):
    """A column of nothing but nulls has no type that says what it is."""
    rows = pa.table({"impression_id": [1, 2], "impression_time": [NOON, datetime(2026, 10, 1)], "x": [1.0, 2.0]})
    rows = rows.append_column("click_time", pa.nulls(2, pa.int32())).append_column("buy_time", pa.nulls(2, pa.string()))
    funnel = Funnel(steps=("click", "buy"), main_steps=("buy",), windows={"click": 1, "buy": 1})
    table = con.create_table("log", rows)
    found, _, _ = ingest_impressions(table, {}, funnel, Features(numeric=("x",)), Split(), Ingestion())
    assert found.select("click", "buy").to_pyarrow().to_pydict() == {"click": [0], "buy": [0]}


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ("%Q.%m.%Y", "has %Q, which is not known; there are %Y, %y"),
        ("%d.%m.%Y%", "has %, which is not known"),
        ("%d.%m. %H:%M", r"'%d.%m. %H:%M' names no year, which all times need"),
        ("dd.MM.yyyy", "names no year"),
    ],
)
def test_a_format_that_cannot_work_is_refused_before_anything_is_read(form, sentence):
    with pytest.raises(ValidationError, match=sentence):
        TimeForm(format=form)
