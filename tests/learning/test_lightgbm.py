from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pytest
from tests.learning.data import fit

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.learning.lightgbm import LightGBMModel, LightGBMOptions, _matrix
from aitm_kedro.learning.registry import load_trained

AGE = FeatureSpec(name="age, in years", kind="numeric", ids=3, edges=(40.0,))
CITY = FeatureSpec(name="city", kind="categorical", ids=12)
FEATURES = (AGE, CITY)
QUICK = {"max_rounds": 40, "patience": 5, "threads": 1, "num_leaves": 70}


def make(rows: int, seed: int) -> Examples:
    """Clicks follow the value of "age" within its bins, purchases the parity of "city"."""
    random = np.random.default_rng(seed)
    age = random.normal(40, 10, rows).astype(np.float32)
    city = random.integers(12, size=rows)
    click = random.random(rows) < 1 / (1 + np.exp(-(age - 40) / 4))
    buy = click & (random.random(rows) < np.where(city % 2, 0.8, 0.1))
    age[random.random(rows) < 0.05] = np.nan
    ids = np.stack([1 + (age > 40), city], axis=1).astype(np.int32)
    return Examples(
        ids=ids,
        labels=np.stack([click, buy], axis=1).astype(np.uint8),
        fields=("age, in years", "city"),
        steps=("click", "buy"),
        impression_id=np.arange(rows),
        numeric=("age, in years",),
        values=age[:, None],
    )


@pytest.fixture(scope="module")
def splits() -> tuple[Examples, Examples]:
    return make(4000, 0), make(2000, 1)


def train(
    splits: Sequence[Examples], seed: int = 0, features: Sequence[FeatureSpec] = FEATURES, **options: object
) -> LightGBMModel:
    return fit("lightgbm", *splits, features=features, options=QUICK | options, seed=seed)


def test_it_reads_values_not_bins(splits: tuple[Examples, Examples]) -> None:
    model = train(splits)
    test = make(4000, 2)
    best = auc(test.labels[:, 0], np.nan_to_num(test.values[:, 0], nan=40))
    of_bins = auc(test.labels[:, 0], test.ids[:, 0])
    found = auc(test.labels[:, 0], model.predict(test)[:, 0])
    assert of_bins + 0.05 < found <= best + 0.02


@pytest.mark.parametrize("encoding", ["native", "ranked"])
def test_categories_are_sets_or_ranks(splits: tuple[Examples, Examples], encoding: str) -> None:
    model = train(splits, encodings=(encoding,))
    assert {chosen["encoding"] for chosen in model.history.chosen.values()} == {encoding}
    assert ("cat_threshold=" in model.texts["buy"]) == (encoding == "native")


def test_validation_chooses_encoding_and_round(splits: tuple[Examples, Examples]) -> None:
    model = train(splits, max_rounds=300)
    valid = splits[1]
    predictions = model.predict(valid)
    for t, step in enumerate(valid.steps):
        chosen = model.history.chosen[step]
        tried = chosen["valid_auc"]
        assert set(tried) == {"native", "ranked"}
        assert chosen["encoding"] == max(tried, key=tried.get)
        assert auc(valid.labels[:, t], predictions[:, t]) == pytest.approx(max(tried.values()), abs=1e-6)
        assert 1 <= chosen["rounds"] < 295
        assert model.texts[step].count("Tree=") == chosen["rounds"]
    assert model.history.best_epoch == np.mean([chosen["rounds"] for chosen in model.history.chosen.values()])


def test_a_best_round_at_the_cap_is_warned_of(
    splits: tuple[Examples, Examples], caplog: pytest.LogCaptureFixture
) -> None:
    capped, free = (
        train(splits, preset="paper", max_rounds=rounds, encodings=("native",)).history for rounds in (2, 300)
    )
    assert {chosen["stopped_by"] for chosen in capped.chosen.values()} == {"max_rounds"}
    assert {chosen["stopped_by"] for chosen in free.chosen.values()} == {"patience"}
    warned = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warned == [
        "'lightgbm' with seed 0 may not have finished learning click, buy: the last round that max_rounds (2) allows "
        "was its best on validation; raise lightgbm.max_rounds."
    ]


