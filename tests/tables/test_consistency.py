import logging
from collections import Counter
from datetime import datetime, timedelta
from itertools import product

import pandas as pd
import pytest

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.pipelines.preparation.nodes import check_labels, downsample_negatives, split_impressions
from aitm_kedro.tables.consistency import describe_reasons
from aitm_kedro.tables.parameters import Labels, Sampling, Split

STEPS = ("click", "application", "approval", "activation")
FUNNEL = Funnel(steps=STEPS, main_steps=STEPS[2:])


def reference_break(labels: tuple[int, ...], times: list[datetime | None], shown: datetime) -> tuple[int | None, str]:
    """Position of the first step that breaks the order, and the reason; the labels' reason goes first."""
    chain = [shown, *times]
    rises = [t for t in range(1, 4) if labels[t] > labels[t - 1]]
    backwards = [t for t in range(4) if chain[t] and chain[t + 1] and chain[t + 1] < chain[t]]
    first = min(rises + backwards, default=None)
    if rises:
        return first, "".join(map(str, labels))
    if backwards:
        return first, f"{STEPS[backwards[0]]} earlier than {('impression', *STEPS)[backwards[0]]}"
    return None, ""


def all_cases() -> pd.DataFrame:
    """Every pattern of labels, with every combination of rising and falling times of what happened."""
    shown, rows = datetime(2024, 3, 1), []
    for labels in product((0, 1), repeat=4):
        for signs in product((1, -1), repeat=4):
            moment, times = shown, []
            for label, sign in zip(labels, signs, strict=True):
                moment += timedelta(hours=sign)
                times.append(moment if label else None)
            rows.append({"impression_id": len(rows), "impression_time": shown, "labels": labels, "times": times})
    frame = pd.DataFrame(rows)
    for place, step in enumerate(STEPS):
        frame[step] = [labels[place] for labels in frame["labels"]]
        frame[f"{step}_time"] = pd.Series([times[place] for times in frame["times"]], dtype="datetime64[us]")
    return frame


@pytest.mark.parametrize("with_times", [True, False])
@pytest.mark.parametrize("policy", ["drop", "truncate", "promote"])
def test_policies_agree_with_loops(put, policy, with_times):
    cases = all_cases()
    expected, aside, before = {}, {}, Counter()
    for case in cases.to_dict("records"):
        times = [time if with_times else None for time in case["times"]]
        first, reason = reference_break(case["labels"], times, case["impression_time"])
        labels = list(case["labels"])
        before["consistent" if first is None else reason] += 1
        if first is not None:
            aside[case["impression_id"]] = (reason, tuple(labels))
            if policy == "drop":
                continue
            if policy == "truncate":
                labels = labels[:first] + [0] * (4 - first)
            else:
                last = max(t for t in range(4) if labels[t]) if any(labels) else -1
                labels = [1 if t <= last else 0 for t in range(4)]
        expected[case["impression_id"]] = tuple(labels)

    frame = cases.drop(columns=["labels", "times"] + ([] if with_times else [f"{step}_time" for step in STEPS]))
    consistent, inconsistent, report = check_labels(put(frame), FUNNEL, Labels(policy=policy))
    consistent, inconsistent = consistent.to_pandas(), inconsistent.to_pandas()
    assert (
        dict(zip(consistent["impression_id"], consistent[list(STEPS)].itertuples(index=False, name=None), strict=True))
        == expected
    )
    found = inconsistent[["reason", *STEPS]].itertuples(index=False, name=None)
    assert {key: (row[0], row[1:]) for key, row in zip(inconsistent["impression_id"], found, strict=True)} == aside
    assert report.illegal == {reason: count for reason, count in before.items() if reason != "consistent"}
    assert sum(report.legal.values()) == before["consistent"]
    assert report.rows_in == report.rows_out + report.rows_aside == len(cases)
    assert report.rows_repaired == (0 if policy == "drop" else len(aside))
    assert [part.positives for part in report.steps.values()] == [
        sum(column) for column in zip(*expected.values(), strict=True)
    ]


def test_fail_names_the_counts(put, make_impressions):
    frame = make_impressions(100)
    consistent, inconsistent, _ = check_labels(put(frame), FUNNEL, Labels(policy="fail"))
    assert (consistent.count().execute(), inconsistent.count().execute()) == (100, 0)
    frame.loc[:2, list(STEPS)] = [1, 0, 1, 0]
    with pytest.raises(InputError, match=r"3 of 100 impressions break.*\(approval without application: 3 rows\)"):
        check_labels(put(frame), FUNNEL, Labels(policy="fail"))


def test_nothing_left_is_an_error(put, make_impressions):
    frame = make_impressions(10).assign(click=0, application=1)
    with pytest.raises(InputError, match=r"no impression is left of 10, .*\(application without click: 10 rows\)"):
        check_labels(put(frame), FUNNEL, Labels())


def test_reasons_are_told_in_words_most_rows_first():
    reasons = {"1010": 1000, "1011": 203, "click earlier than impression": 40_000, "0101": 1}
    assert describe_reasons(reasons, FUNNEL) == (
        "click earlier than impression: 40,000 rows, approval without application: 1,203 rows and application without "
        "click: 1 row"
    )


@pytest.mark.parametrize(("broken", "warns"), [(5, False), (6, True)])
@pytest.mark.parametrize(("policy", "done"), [("drop", "set aside"), ("truncate", "repaired")])
def test_many_inconsistent_labels_are_warned_of(put, make_impressions, caplog, broken, warns, policy, done):
    frame = make_impressions(100)
    frame.loc[: broken - 1, list(STEPS)] = [1, 0, 1, 0]
    with caplog.at_level(logging.WARNING):
        check_labels(put(frame), FUNNEL, Labels(policy=policy))
    assert [record.getMessage() for record in caplog.records] == [
        f"6.0 % of the 100 impressions have inconsistent labels and are {done} (labels.policy {policy}): approval "
        "without application: 6 rows; check the order of funnel.steps, and how labels and times are made."
    ] * warns


def test_an_empty_split_names_the_rows_that_were_set_aside(put, make_impressions):
    frame = make_impressions(100)
    first, last = (frame["impression_time"].quantile(share) for share in (0.4, 0.6))
    frame.loc[frame["impression_time"] >= last, list(STEPS)] = [0, 0, 0, 1]
    table, _, report = check_labels(put(frame), FUNNEL, Labels())
    split = Split(by="dates", valid_from=first, test_from=last)
    with pytest.raises(InputError, match=r"leaves test empty.* 40 of 100 .*\(activation without approval: 40 rows\)"):
        split_impressions(table, report, FUNNEL, split)


def test_a_missing_class_names_the_rows_that_were_set_aside(put, make_impressions):
    frame = make_impressions(100)
    frame.loc[frame["activation"] == 1, "approval"] = 0
    table, _, report = check_labels(put(frame), FUNNEL, Labels())
    with pytest.raises(InputError, match=r"'activation' has no positives.*\(activation without approval: \d+ rows\)"):
        downsample_negatives(table, table, report, FUNNEL, Sampling())


def test_one_step_is_always_consistent(put):
    frame = pd.DataFrame({"impression_id": [1, 2], "click": [0, 1]})
    funnel = Funnel(steps=("click",), main_steps=("click",))
    consistent, inconsistent, report = check_labels(put(frame), funnel, Labels())
    assert (consistent.count().execute(), inconsistent.count().execute()) == (2, 0)
    assert report.legal == {"0": 1, "1": 1}
