import logging

import pandas as pd
import pytest

from aitm_kedro.core.funnel import Funnel
from aitm_kedro.tables.statistics import describe_dataset
from aitm_kedro.tables.vocabulary import SCHEMA, as_table

STEPS = ("click", "application", "approval", "activation")
EMPTY = pd.DataFrame(columns=list(SCHEMA))


@pytest.fixture
def warnings(put, make_impressions, funnel, caplog):
    """What is said of a split of 1,000 rows with so many positives of each step."""

    def say(split, *positives):
        frame = make_impressions(1000)
        for step, count in zip(STEPS, positives, strict=True):
            frame[step] = (frame.index < count).astype("int8")
        with caplog.at_level(logging.WARNING):
            describe_dataset({split: put(frame)}, as_table(EMPTY), funnel)
        return [record.getMessage() for record in caplog.records]

    return say


def test_enough_positives_are_fine(warnings):
    assert warnings("train", 60, 50, 50, 50) == []


def test_only_main_steps_need_many(warnings):
    assert warnings("train", 51, 51, 50, 50) == []


@pytest.mark.parametrize(
    ("split", "name", "advice"),
    [
        (
            "train",
            "train",
            "models can hardly learn that; take a longer log, or name an earlier step in funnel.main_steps",
        ),
        ("valid", "validation", "enlarge validation (parameter 'split')"),
        ("test", "test", "intervals will be wide"),
    ],
)
def test_few_positives_are_warned_of_with_what_to_change(warnings, split, name, advice):
    (text,) = warnings(split, 300, 200, 49, 1)
    counts = "only 49 positives of 'approval' and 1 positive of 'activation', fewer than 50"
    assert text.startswith(f"Among its 1,000 rows, {name} has {counts}: ")
    assert advice in text


def test_few_negatives_are_as_bad(warnings):
    (text,) = warnings("valid", 980, 980, 980, 500)
    assert "only 20 negatives of 'approval', fewer than 50" in text


@pytest.mark.parametrize(("split", "name"), [("train", "train"), ("valid", "validation"), ("test", "test")])
def test_a_step_of_one_class_is_warned_of(warnings, split, name):
    never, always = warnings(split, 1000, 300, 200, 0)
    assert never.startswith(f"The 1,000 rows of {name} have no positives of 'activation'; nothing can be learnt")
    assert always.startswith(f"The 1,000 rows of {name} have no negatives of 'click'; nothing can be learnt")


def test_of_one_step(put, make_impressions, caplog):
    funnel = Funnel(steps=("click",), main_steps=("click",))
    found = describe_dataset({"test": put(make_impressions(20))}, as_table(EMPTY), funnel)
    assert found["rows"].tolist() == [20]
    assert "of 'click', fewer than 50" in caplog.text
