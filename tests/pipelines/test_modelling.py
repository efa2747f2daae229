import inspect
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation.type_extractor import TypeExtractor

from aitm_kedro.artifacts.correction import correct
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.learning.lightgbm import LightGBMOptions
from aitm_kedro.learning.logistic import LogisticOptions
from aitm_kedro.learning.networks import NETWORKS
from aitm_kedro.learning.networks.aitm import AITMOptions
from aitm_kedro.learning.parameters import Training
from aitm_kedro.pipelines.modelling import create_pipeline, nodes

STEPS = ("click", "apply", "approve")
FUNNEL = Funnel(steps=STEPS, main_steps=("apply", "approve"), segment="bank")
SIZES = {"age": 6, "city": 40}
TAGS = 9  # ids of the list field


class Kept(MemoryDataset):
    """Stays after the last node that reads it."""

    def _release(self) -> None:
        pass


def _table(rows: int, *, seed: int) -> pa.Table:
    random = np.random.default_rng(seed)
    ids = {field: random.integers(size, size=rows).astype(np.int32) for field, size in SIZES.items()}
    draws = random.random((rows, 3)) < np.stack([0.1 + 0.14 * ids["age"], *np.full((2, rows), 0.6)], axis=1)
    labels = np.cumprod(draws, axis=1).astype(np.int8)
    columns = {"impression_id": seed * 100_000 + random.permutation(rows), "_segment": random.choice(["A", "B"], rows)}
    values = {"_value_age": (ids["age"] + random.random(rows)).astype(np.float32)}
    lengths = random.integers(1, 5, rows)
    offsets = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
    lists = {
        "tags": pa.ListArray.from_arrays(offsets, random.integers(TAGS, size=offsets[-1]).astype(np.int32)),
        "_weights_tags": pa.ListArray.from_arrays(offsets, random.random(offsets[-1]).astype(np.float32)),
    }
    return pa.table(columns | dict(zip(STEPS, labels.T, strict=True)) | ids | values | lists)


def _vocabulary() -> pd.DataFrame:
    kinds, sizes = {"age": "numeric", "city": "categorical", "tags": "list"}, SIZES | {"tags": TAGS}
    parts = [pd.DataFrame({"feature": field, "kind": kinds[field], "id": range(size)}) for field, size in sizes.items()]
    return pd.concat(parts, ignore_index=True)


def _truth(test: pa.Table) -> pa.Table:
    columns = {"impression_id": test["impression_id"].to_numpy()[::-1]}
    return pa.table(columns | {f"oracle_{step}": np.linspace(0.1, 0.9, len(test)) for step in STEPS})


@pytest.fixture(scope="module")
def results(as_examples: Callable) -> dict[str, object]:
    test = _table(400, seed=3)
    inputs = {
        "train_examples@arrays": as_examples(_table(2000, seed=1)),
        "valid_examples@arrays": as_examples(_table(400, seed=2)),
        "test_examples@arrays": as_examples(test),
        "vocabulary@pandas": _vocabulary(),
        "sampling_report": {"keep_rates": {"overall": 0.5, "per_segment": {"A": 0.5, "B": 0.25}}},
        "oracle@arrow": ds.dataset(_truth(test)),
        "params:funnel": FUNNEL,
        "params:training": Training(max_epochs=2, batch_size=200, device="cpu"),
        "params:evaluation": Evaluation(),
        **{f"params:{name}": network.Options() for name, network in NETWORKS.items()},
        "params:lightgbm": LightGBMOptions(max_rounds=10),
        "params:logistic": LogisticOptions(),
    }
    pipeline = create_pipeline(models=["lightgbm", *NETWORKS], seeds=[0, 1])
    datasets = {name: MemoryDataset(data, copy_mode="assign") for name, data in inputs.items()}
    kept = {name: Kept(copy_mode="assign") for name in pipeline.all_outputs()}
    catalog = DataCatalog(datasets | kept)
    SequentialRunner().run(pipeline, catalog)
    return {name: catalog.load(name) for name in kept} | {"test": test}


@pytest.mark.parametrize("namespace", [f"{name}.seed1" for name in ("lightgbm", *NETWORKS)] + ["logistic.seed0"])
def test_every_namespace_leaves_the_same_behind(results: dict, namespace: str) -> None:
    test, predictions = results["test"], results[f"{namespace}.predictions"]
    assert list(predictions.columns) == ["impression_id", *STEPS, *(f"{step}_raw" for step in STEPS)]
    assert np.array_equal(predictions["impression_id"], test["impression_id"])
    assert set(predictions.dtypes[1:]) == {np.dtype("float32")}
    raw = predictions[[f"{step}_raw" for step in STEPS]].to_numpy()
    rates = np.where(test["_segment"].to_numpy(zero_copy_only=False) == "A", 0.5, 0.25)
    assert np.array_equal(predictions[list(STEPS)].to_numpy(), correct(raw, rates))
    metrics, history = results[f"{namespace}.metrics"], results[f"{namespace}.history"]
    assert (metrics["model"], metrics["seed"], metrics["rows"]) == (namespace.split(".")[0], int(namespace[-1]), 400)
    assert metrics["steps"]["click"]["auc"] > 0.55
    assert set(metrics["segments"]) == {"A", "B"}
    assert history["model"] == metrics["model"]
    assert results[f"{namespace}.weights"].metadata["fields"] == '["age", "city", "tags"]'
    assert {"funnel", metrics["model"]} <= set(history["parameters_used"])
    assert history["settings"]["changed"] == ({"max_rounds": 10} if metrics["model"] == "lightgbm" else {})
    assert metrics["parameters_used"] == {"evaluation": Evaluation().model_dump(mode="json")}
    scores = results[f"{namespace.replace('.', '_')}_scores"]
    assert {"auc", "parameters", "seconds"} <= set(scores["metric"])
    placements = results[f"{namespace.replace('.', '_')}_placements"]
    assert (placements.groupby("step", observed=True).size() == 400).all()