def test_without_categories_there_is_one_encoding(splits: tuple[Examples, Examples]) -> None:
    numbers = [
        replace(part, ids=part.ids[:, :1], fields=part.fields[:1], steps=("click",), labels=part.labels[:, :1])
        for part in splits
    ]
    model = train(numbers, features=[AGE])
    assert list(model.history.chosen["click"]["valid_auc"]) == ["native"]


def test_the_papers_parameters_reach_the_trees(splits: tuple[Examples, Examples]) -> None:
    options = LightGBMOptions(preset="paper")
    model = train(splits, preset="paper", num_leaves=None)
    for name, value in {
        "learning_rate": 0.1,
        "feature_fraction": 0.9,
        "bagging_fraction": 0.7,
        "bagging_freq": 5,
        "max_bin": 2000,
        "num_leaves": 70,
        "lambda_l2": 0,
    }.items():
        assert getattr(options, name) == value
        assert f"[{name}: {value:g}]" in model.texts["click"]
    assert "[boosting: gbdt]" in model.texts["click"]


def test_text_is_lightgbms_own(splits: tuple[Examples, Examples]) -> None:
    model = train(splits)
    x = splits[1].ids.astype(np.float32)
    x[:, 0] = splits[1].values[:, 0]
    own = lgb.Booster(model_str=model.texts["buy"]).predict(x, num_threads=1)
    np.testing.assert_array_equal(model.predict(splits[1])[:, 1], own.astype(np.float32))


def test_the_same_seed_grows_the_same_trees(splits: tuple[Examples, Examples]) -> None:
    first, second, other = (train(splits, seed=seed).texts for seed in (0, 0, 1))
    assert first == second
    assert first["click"] != other["click"]


def test_bad_input(splits: tuple[Examples, Examples]) -> None:
    good, valid = splits
    model = train(splits)
    sentence = r"'lightgbm' reads the values of \['age, in years'\] instead of their bins, but .* have those of \[\]"
    with pytest.raises(InputError, match=sentence):
        model.predict(valid.without_values())
    with pytest.raises(InputError, match=sentence):
        train((good.without_values(), valid.without_values()))
    with pytest.raises(InputError, match="the trees of 'buy' are damaged"):
        LightGBMModel(model.spec, model.history, dict(model.texts) | {"buy": "tree\nnonsense"}).predict(valid)
    with pytest.raises(InputError, match="'buy' has a single class among the 2000 validation rows"):
        train((good, replace(valid, labels=valid.labels * np.array([1, 0], np.uint8))))


def test_trees_of_a_step_that_are_not_there(splits: tuple[Examples, Examples], tmp_path: Path) -> None:
    model = train(splits)
    LightGBMModel(model.spec, model.history, {"buy": model.texts["buy"]}).save(tmp_path / "model")
    with pytest.raises(FileNotFoundError, match=r"click\.txt"):
        load_trained(tmp_path / "model")


def test_names_of_steps_are_names_of_files(splits: tuple[Examples, Examples], tmp_path: Path) -> None:
    steps = ("a/b", "Küche 1%")
    model = train([replace(part, steps=steps) for part in splits])
    model.save(tmp_path / "model")
    assert {path.name for path in (tmp_path / "model").glob("*.txt")} == {"a%2Fb.txt", "K%C3%BCche 1%25.txt"}
    assert load_trained(tmp_path / "model").texts == model.texts


def test_a_weight_of_a_step_is_not_left_to_the_next(splits: tuple[Examples, Examples]) -> None:
    """All steps share a dataset of LightGBM's, which forgets no weights by itself."""
    plain, weighted = (
        train(splits),
        fit("lightgbm", *splits, features=FEATURES, options=QUICK, task_weights={"click": 9}),
    )
    assert weighted.texts["buy"] == plain.texts["buy"]
    assert weighted.texts["click"] != plain.texts["click"]


TAGS = FeatureSpec(name="tags, all", kind="list", ids=30)


