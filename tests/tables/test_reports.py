"""Reports as files: the keys that others read, and everything as it was when it is read again."""

import json
from datetime import datetime

import pytest
from pydantic import ValidationError

from aitm_kedro.core.funnel import Funnel
from aitm_kedro.pipelines.ingestion.nodes import ingest_impressions
from aitm_kedro.pipelines.preparation.nodes import check_labels, downsample_negatives
from aitm_kedro.tables.parameters import Ingestion, Labels, Sampling, Split
from aitm_kedro.tables.reports import CountCheck, CountsReport, IngestionReport, LabelReport, SamplingReport

STEPS = ("click", "application", "approval", "activation")


def as_file(report):
    """The report as JSON, after having been read again."""
    text = report.model_dump_json(indent=2)
    assert type(report).model_validate_json(text) == report
    return json.loads(text)


def test_ingestion(put, make_log, funnel, features):
    table = put(make_log(500))
    *_, report = ingest_impressions(table, {"unreadable_lines": 3}, funnel, features, Split(), Ingestion())
    assert isinstance(report, IngestionReport)
    found = as_file(report)
    assert list(found) == [
        *("rows_in", "rows_out", "rows_aside", "labels_from", "windows_days"),
        *("first_impression", "last_impression", "observed_until", "mature_until", "read_as", "source"),
    ]
    assert set(found["rows_aside"]) == {"exact_duplicates", "other_duplicates", "immature"}
    assert found["source"] == {"unreadable_lines": 3}
    assert found["windows_days"] == funnel.windows
    assert found["observed_until"] == found["last_impression"] == report.last_impression.isoformat(sep=" ")


def test_moments_without_times(put, make_impressions, features):
    table = put(make_impressions(200).drop(columns="impression_time"))
    *_, report = ingest_impressions(table, {}, Funnel(steps=STEPS, main_steps=STEPS), features, Split(), Ingestion())
    found = as_file(report)
    moments = ("first_impression", "last_impression", "observed_until", "mature_until")
    assert [found[name] for name in (*moments, "windows_days")] == [None] * 5


def test_labels(put, make_impressions, funnel):
    frame = make_impressions(200)
    frame.loc[:2, list(STEPS)] = [0, 1, 0, 0]
    *_, report = check_labels(put(frame), funnel, Labels())
    assert isinstance(report, LabelReport)
    found = as_file(report)
    assert list(found) == [
        *("policy", "rows_in", "rows_out", "rows_aside", "rows_repaired", "legal", "illegal", "steps")
    ]
    assert found["illegal"] == {"0100": 3}
    assert list(found["steps"]) == list(STEPS)
    assert set(found["steps"]["click"]) == {"positives", "rate"}


def test_sampling(put, make_impressions, funnel):
    tables = put(make_impressions(1000)), put(make_impressions(500, seed=1))
    *_, labels = check_labels(tables[0], funnel, Labels())
    *_, report = downsample_negatives(*tables, labels, funnel, Sampling(positive_share=0.3, per_segment=True))
    assert isinstance(report, SamplingReport)
    found = as_file(report)
    assert list(found) == ["positive_share", "seed", "keep_rates", "train", "valid"]
    assert set(found["keep_rates"]["per_segment"]) == {"north", "south", "tiny"}
    assert set(found["train"]) == {"before", "after"}
    assert set(found["train"]["before"]) == {"rows", "steps", "segments"}
    assert set(found["train"]["before"]["segments"]["south"]) == {"rows", "steps"}


def test_counts_that_nobody_has_looked_at():
    assert as_file(CountsReport()) == {"source": None, "verdict": "not checked", "checks": []}


def test_counts_with_a_bound_and_a_count_that_is_not_read():
    checks = (
        CountCheck(what="illegal rows of test", expected="at least 2", found=3, matches=True),
        CountCheck(what="ids of 101", expected=3, found=None, matches=None),
    )
    found = as_file(CountsReport(source="Ali-CCP", verdict="a sentence", checks=checks))
    assert found["checks"][1] == {"what": "ids of 101", "expected": 3, "found": None, "matches": None}


def test_another_key_is_an_error_and_nothing_changes():
    with pytest.raises(ValidationError, match="colour"):
        CountsReport.model_validate({"colour": "red"})
    report = CountsReport()
    with pytest.raises(ValidationError, match="frozen"):
        report.verdict = "checked"


def test_a_moment_reads_as_in_the_tables(put, make_log, funnel, features):
    end = datetime(2024, 4, 1)
    table = put(make_log())
    observed = funnel.model_copy(update={"observed_until": end})
    *_, report = ingest_impressions(table, {}, observed, features, Split(), Ingestion())
    assert as_file(report)["observed_until"] == "2024-04-01 00:00:00"
