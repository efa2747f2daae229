"""Whether a published data set holds what it must: a sentence that says so, or says what does not match."""

import logging

import pandas as pd
import pytest

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.published import Published, SplitCounts
from aitm_kedro.pipelines.preparation.nodes import check_published
from aitm_kedro.tables.parameters import Split, VocabularyOptions
from aitm_kedro.tables.reports import CountsReport
from aitm_kedro.tables.vocabulary import learn_vocabulary

FUNNEL = Funnel(steps=("click", "purchase"), main_steps=("purchase",))
FEATURES = Features(categorical=("101", "205"))


@pytest.fixture
def impressions():
    """40 rows to train, one with inconsistent labels, and 10 to test on; of 101, 7 and 8 are seen 12 times or more."""
    frame = pd.DataFrame({"impression_id": range(50), "split": ["train"] * 40 + ["test"] * 10})
    frame["click"] = [1] * 5 + [0] * 45
    frame["purchase"] = [1] * 2 + [0] * 43 + [1] * 3 + [0] * 2
    frame.loc[39, "purchase"] = 1
    frame["101"] = [7] * 13 + [8] * 12 + [9] * 11 + [None] * 3 + [9] + [7] * 10  # the twelfth 9 is in that row
    frame["205"] = 5
    return frame.astype({"click": "int8", "purchase": "int8", "101": "Int64"})


def known(*, rows=40, vocabulary=None, **train):
    counts = {"rows": rows, "illegal": 1, "positives": {"click": 5, "purchase": 2}} | train
    return Published(
        source="Ali-CCP",
        splits={"train": SplitCounts(**counts), "test": SplitCounts(rows=10, illegal_at_least=2)},
        vocabulary={"101": 3, "205": 2} if vocabulary is None else vocabulary,
    )


@pytest.fixture
def check(put, impressions):
    def run(known, *, frame=impressions, features=FEATURES, split=None):
        split = split or Split(by="column", column="split")
        return check_published(put(frame), FUNNEL, features, split, known)

    return run


def results(report):
    return {check.what: (check.expected, check.found, check.matches) for check in report.checks}


def test_all_counts_match(check, caplog):
    with caplog.at_level(logging.INFO, logger="aitm_kedro"):
        report = check(known())
    assert report.source == "Ali-CCP"
    assert report.verdict == "all 8 counts are those of Ali-CCP as published"
    assert results(report) == {
        "rows of train": (40, 40, True),
        "illegal rows of train": (1, 1, True),
        "click in train": (5, 5, True),
        "purchase in train": (2, 2, True),
        "rows of test": (10, 10, True),
        "illegal rows of test": ("at least 2", 3, True),
        "ids of 101": (3, 3, True),
        "ids of 205": (2, 2, True),
    }
    assert "rows of train: 40, published 40: as published" in caplog.text
    assert not [record for record in caplog.records if record.levelno > logging.INFO]


def test_counts_that_differ_are_named_in_a_warning(check, caplog):
    with caplog.at_level(logging.INFO, logger="aitm_kedro"):
        report = check(known(rows=41, vocabulary={"101": 4, "205": 2}))
    sentence = "2 of 8 known counts of Ali-CCP do not match: rows of train, ids of 101"
    assert report.verdict == sentence
    assert results(report)["ids of 101"] == (4, 3, False)
    assert "rows of train: 40, published 41: not as published" in caplog.text
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [sentence]


def test_other_data_are_not_the_original_and_their_vocabulary_is_not_looked_at(check, impressions, caplog):
    report = check(known(), frame=impressions.assign(click=1, purchase=0).head(33))
    assert report.verdict == "these are not the original files of Ali-CCP: no known count matches"
    assert results(report)["rows of test"] == (10, 0, False)
    assert results(report)["illegal rows of test"] == ("at least 2", 0, False)
    assert not [what for what in results(report) if what.startswith("ids")]
    assert "not the original files" in caplog.text


def test_a_bound_that_holds_does_not_make_data_the_original(check):
    counts = Published(
        source="Ali-CCP", splits={"train": SplitCounts(rows=1), "test": SplitCounts(rows=2, illegal_at_least=1)}
    )
    report = check(counts)
    assert results(report)["illegal rows of test"][2] is True
    assert report.verdict == "these are not the original files of Ali-CCP: no known count matches"


def test_inconsistent_rows_that_match_by_accident_do_not_make_data_the_original(check):
    """Other data may well have as few of them, or none."""
    positives = {"click": 6, "purchase": 3}
    splits = {"train": SplitCounts(rows=1, illegal=1, positives=positives), "test": SplitCounts(rows=2, illegal=3)}
    report = check(Published(source="Ali-CCP", splits=splits, vocabulary={"205": 2}))
    assert results(report) == {
        "rows of train": (1, 40, False),
        "illegal rows of train": (1, 1, True),
        "click in train": (6, 5, False),
        "purchase in train": (3, 2, False),
        "rows of test": (2, 10, False),
        "illegal rows of test": (3, 3, True),
    }
    assert report.verdict == "these are not the original files of Ali-CCP: no known count matches"


def test_nothing_is_known_of_other_sources(check, impressions):
    nothing = CountsReport(source=None, verdict="no counts are known for this source", checks=())
    assert check(Published()) == nothing
    assert check(Published(), frame=impressions.drop(columns="split"), split=Split()) == nothing


def test_a_field_or_a_step_that_is_not_read_is_no_mismatch(check, caplog):
    with caplog.at_level(logging.INFO, logger="aitm_kedro"):
        report = check(known(positives={"click": 5, "favourite": 9}), features=Features(categorical=("205",)))
    assert results(report)["ids of 101"] == (3, None, None)
    assert results(report)["favourite in train"] == (9, None, None)
    assert report.verdict == "all 6 counts are those of Ali-CCP as published"
    assert "ids of 101: None, published 3: not read" in caplog.text


def test_if_nothing_that_is_known_is_read_that_is_said(check):
    counts = Published(source="Ali-CCP", splits={"train": SplitCounts(positives={"favourite": 9})})
    assert check(counts).verdict == "none of the known counts of Ali-CCP is read"
    assert check(Published(source="Ali-CCP")).verdict == "none of the known counts of Ali-CCP is read"


def test_vocabularies_have_the_size_of_the_released_rule_whatever_the_run_has(check, put, impressions):
    """It counts all of train with consistent labels, and keeps what is seen 12 times."""
    counted = put(impressions[(impressions["split"] == "train") & (impressions["click"] >= impressions["purchase"])])
    sizes = {}
    for preset in ("released", "paper"):
        words = learn_vocabulary(counted, Features(categorical=("101",)), VocabularyOptions(preset=preset))
        sizes[preset] = len(words)
    assert sizes == {"released": 3, "paper": 4}
    assert results(check(known()))["ids of 101"][1] == sizes["released"]


@pytest.mark.parametrize("split", [Split(), Split(by="column", column="part")])
def test_without_a_column_that_says_train_or_test_counts_end_in_a_sentence(check, split):
    with pytest.raises(InputError, match=r"has counts of the splits \['train', 'test'\], but split.column is"):
        check(known(), split=split)