def with_list(examples: Examples, seed: int, *, weighted: bool = True) -> Examples:
    """Purchases follow the share of tag 2, which nothing else tells; tag 25 is too rare for a column of its own."""
    random, rows = np.random.default_rng(seed), len(examples)
    offsets = np.concatenate([[0], random.integers(1, 4, rows).cumsum()])
    ids = random.choice([0, 1, 2, 5, 20, 25], offsets[-1]).astype(np.int32)
    weights = random.integers(3, size=offsets[-1]).astype(np.float32) if weighted else None
    lists = {"tags, all": Ragged(offsets, ids, weights)}
    examples = replace(examples, fields=(*examples.fields, "tags, all"), lists=lists)
    buy = random.random(rows) < 0.1 + 0.8 * columns_of(lists["tags, all"], 20)[:, 2]
    return replace(examples, labels=np.stack([examples.labels[:, 0], buy], axis=1).astype(np.uint8))


def columns_of(lists: Ragged, list_values: int) -> np.ndarray:
    """Length, and the shares of ids 1 to ``list_values``."""
    x = np.zeros((len(lists), 1 + list_values))
    for row, (start, stop) in enumerate(pairwise(lists.offsets)):
        weights = np.ones(stop - start) if lists.weights is None else lists.weights[start:stop]
        weights = weights if weights.sum() else np.ones(stop - start)
        x[row, 0] = stop - start
        for one, weight in zip(lists.values[start:stop], weights, strict=True):
            if 1 <= one <= list_values:
                x[row, one] += weight / weights.sum()
    return x


@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("list_values", [0, 2, 20])
def test_a_list_is_its_length_and_the_shares_of_frequent_ids(
    splits: tuple[Examples, Examples], monkeypatch: pytest.MonkeyPatch, weighted: bool, list_values: int
) -> None:
    parts = [with_list(part.take(np.arange(1000)), seed, weighted=weighted) for seed, part in enumerate(splits)]
    model = train(parts, features=(*FEATURES, TAGS), list_values=list_values, encodings=("ranked",))
    names = model.texts["buy"].split("feature_names=")[1].splitlines()[0].split()
    assert len(names) == 2 + 1 + list_values
    assert names[2:4] == ["f2_tags__all_length", "f3_tags__all_share_of_id_1"][: 1 + list_values]
    valid = parts[1]
    x = np.hstack([valid.ids, columns_of(valid.lists["tags, all"], list_values)]).astype(np.float32)
    x[:, 0] = valid.values[:, 0]
    own = lgb.Booster(model_str=model.texts["buy"]).predict(x, num_threads=1)
    found = model.predict(valid)
    np.testing.assert_allclose(found[:, 1], own, rtol=1e-6)
    assert (auc(valid.labels[:, 1], found[:, 1]) > 0.7) == (list_values > 0)
    monkeypatch.setattr("aitm_kedro.learning.lightgbm.ROWS_AT_ONCE", 77)
    np.testing.assert_array_equal(model.predict(valid), found)


@pytest.mark.parametrize("rows", [slice(None), slice(100, 350), slice(900, 2000)])
@pytest.mark.parametrize("rows_at_once", [1, 77, 250, 10_000])
def test_a_matrix_made_in_parts_is_that_made_at_once(
    splits: tuple[Examples, Examples], monkeypatch: pytest.MonkeyPatch, rows: slice, rows_at_once: int
) -> None:
    examples = with_list(splits[0].take(np.arange(1000)), 0)
    lists = examples.lists["tags, all"]
    examples = replace(examples, fields=(*examples.fields, "bare"), lists={**examples.lists, "bare": replace(lists)})
    expected = np.hstack([examples.ids] + [columns_of(lists, 6)] * 2).astype(np.float32)
    expected[:, 0] = examples.values[:, 0]
    at_once = _matrix(examples, rows, list_values=6)
    np.testing.assert_allclose(at_once, expected[rows], rtol=1e-6)
    monkeypatch.setattr("aitm_kedro.learning.lightgbm.ROWS_AT_ONCE", rows_at_once)
    np.testing.assert_array_equal(_matrix(examples, rows, list_values=6), at_once)


def test_lists_alone_are_enough(splits: tuple[Examples, Examples]) -> None:
    parts = [with_list(part, seed).of_fields(["tags, all"]) for seed, part in enumerate(splits)]
    model = train(parts, features=[TAGS])
    assert list(model.history.chosen["buy"]["valid_auc"]) == ["native"]
    assert auc(parts[1].labels[:, 1], model.predict(parts[1])[:, 1]) > 0.7
