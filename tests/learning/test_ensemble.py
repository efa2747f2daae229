"""The blend of other runs' models: its weights, and what it predicts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.special import expit, logit
from tests.learning.data import FEATURES, fit, make_table

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.learning import ensemble
from aitm_kedro.learning.ensemble import Ensemble, EnsembleModel, EnsembleOptions, Member, find_weights
from aitm_kedro.learning.learner import Trained
from aitm_kedro.learning.registry import build, load_trained

TRAIN, VALID, TEST = (make_table(rows, seed=seed) for seed, rows in enumerate((600, 300, 300)))
FUNNEL = Funnel(steps=TRAIN.steps, main_steps=TRAIN.steps)
MEMBERS = [Member(f"{name}.seed0", fit(name, TRAIN, VALID)) for name in ("naive_bayes", "logistic", "shared_bottom")]


def _blend(valid: Examples = VALID, members: list[Member] = MEMBERS, **options: object) -> EnsembleModel:
    learner = build("ensemble", options={"members": [member.name.partition(".")[0] for member in members]} | options)
    assert isinstance(learner, Ensemble)
    return learner.fit(TRAIN, valid, features=FEATURES, funnel=FUNNEL, seed=0, members=members)


def _draw(rows: int, noise: tuple[float, ...], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and log-odds of members that see the truth through so much noise."""
    random = np.random.default_rng(seed)
    truth = random.normal(-1, 1.5, rows)
    labels = (random.random(rows) < expit(truth)).astype(np.uint8)
    return labels, np.stack([truth + random.normal(0, sigma, rows) for sigma in noise])


def test_equal_weights_are_the_mean_of_the_log_odds() -> None:
    blended = _blend(weights="equal")
    assert blended.weights == pytest.approx(np.full((3, 3), 1 / 3))
    each = [logit(member.trained.predict(TEST).astype(np.float64)) for member in MEMBERS]
    expected = np.minimum.accumulate(expit(np.mean(each, axis=0)), axis=1)
    np.testing.assert_allclose(blended.predict(TEST), expected, rtol=1e-5)


def test_the_better_member_weighs_more_and_noise_nothing() -> None:
    labels, log_odds = _draw(20_000, (0.3, 1.0, 30.0))
    weights = find_weights(labels, log_odds)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] > 0.7
    assert weights[2] == pytest.approx(0, abs=1e-3)
    assert (weights >= 0).all()


def test_few_rows_leave_the_weights_equal() -> None:
    labels, log_odds = _draw(60, (0.3, 1.0))
    few = find_weights(labels, log_odds)
    many = find_weights(*_draw(20_000, (0.3, 1.0)))
    assert abs(few[0] - 0.5) < 0.1 < many[0] - 0.5


def test_the_weights_are_those_of_the_smallest_objective(monkeypatch: pytest.MonkeyPatch) -> None:
    labels, log_odds = _draw(500, (0.5, 1.0))

    def objective(weight: float) -> float:
        mixed = weight * log_odds[0] + (1 - weight) * log_odds[1]
        shifts = np.linspace(-1, 1, 201)[:, None]
        losses = np.logaddexp(0, mixed + shifts) - labels * (mixed + shifts)
        return float(losses.sum(axis=1).min() + ensemble.SHRINKAGE * (weight - 0.5) ** 2)

    found = min(np.linspace(0, 1, 201), key=objective)
    assert find_weights(labels, log_odds)[0] == pytest.approx(found, abs=0.01)


def test_a_row_counts_by_its_weight() -> None:
    labels, log_odds = _draw(3000, (0.5, 1.0))
    counts = np.random.default_rng(1).permutation(np.tile([0.0, 1.0, 2.0], 1000))  # a mean of 1, as train has it
    rows = np.repeat(np.arange(len(labels)), counts.astype(int))
    weighted = find_weights(labels, log_odds, counts)
    assert weighted == pytest.approx(find_weights(labels[rows], log_odds[:, rows]), abs=1e-3)