def test_all_models_learnt_from_the_same_rows(results: dict) -> None:
    tables = [table for name, table in results.items() if name.endswith("_scores")]
    assert len(tables) == 2 * (1 + len(NETWORKS)) + 2  # and logistic and oracle
    assert len({origin for table in tables for origin in table["data"].dropna()}) == 1
    assert len({origin for table in tables for origin in table["test_rows"]}) == 1


def test_independent_networks_stop_by_themselves(results: dict) -> None:
    history = results["mlp.seed0.history"]
    assert list(history["parts"]) == list(STEPS)
    assert all(part["main_steps"] == [step] for step, part in history["parts"].items())
    assert history["parameters"] == sum(part["parameters"] for part in history["parts"].values())
    assert history["best_epoch"] == np.mean([part["best_epoch"] for part in history["parts"].values()])


def test_seeds_differ(results: dict) -> None:
    first, second = (results[f"aitm.seed{seed}.predictions"]["click_raw"] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_the_truth_is_judged_by_impression(results: dict) -> None:
    assert results["oracle.metrics"]["model"] == "oracle"
    backwards = np.linspace(0.1, 0.9, 400)[::-1].mean()
    assert results["oracle.metrics"]["steps"]["click"]["mean_predicted"] == pytest.approx(backwards)


def test_a_source_without_truth(as_examples: Callable) -> None:
    test = _table(50, seed=3)
    unknown = ds.dataset(_truth(test).slice(0, 0))
    metrics, scores = nodes.evaluate_oracle(unknown, as_examples(test), FUNNEL, Evaluation())
    assert scores.empty
    assert metrics["note"] == "no truth is known for this source"
    assert metrics["steps"] == {}


def test_predictions_of_other_rows(results: dict, as_examples: Callable) -> None:
    other = as_examples(_table(400, seed=4))
    with pytest.raises(InputError, match="are not of the rows of test_examples"):
        nodes.evaluate(results["aitm.seed0.predictions"], {}, other, FUNNEL, Evaluation(), model="aitm", seed=0)


def test_kedro_sees_the_types_of_all_parameters() -> None:
    pipeline = create_pipeline(models=["lightgbm", "aitm"], seeds=[0])
    found = TypeExtractor(["modelling"])._extract_types_from_pipeline(pipeline)
    assert found == {
        "funnel": Funnel,
        "training": Training,
        "aitm": AITMOptions,
        "lightgbm": LightGBMOptions,
        "logistic": LogisticOptions,
        "evaluation": Evaluation,
    }


def test_nodes_are_named_and_tagged() -> None:
    pipeline = create_pipeline(models=["aitm"], seeds=[0, 1])
    names = {node.name for node in pipeline.nodes}
    assert {"aitm.seed1.train", "aitm.seed1.predict_test", "aitm.seed1.evaluate", "oracle.evaluate"} <= names
    assert len(pipeline.only_nodes_with_tags("aitm").nodes) == 6
    train = next(node.func for node in pipeline.nodes if node.name == "aitm.seed1.train")
    assert isinstance(train, partial)
    assert train.keywords == {"model": "aitm", "seed": 1}
    assert "kedro" not in inspect.getsource(nodes).replace("aitm_kedro", "")


@pytest.mark.parametrize(
    ("models", "seeds", "sentence"),
    [
        (["aitn"], [0], "MODELS in settings.py names 'aitn', which is no registered model; choose among lightgbm, mlp"),
        (["aitm", "ple", "aitm"], [0], "MODELS in settings.py names 'aitm' twice"),
        (["logistic"], [0], "'logistic', which is in every comparison anyway"),
        (["aitm"], [0, 1, 0], "SEEDS in settings.py has 0 twice"),
        (["aitm"], [-1], "SEEDS in settings.py has -1; a seed is a whole number"),
        (["aitm"], [0.5], "SEEDS in settings.py has 0.5; a seed is a whole number"),
        (["aitm"], [], "SEEDS in settings.py is empty"),
    ],
)
def test_models_and_seeds_that_cannot_be(models: list, seeds: list, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        create_pipeline(models=models, seeds=seeds)


def test_lightgbm_wants_values_beside_bins(results: dict, as_examples: Callable) -> None:
    without = as_examples(results["test"].drop_columns("_value_age"))
    with pytest.raises(InputError, match=r"lack the values of \['age'\], which 'lightgbm' reads instead of bins"):
        nodes.train_lightgbm(without, without, _vocabulary(), FUNNEL, LightGBMOptions(), seed=0)


TRAINERS = {
    "mlp": partial(
        nodes.train_network, options=NETWORKS["mlp"].Options(), training=Training(device="cpu"), model="mlp", seed=0
    ),
    "lightgbm": partial(nodes.train_lightgbm, options=LightGBMOptions(), seed=0),
}


@pytest.mark.parametrize("name", TRAINERS)
def test_validation_with_one_class_of_a_step(name: str, as_examples: Callable) -> None:
    train, valid = _table(500, seed=1), _table(200, seed=2)
    valid = valid.set_column(valid.schema.get_field_index("click"), "click", [np.ones(200, np.int8)])
    with pytest.raises(InputError, match=r"'click'.*take the step out of funnel.steps, or .* out of MODELS"):
        TRAINERS[name](as_examples(train), as_examples(valid), _vocabulary(), FUNNEL)
