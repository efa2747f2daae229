"""Which bundle scores."""

from datetime import UTC, datetime

import pytest

from aitm_kedro.artifacts.parameters import Scoring
from aitm_kedro.artifacts.selection import choose_bundle
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.provenance import Provenance


@pytest.fixture
def bundles(world):
    scores = {("aitm", 0): 0.7, ("aitm", 1): 0.8, ("logistic", 0): 0.75, ("esmm", 0): None, ("mlp", 0): ...}
    return {
        (run, seed): None
        if score is ...
        else world.bundle(run=run, seed=seed, valid_auc={"click": score, "buy": score})
        for (run, seed), score in scores.items()
    }


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ("aitm", 1)),
        ({"run": "logistic"}, ("logistic", 0)),
        ({"run": "aitm"}, ("aitm", 1)),
        ({"seed": 0}, ("logistic", 0)),
        ({"run": "aitm", "seed": 0}, ("aitm", 0)),
        ({"run": "esmm"}, ("esmm", 0)),
    ],
)
def test_what_is_left_open_validation_decides(bundles, asked, expected):
    manifest = choose_bundle(bundles, Scoring(**asked)).manifest
    assert (manifest.run, manifest.seed) == expected


def test_what_did_not_learn_comes_after_all_that_did(world, caplog):
    bad = world.bundle(run="bad", valid_auc={"click": 0.9, "buy": 0.9}, learnt=False)
    good = world.bundle(run="good", valid_auc={"click": 0.6, "buy": 0.6})
    assert choose_bundle({("bad", 0): bad, ("good", 0): good}, Scoring()).manifest.run == "good"
    assert not caplog.text
    assert choose_bundle({("bad", 0): bad}, Scoring()).manifest.run == "bad"
    assert "'bad' with seed 0 scores, although it did not learn" in caplog.text


def test_undefined_stands_last(bundles):
    assert choose_bundle({key: bundles[key] for key in [("esmm", 0), ("aitm", 0)]}, Scoring()).manifest.run == "aitm"
    assert choose_bundle({("esmm", 0): bundles["esmm", 0]}, Scoring()).manifest.run == "esmm"


def test_of_equals_the_first(world):
    bundles = {("b", 0): world.bundle(run="b"), ("a", 0): world.bundle(run="a")}
    assert choose_bundle(bundles, Scoring()).manifest.run == "b"


def test_bundles_that_other_validation_rows_judged_are_passed_over(world, caplog):
    """Their scores say nothing beside the newest: an easier validation would win."""
    old, new = (
        Provenance(data={"train": "t", "valid": rows}, parameters={}, made=datetime(2024, 1, day, tzinfo=UTC))
        for rows, day in (("v1", 1), ("v2", 2))
    )
    easy = world.bundle(run="easy", valid_auc={"click": 0.9, "buy": 0.9}, trained=old)
    hard = world.bundle(run="hard", valid_auc={"click": 0.6, "buy": 0.6}, trained=new)
    assert choose_bundle({("easy", 0): easy, ("hard", 0): hard}, Scoring()).manifest.run == "hard"
    assert "Passed over, since other validation rows or main steps judged them than the newest: 'easy'" in caplog.text
    assert choose_bundle({("easy", 0): easy, ("hard", 0): hard}, Scoring(run="easy")).manifest.run == "easy"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"run": "mlp"}, r"there is no bundle of 'mlp' with seed 0; train it first: kedro run --pipelines=modelling"),
        ({"run": "atim"}, r"there is no run 'atim' to score with; did you mean 'aitm'\?"),
        ({"run": "forest"}, r"no run 'forest' to score with; set scoring.run to one of aitm, logistic, esmm, mlp"),
        ({"run": "aitm", "seed": 7}, r"the run 'aitm' has no seed 7; set scoring.seed to one of 0, 1"),
        ({"seed": 7}, r"no run has the seed 7; set scoring.seed to one of 0, 1"),
    ],
)
def test_what_is_not_there_ends_in_a_sentence(bundles, asked, sentence):
    with pytest.raises(InputError, match=sentence):
        choose_bundle(bundles, Scoring(**asked))


def test_nothing_was_trained(bundles):
    with pytest.raises(InputError, match="no bundle of 'aitm' with seed 0, 'aitm' with seed 1, 'logistic' with seed 0"):
        choose_bundle(dict.fromkeys(bundles), Scoring())