def test_a_constant_shift_of_a_member_does_not_matter() -> None:
    labels, log_odds = _draw(3000, (0.5, 1.0))
    shifted = log_odds + np.array([[2.0], [-1.0]])
    assert find_weights(labels, shifted) == pytest.approx(find_weights(labels, log_odds), abs=0.02)


def test_no_step_is_likelier_than_the_one_before() -> None:
    """Naive Bayes predicts each step by itself, and breaks the order."""
    members = [Member("naive_bayes.seed0", MEMBERS[0].trained), Member("other.seed0", MEMBERS[0].trained)]
    alone = MEMBERS[0].trained.predict(TEST)
    assert (np.diff(alone, axis=1) > 0).any()
    assert (np.diff(_blend(members=members).predict(TEST), axis=1) <= 0).all()


def test_held_out_predictions_come_from_weights_of_other_rows() -> None:
    learner = build("ensemble", options={"members": ["a", "b", "c"]})
    assert isinstance(learner, Ensemble)
    held_out = learner.predict_held_out(VALID, MEMBERS)
    first = np.arange(len(VALID)) % ensemble.FOLDS == 0
    others = VALID.take(np.flatnonzero(~first))
    expected = _blend(others).predict(VALID.take(np.flatnonzero(first)))
    np.testing.assert_allclose(held_out[first], expected, rtol=1e-5)
    assert not np.allclose(held_out[~first], _blend(others).predict(others), rtol=1e-5)


def test_a_step_without_positives_has_no_weights() -> None:
    labels = VALID.labels.copy()
    labels[:, 2] = 0
    with pytest.raises(InputError, match=r"single class of 'approve' among the 300 rows.*set the option weights to"):
        _blend(replace(VALID, labels=labels))
    assert _blend(replace(VALID, labels=labels), weights="equal").weights[2] == pytest.approx(1 / 3)


def test_without_members_there_is_nothing_to_blend() -> None:
    with pytest.raises(InputError, match="blends the models of other runs, and was given none"):
        build("ensemble").fit(TRAIN, VALID, features=FEATURES, funnel=FUNNEL, seed=0)


def test_large_tables_are_blended_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    blended = _blend()
    whole = blended.predict(TEST)
    monkeypatch.setattr(ensemble, "ROWS_AT_ONCE", 7)
    assert np.array_equal(blended.predict(TEST), whole)


def test_members_are_placed_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    placed = []
    monkeypatch.setattr(Trained, "place", lambda self, **where: placed.append(where))
    blended = _blend(members=MEMBERS[:2])
    blended.place(device="cpu", threads=1)
    assert placed == [{"device": "cpu", "threads": 1}] * 2


def test_saved_it_holds_its_members(tmp_path: Path) -> None:
    _blend().save(tmp_path / "model")
    again = load_trained(tmp_path / "model")
    assert isinstance(again, EnsembleModel)
    assert [member.name for member in again.members] == ["naive_bayes.seed0", "logistic.seed0", "shared_bottom.seed0"]
    # Each of them is a model by itself.
    np.testing.assert_allclose(
        load_trained(tmp_path / "model/logistic.seed0").predict(TEST), MEMBERS[1].trained.predict(TEST), rtol=2e-6
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"members": []}, "at least 1 item"),
        ({"members": ["aitm"]}, "members names 'aitm' alone; name another run, or set seeds to all"),
        ({"members": ["aitm", "esmm", "aitm"]}, r"members names \['aitm'\] more than once"),
        ({"weights": "best"}, "'validation' or 'equal'"),
    ],
)
def test_options_that_make_no_ensemble(options: dict, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        EnsembleOptions.model_validate(options)


def test_one_member_with_all_its_seeds() -> None:
    assert EnsembleOptions(members=("aitm",), seeds="all").seeds == "all"
