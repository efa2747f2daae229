import inspect
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner
from kedro.validation.type_extractor import TypeExtractor

from aitm_kedro.artifacts.bundle import load_bundle
from aitm_kedro.artifacts.correction import correct
from aitm_kedro.config.runs import resolve_runs
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import Features, FeatureSpec, FeatureSpecs, ValueStatistics
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Provenance, fingerprint_of, provenance_of_table
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.explain.feature_check import FeatureCheck
from aitm_kedro.learning.learner import Learner, stored_fingerprint
from aitm_kedro.learning.parameters import Training, ValidationOptions
from aitm_kedro.learning.registry import MODELS
from aitm_kedro.pipelines.modelling import create_pipeline, nodes
from aitm_kedro.pipelines.modelling.collecting import collect_results
from aitm_kedro.pipelines.modelling.leakage import warn_of_leakage
from aitm_kedro.tables.fingerprints import fingerprint_vocabulary
from aitm_kedro.tables.parameters import Ingestion, Split
from aitm_kedro.tables.reports import BeforeAndAfter, CountsBySegment, KeepRates, SamplingReport, StepCount

STEPS = ("click", "apply", "approve")
FUNNEL = Funnel(steps=STEPS, main_steps=("apply", "approve"), segment="bank")
SIZES = {"age": 6, "city": 40}
TAGS = 9  # ids of the list field
VALIDATION = ValidationOptions(selection_share=0)
TRAINING = Training(max_epochs=3, batch_size=200, learning_rate=0.003, device="cpu", threads=1)


def _vocabulary() -> pd.DataFrame:
    kinds, sizes = {"age": "numeric", "city": "categorical", "tags": "list"}, SIZES | {"tags": TAGS}
    parts = [pd.DataFrame({"feature": field, "kind": kinds[field], "id": range(size)}) for field, size in sizes.items()]
    return pd.concat(parts, ignore_index=True).assign(value=None, lower=np.nan, upper=np.nan, count=1)


VOCABULARY = fingerprint_vocabulary(_vocabulary())
SPECS = FeatureSpecs(
    vocabulary=VOCABULARY,
    features=(
        FeatureSpec(name="city", kind="categorical", ids=40),
        FeatureSpec(
            name="age",
            kind="numeric",
            ids=6,
            edges=(1.0, 2.0, 3.0, 4.0),
            statistics=ValueStatistics(mean=3, std=1.7, minimum=0, maximum=6, null_share=0),
        ),
        FeatureSpec(name="tags", kind="list", ids=TAGS, weights="shares"),
    ),
)
CHECKED = FeatureCheck(mode="report", provenance=Provenance.now(data={"features": SPECS.fingerprint()}, parameters={}))
RUNS = resolve_runs(
    {
        "runs": {
            **dict.fromkeys(MODELS),
            "lightgbm": {"options": {"max_rounds": 10}},
            "aitm_no_calibrator": {"model": "aitm", "options": {"preset": "paper", "alpha": 0}, "seeds": [1]},
        },
        "seeds": {"full": [0, 1]},
        "lightgbm": {"threads": 1},
    }
)
KEYS = [(run, seed) for run, seed in RUNS.keys("full") if run.name in ("aitm", "logistic", "lightgbm") or seed == 1]
KEYS += [(RUNS.find("naive_bayes"), 0)]
NAMESPACES = [f"{run.name}.seed{seed}" for run, seed in KEYS]


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
    known = {"_vocabulary": [VOCABULARY] * rows}
    return pa.table(columns | dict(zip(STEPS, labels.T, strict=True)) | ids | values | lists | known)


def _truth(test: pa.Table) -> pa.Table:
    columns = {"impression_id": test["impression_id"].to_numpy()[::-1]}
    return pa.table(columns | {f"oracle_{step}": np.linspace(0.1, 0.9, len(test)) for step in STEPS})


def _sampling_report(train: Examples | None = None, valid: Examples | None = None) -> SamplingReport:
    rates = KeepRates(overall=0.5, per_segment={"A": 0.5, "B": 0.25})
    return SamplingReport(positive_share=0.1, seed=0, keep_rates=rates, train=_counted(train), valid=_counted(valid))


def _counted(examples: Examples | None) -> BeforeAndAfter:
    happened = {} if examples is None else dict(zip(STEPS, examples.labels.sum(axis=0, dtype=int), strict=True))
    steps = {step: StepCount(positives=count, rate=0) for step, count in happened.items()}
    counts = CountsBySegment(rows=0 if examples is None else len(examples), steps=steps, segments={})
    return BeforeAndAfter(before=counts, after=counts)


@pytest.fixture(scope="module")
def results(as_examples: Callable) -> dict[str, object]:
    test = _table(400, seed=3)
    train, valid = as_examples(_table(2000, seed=1)), as_examples(_table(400, seed=2))
    inputs = {
        "train_examples@arrays": train,
        "valid_examples@arrays": valid,
        "test_examples@arrays": as_examples(test),
        "feature_specs": SPECS,
        "feature_check": CHECKED,
        "vocabulary@pandas": _vocabulary(),
        "sampling_report": _sampling_report(train, valid),
        "oracle@arrow": ds.dataset(_truth(test)),
        "params:funnel": FUNNEL,
        "params:split": Split(),
        "params:validation": VALIDATION,
        "params:training": TRAINING,
        "params:evaluation": Evaluation(),
        "params:features": Features(categorical=("city", "constant"), numeric=("age",), lists=("tags",)),
        "params:ingestion": Ingestion(rename={"city": "CITY"}),
    }
    pipeline = create_pipeline(KEYS)
    assert pipeline.inputs() == set(inputs)
    datasets = {name: MemoryDataset(data, copy_mode="assign") for name, data in inputs.items()}
    kept = {name: Kept(copy_mode="assign") for name in pipeline.all_outputs()}
    catalog = DataCatalog(datasets | kept)
    SequentialRunner().run(pipeline, catalog)
    found = {name: catalog.load(name) for name in kept}
    examples = {f"{split}_examples": inputs[f"{split}_examples@arrays"] for split in ("train", "valid", "test")}
    return found | {"test": test, "valid": examples["valid_examples"], "train": examples["train_examples"]} | examples


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_every_namespace_leaves_the_same_behind(results: dict, namespace: str) -> None:
    test, predictions = results["test"], results[f"{namespace}.predictions"]
    assert list(predictions.columns) == ["impression_id", *STEPS, *(f"{step}_raw" for step in STEPS)]
    assert np.array_equal(predictions["impression_id"], test["impression_id"])
    assert set(predictions.dtypes[1:]) == {np.dtype("float32")}
    raw = predictions[[f"{step}_raw" for step in STEPS]].to_numpy()
    rates = np.where(test["_segment"].to_numpy(zero_copy_only=False) == "A", 0.5, 0.25)
    assert np.array_equal(predictions[list(STEPS)].to_numpy(), correct(raw, rates))
    metrics, trained = results[f"{namespace}.metrics"], results[f"{namespace}.weights"]
    run, seed = namespace.split(".seed")
    assert (metrics.run, metrics.model, metrics.seed) == (run, RUNS.find(run).model, int(seed))
    assert metrics.deterministic == (run in ("logistic", "naive_bayes"))
    assert metrics.test.rows == 400
    assert metrics.test.steps["click"].auc > 0.55
    assert set(metrics.test.segments) == {"A", "B"}
    assert {"parameters", "seconds"} <= metrics.training.keys()
    assert [feature.name for feature in trained.spec.features] == ["city", "age", "tags"]
    assert trained.spec.model == metrics.model
    placements = results[f"{namespace}.placements"]
    assert (placements.groupby("step", observed=True).size() == 400).all()


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_the_history_says_what_was_trained_on_what(results: dict, namespace: str) -> None:
    history, run = results[f"{namespace}.history"], RUNS.find(namespace.split(".seed")[0])
    assert (history.run, history.model, history.seed) == (run.name, run.model, int(namespace[-1]))
    assert history.history == results[f"{namespace}.weights"].history
    fields = ["city", "age", "tags"]
    assert history.provenance.data == {
        "train": results["train"].fingerprint(),
        "valid": results["valid"].fingerprint(),
        "vocabulary": VOCABULARY,
        "features": SPECS.fingerprint(),
        "dropped_features": CHECKED.choice(),
        "keep_rates": fingerprint_of(_sampling_report().keep_rates),
        **({"members": history.provenance.data["members"]} if run.is_ensemble else {}),
    }
    assert history.weights == results[f"{namespace}.weights"].fingerprint()
    changed = {
        "lightgbm": {"max_rounds": 10, "threads": 1},
        "aitm_no_calibrator": {"preset": "paper", "alpha": 0.0},
    }.get(run.name, {})
    assert history.provenance.parameters == {
        "funnel": FUNNEL.model_dump(mode="json"),
        "validation": VALIDATION.model_dump(mode="json"),
        "model": run.model,
        "options": run.options.model_dump(mode="json"),
        "options_changed": changed,
        **(
            {"training": TRAINING.model_dump(mode="json")}
            if hasattr(MODELS[run.model], "network_class")
            else {"task_weights": {}}  # all that others have of it
        ),
    }
    assert history.provenance.libraries["python"]
    predictions = results[f"{namespace}.weights"].predict(results["valid"].of_fields(fields))
    expected = [auc(results["valid"].labels[:, t], predictions[:, t]) for t in range(3)]
    # Those of an ensemble are by weights that other rows gave.
    assert list(history.valid_auc.values()) == pytest.approx(expected, abs=5e-3 if run.is_ensemble else 1e-6)
    ids, tags = results["valid"].ids, results["valid"].lists["tags"]
    assert history.unknown_shares == {
        **{name: np.mean(ids[:, at] == 0) for at, name in enumerate(results["valid"].single_fields)},
        "tags": np.mean([not tags.values[start:end].any() for start, end in pairwise(tags.offsets)]),
    }
    assert type(history).model_validate_json(history.model_dump_json()) == history


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_metrics_say_what_was_judged_and_trained(results: dict, namespace: str) -> None:
    metrics, history = results[f"{namespace}.metrics"], results[f"{namespace}.history"]
    assert metrics.trained == history.provenance
    assert metrics.provenance.parameters.keys() == {"evaluation", "features", "ingestion"}
    assert metrics.provenance.parameters["evaluation"] == Evaluation().model_dump(mode="json")
    assert metrics.learnt == history.learnt
    keep_rates = fingerprint_of(_sampling_report().keep_rates)
    rows = results["oracle_metrics"].provenance.data
    assert metrics.provenance.data == {"weights": history.weights, "keep_rates": keep_rates} | rows
    predictions, placements = results[f"{namespace}.predictions"], results[f"{namespace}.placements"]
    assert provenance_of_table(placements.attrs) == metrics.provenance
    assert provenance_of_table(predictions.attrs).data == metrics.provenance.data
    assert type(metrics).model_validate_json(metrics.model_dump_json()) == metrics


@pytest.mark.parametrize("namespace", ["aitm.seed0", "aitm_no_calibrator.seed1", "lightgbm.seed0", "naive_bayes.seed0"])
def test_the_bundle_holds_everything(results: dict, namespace: str, tmp_path: Path) -> None:
    bundle, history = results[f"{namespace}.bundle"], results[f"{namespace}.history"]
    bundle.save(tmp_path / "bundle")
    loaded = load_bundle(tmp_path / "bundle")
    manifest, metrics = loaded.manifest, results[f"{namespace}.metrics"]
    assert (manifest.run, manifest.model, manifest.seed) == (history.run, history.model, history.seed)
    assert manifest.weights == loaded.trained.fingerprint() == stored_fingerprint(tmp_path / "bundle/model")
    assert loaded.fingerprint() == bundle.fingerprint()
    assert (manifest.funnel, manifest.rename) == (FUNNEL, {"city": "CITY"})
    assert manifest.features.names == ("city", "constant", "age", "tags")
    assert manifest.keep_rates == KeepRates(overall=0.5, per_segment={"A": 0.5, "B": 0.25})
    assert (manifest.valid_auc, manifest.test) == (history.valid_auc, metrics.test)
    assert manifest.unknown_shares == history.unknown_shares
    assert (manifest.trained, manifest.judged) == (history.provenance, metrics.provenance)
    main = [history.valid_auc[step] for step in ("apply", "approve")]
    assert manifest.validation_score == pytest.approx(np.mean(main))
    pd.testing.assert_frame_equal(loaded.vocabulary.to_pandas(), _vocabulary())
    examples = results["valid"].of_fields(["city", "age", "tags"])
    predictions = results[f"{namespace}.weights"].predict(examples)
    np.testing.assert_allclose(loaded.trained.predict(examples), predictions, rtol=2e-6)


def test_all_models_learnt_from_the_same_rows(results: dict) -> None:
    tables = [table for name, table in results.items() if name.endswith(("_metrics", ".metrics"))]
    assert len(tables) == len(KEYS) + 1  # and the oracle
    given = [table.trained.data for table in tables if table.trained]
    assert len({tuple(sorted(data.items() - {("members", data.get("members"))})) for data in given}) == 1
    assert len({table.provenance.data["test"] for table in tables}) == 1


def test_a_variant_is_a_run_of_its_own(results: dict) -> None:
    """The same model and seed, other options."""
    variant, aitm = (results[f"{name}.seed1.weights"] for name in ("aitm_no_calibrator", "aitm"))
    assert (variant.spec.options["output"], aitm.spec.options["output"]) == ("independent", "product")
    assert variant.network.alpha == 0
    assert variant.spec.model == aitm.spec.model == "aitm"
    first, second = (results[f"{name}.seed1.predictions"]["click_raw"] for name in ("aitm_no_calibrator", "aitm"))
    assert not np.array_equal(first, second)


def test_independent_networks_stop_by_themselves(results: dict) -> None:
    history = results["mlp.seed1.history"].history
    assert list(history.parts) == list(STEPS)
    assert all(part.deciding_steps == (step,) for step, part in history.parts.items())
    assert history.parameters == sum(part.parameters for part in history.parts.values())
    assert history.best_epoch == np.mean([part.best_epoch for part in history.parts.values()])


def test_seeds_differ(results: dict) -> None:
    first, second = (results[f"aitm.seed{seed}.predictions"]["click_raw"] for seed in (0, 1))
    assert not np.array_equal(first, second)


def test_the_truth_is_judged_by_impression(results: dict) -> None:
    metrics = results["oracle_metrics"]
    assert (metrics.run, metrics.model, metrics.seed, metrics.trained) == ("oracle", None, None, None)
    backwards = np.linspace(0.1, 0.9, 400)[::-1].mean()
    assert metrics.test.steps["click"].mean_predicted == pytest.approx(backwards)
    assert metrics.provenance.parameters["funnel"] == FUNNEL.model_dump(mode="json")


def test_a_source_without_truth(as_examples: Callable) -> None:
    test = _table(50, seed=3)
    unknown = ds.dataset(_truth(test).slice(0, 0))
    metrics = nodes.evaluate_oracle(unknown, as_examples(test), FUNNEL, Evaluation())
    assert metrics.note == "no truth is known for this source"
    assert (metrics.run, metrics.test) == ("oracle", None)


def test_predictions_of_other_rows(results: dict, as_examples: Callable) -> None:
    predictions, history = results["aitm.seed0.predictions"], results["aitm.seed0.history"]

    def evaluate(predictions: pd.DataFrame = predictions, history: object = history, **changes: object) -> object:
        chosen = {"test_examples": results["test_examples"], "sampling_report": _sampling_report()} | changes
        return nodes.evaluate(
            predictions, history, **chosen, funnel=FUNNEL, evaluation=Evaluation(), run=RUNS.find("aitm"), seed=0
        )

    assert evaluate()[0].test.rows == 400
    sentence = "the predictions of 'aitm.seed0' were made from {} than what is loaded now .*predict again: kedro run"
    with pytest.raises(InputError, match=sentence.format("other test rows")):
        evaluate(test_examples=as_examples(_table(400, seed=4)))
    with pytest.raises(InputError, match=sentence.format("other weights")):
        evaluate(history=results["aitm.seed1.history"])
    rates = _sampling_report().model_copy(update={"keep_rates": KeepRates(overall=0.9)})
    with pytest.raises(InputError, match=sentence.format(r"other keep rates of the downsampling \(sampling_report\)")):
        evaluate(sampling_report=rates)
    with pytest.raises(InputError, match=r"other weights than .* \(content not known, now \w{12}\)"):
        evaluate(predictions=pd.DataFrame(predictions.to_dict("list")))


def test_what_a_table_was_made_from_survives_parquet(results: dict, tmp_path: Path) -> None:
    predictions = results["aitm.seed0.predictions"]
    predictions.to_parquet(tmp_path / "table")
    assert pd.read_parquet(tmp_path / "table").attrs == predictions.attrs


def test_test_examples_of_another_vocabulary_are_not_predicted(results: dict) -> None:
    def predict(**changes: object) -> pd.DataFrame:
        chosen = {"test_examples": results["test_examples"], "sampling_report": _sampling_report()} | changes
        run = RUNS.find("aitm")
        return nodes.predict_test(
            results["aitm.seed0.weights"], **chosen, funnel=FUNNEL, training=TRAINING, run=run, seed=0
        )

    assert len(predict()) == 400
    others = replace(results["test_examples"], vocabulary="0" * 12)
    with pytest.raises(
        InputError,
        match=r"the weights of 'aitm.seed0' were made from another vocabulary than what is loaded now "
        rf"\(content {VOCABULARY}, now 0{{12}}\); train again \(kedro run --from-nodes=aitm.seed0.train\), or "
        r"load .*--load-versions",
    ):
        predict(test_examples=others)
    report = _sampling_report().model_copy(update={"keep_rates": KeepRates(overall=0.9)})
    with pytest.raises(InputError, match=r"weights of 'aitm.seed0' were made from other keep rates"):
        predict(sampling_report=report)


def test_inputs_of_different_preparations_are_not_learnt_from(results: dict) -> None:
    train, valid = results["train"], results["valid"]
    report = _sampling_report(train, valid)
    run = RUNS.find("naive_bayes")

    def learn(train: Examples, valid: Examples, report: SamplingReport) -> object:
        return nodes.train(train, valid, SPECS, CHECKED, report, FUNNEL, Split(), VALIDATION, TRAINING, run=run, seed=0)

    with pytest.raises(
        InputError, match=rf"valid_examples and feature_specs .* \(0{{12}} and {VOCABULARY}\).*preparation"
    ):
        learn(train, replace(valid, vocabulary="0" * 12), report)
    fewer = train.take(np.arange(1999))
    with pytest.raises(InputError, match=r"train_examples \(1999 rows\) are not the rows .* counts \(2000 rows\)"):
        learn(fewer, valid, report)
    with pytest.raises(InputError, match=r"valid_examples \(400 rows\) are not the rows"):
        learn(train, replace(valid, labels=1 - valid.labels), report)


def test_a_model_that_says_no_more_than_constants_did_not_learn(
    results: dict, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fit = MODELS["naive_bayes"].fit
    _, learnt = _train("naive_bayes", results["train"], results["valid"])
    assert learnt.learnt
    assert "did not learn" not in caplog.text
    rates = results["valid"].labels.mean(axis=0)
    entropy = -(rates * np.log(rates) + (1 - rates) * np.log(1 - rates))
    assert list(learnt.constant_log_loss.values()) == pytest.approx(entropy)

    def spoil(change: Callable) -> None:
        def spoiled(self: Learner, *parts: object, **rest: object) -> object:
            trained = fit(self, *parts, **rest)
            predict = trained._predict
            trained._predict = lambda examples: change(predict(examples)).astype(np.float32)
            return trained

        monkeypatch.setattr(MODELS["naive_bayes"], "fit", spoiled)

    spoil(lambda raw: np.full_like(raw, 0.5))
    _, history = _train("naive_bayes", results["train"], results["valid"])
    assert not history.learnt
    assert history.valid_log_loss == pytest.approx(dict.fromkeys(STEPS, np.log(2)), abs=1e-6)
    assert "'naive_bayes' with seed 0 did not learn: its log loss on validation over all steps is 2.0794" in caplog.text
    caplog.clear()
    spoil(lambda raw: raw / 1000)
    _, history = _train("naive_bayes", results["train"], results["valid"])
    assert not history.learnt
    assert history.ranks
    assert "'naive_bayes' with seed 0 ranks but did not learn probabilities: " in caplog.text
    assert "use its order only" in caplog.text


def test_a_copy_of_a_label_among_the_features_is_named(results: dict, caplog: pytest.LogCaptureFixture) -> None:
    def leaking(examples: Examples) -> Examples:
        ids = examples.ids.copy()
        ids[:, 1] = 1 + 2 * (ids[:, 1] % 3) + examples.labels[:, -1]
        return replace(examples, ids=ids)

    _train("naive_bayes", results["train"], results["valid"])
    assert "nearly without fault" not in caplog.text
    _, history = _train("naive_bayes", leaking(results["train"]), leaking(results["valid"]))
    assert history.valid_auc[STEPS[-1]] >= 0.999
    name = results["train"].single_fields[1]
    assert (
        f"predicts '{STEPS[-1]}' nearly without fault (validation AUC 1.0000), and by itself this feature"
        in caplog.text
    )
    assert f"tells it, too: '{name}' (AUC 1.0000); is a feature known only after the step" in caplog.text


def _with_null_where_it_did_not_happen(examples: Examples) -> Examples:
    ids = examples.ids.copy()
    ids[:, 1] = np.where(examples.labels[:, -1], 1 + ids[:, 1] % 3, 0)
    return replace(examples, ids=ids)


def _with_the_label_in_a_list(examples: Examples) -> Examples:
    lists = examples.lists["tags"]
    happened = np.repeat(examples.labels[:, -1], lists.lengths)
    values = np.where(happened, TAGS - 1, lists.values % (TAGS - 1)).astype(np.int32)
    return replace(examples, lists={"tags": replace(lists, values=values)})


def _with_the_label_in_the_value_alone(examples: Examples) -> Examples:
    values = examples.values.copy()
    values[:, 0] = -examples.labels[:, -1]
    return replace(examples, values=values)


def _with_an_id_of_its_own_in_every_row(examples: Examples) -> Examples:
    ids = examples.ids.copy()
    ids[:, 0] = np.random.default_rng(len(ids)).permutation(len(ids))
    return replace(examples, ids=ids)


@pytest.mark.parametrize(
    ("change", "feature"),
    [
        (_with_null_where_it_did_not_happen, 1),
        (_with_the_label_in_a_list, "tags"),
        (_with_the_label_in_the_value_alone, "age"),
        (_with_an_id_of_its_own_in_every_row, None),
        (lambda examples: examples, None),
    ],
)
@pytest.mark.parametrize("model_auc", [0.992, 0.95])
def test_what_tells_a_step_by_itself_is_named(
    results: dict, caplog: pytest.LogCaptureFixture, change: Callable, feature: object, model_auc: float
) -> None:
    train, valid = change(results["train"]), change(results["valid"])
    history = results["naive_bayes.seed0.history"]
    history = history.model_copy(update={"valid_auc": history.valid_auc | {STEPS[-1]: model_auc}})
    warn_of_leakage(history, train, valid)
    name = valid.single_fields[feature] if isinstance(feature, int) else feature
    told = f"tells it, too: '{name}' (AUC 1.0000);" in caplog.text
    assert told == (feature is not None and model_auc > 0.99)
    assert ("nearly without fault" in caplog.text) == told


def test_a_perfect_ranking_of_a_few_positives_is_no_leak(results: dict, caplog: pytest.LogCaptureFixture) -> None:
    history = results["naive_bayes.seed0.history"]
    perfect = history.model_copy(update={"valid_auc": dict.fromkeys(STEPS, 1.0)})
    few = results["valid"].take(np.flatnonzero(results["valid"].labels[:, 0] == 0)[:50])
    labels = few.labels.copy()
    labels[:9] = 1
    warn_of_leakage(perfect, results["train"], replace(few, labels=labels))
    assert not caplog.text
    labels[9] = 1
    warn_of_leakage(perfect, results["train"], replace(few, labels=labels))
    assert "no single feature tells it by itself" in caplog.text


def test_what_is_too_good_on_test_alone_is_named(results: dict, caplog: pytest.LogCaptureFixture) -> None:
    examples, history = results["test_examples"], results["aitm.seed0.history"]
    predictions = results["aitm.seed0.predictions"].copy()
    predictions.attrs = results["aitm.seed0.predictions"].attrs
    told = "predicts 'approve' nearly without fault on test (AUC 1.0000), but not on validation (AUC 0."

    def judge() -> str:
        caplog.clear()
        options = {"run": RUNS.find("aitm"), "seed": 0}
        nodes.evaluate(predictions, history, examples, _sampling_report(), FUNNEL, Evaluation(), **options)
        return caplog.text

    assert told not in judge()
    predictions["approve_raw"] = examples.labels[:, 2].astype(np.float32)
    assert told in judge()


@pytest.mark.parametrize(("name", "warns"), [("aitm", True), ("logistic", False)])
def test_a_batch_that_leaves_too_few_steps_an_epoch(
    results: dict, name: str, warns: bool, caplog: pytest.LogCaptureFixture
) -> None:
    training = TRAINING.model_copy(update={"batch_size": 201, "max_epochs": 1})
    report = _sampling_report(results["train"], results["valid"])
    parts = (results["train"], results["valid"], SPECS, CHECKED, report, FUNNEL, Split(), VALIDATION)
    nodes.train(*parts, training, run=RUNS.find(name), seed=0)
    sentence = "training.batch_size is 201, so that the 2000 train rows make 10 steps an epoch"
    assert (sentence in caplog.text) == warns
    assert ("set it to 20 or less" in caplog.text) == warns
    caplog.clear()
    nodes.train(*parts, training.model_copy(update={"batch_size": 200}), run=RUNS.find(name), seed=0)
    assert "training.batch_size is" not in caplog.text


def test_kedro_sees_the_types_of_all_parameters() -> None:
    pipeline = create_pipeline([(RUNS.find("lightgbm"), 0), (RUNS.find("aitm"), 0)])
    found = TypeExtractor(["modelling"])._extract_types_from_pipeline(pipeline)
    assert found == {
        "funnel": Funnel,
        "split": Split,
        "validation": ValidationOptions,
        "training": Training,
        "evaluation": Evaluation,
        "features": Features,
        "ingestion": Ingestion,
    }


def test_nodes_are_named_and_tagged() -> None:
    aitm, variant = RUNS.find("aitm"), RUNS.find("aitm_no_calibrator")
    pipeline = create_pipeline([(aitm, 0), (aitm, 1), (variant, 1)])
    names = {node.name for node in pipeline.nodes}
    assert {f"aitm.seed1.{name}" for name in ("train", "predict_test", "evaluate")} <= names
    assert {"aitm_no_calibrator.seed1.train", "oracle.evaluate"} <= names
    assert {"aitm.collect_results", "aitm_no_calibrator.collect_results"} <= names
    assert len(pipeline.only_nodes_with_tags("aitm").nodes) == 7
    assert len(pipeline.only_nodes_with_namespaces(["aitm.seed0"]).nodes) == 3  # the way to run one seed again
    # Nothing but one dataset a run is read outside of its box, or drawn beside it in Kedro-Viz.
    assert pipeline.outputs() == {"aitm_results@metrics", "aitm_no_calibrator_results@metrics", "oracle_metrics"}
    assert len(pipeline.only_nodes_with_tags("aitm_no_calibrator").nodes) == 4
    train = next(node.func for node in pipeline.nodes if node.name == "aitm_no_calibrator.seed1.train")
    assert isinstance(train, partial)
    assert train.keywords == {"run": variant, "seed": 1}
    assert "kedro" not in inspect.getsource(nodes).replace("aitm_kedro", "")


def test_weights_of_another_training_than_the_history_are_not_packed(results: dict) -> None:
    """Such as older weights, by --load-versions."""
    model, other = (results[f"aitm.seed{seed}.weights"] for seed in (0, 1))
    with pytest.raises(InputError, match=r"weights and the history of 'aitm.seed0' are of different trainings"):
        _evaluate_and_pack(results, other, _sampling_report())
    report = _sampling_report()
    changed = report.model_copy(update={"keep_rates": KeepRates(overall=0.9, per_segment=None)})
    with pytest.raises(InputError, match=r"weights of 'aitm.seed0' were made from other keep rates"):
        _evaluate_and_pack(results, model, changed)
    with pytest.raises(InputError, match=r"weights of 'aitm.seed0' were made from another vocabulary"):
        _evaluate_and_pack(results, model, report, vocabulary=_vocabulary().assign(count=2))
    assert _evaluate_and_pack(results, model, report)[0].run == "aitm"


def _evaluate_and_pack(
    results: dict, trained: object, report: SamplingReport, vocabulary: pd.DataFrame | None = None
) -> tuple:
    return nodes.evaluate_and_pack(
        trained,
        results["aitm.seed0.history"],
        results["aitm.seed0.predictions"],
        results["test_examples"],
        _vocabulary() if vocabulary is None else vocabulary,
        report,
        FUNNEL,
        Features(categorical=("city",), numeric=("age",), lists=("tags",)),
        Ingestion(),
        Evaluation(),
        run=RUNS.find("aitm"),
        seed=0,
    )


def test_lightgbm_wants_values_beside_bins(results: dict, as_examples: Callable) -> None:
    without = as_examples(results["test"].drop_columns("_value_age"))
    with pytest.raises(InputError, match=r"'lightgbm' reads the values of \['age'\] instead of their bins"):
        _train("lightgbm", without, without)


def _train(name: str, train: object, valid: object, funnel: Funnel = FUNNEL) -> tuple:
    report = _sampling_report(train, valid)
    return nodes.train(
        train, valid, SPECS, CHECKED, report, funnel, Split(), VALIDATION, TRAINING, run=RUNS.find(name), seed=0
    )


@pytest.mark.parametrize("name", ["mlp", "lightgbm"])
def test_validation_with_one_class_of_a_step(name: str, as_examples: Callable) -> None:
    train, valid = _table(500, seed=1), _table(200, seed=2)
    valid = valid.set_column(valid.schema.get_field_index("click"), "click", [np.ones(200, np.int8)])
    with pytest.raises(InputError, match=r"'click'.*take the step out of funnel.steps, or .* out of runs"):
        _train(name, as_examples(train), as_examples(valid))


def test_a_step_that_validation_cannot_score_has_no_auc(as_examples: Callable) -> None:
    valid = _table(200, seed=2)
    valid = valid.set_column(valid.schema.get_field_index("approve"), "approve", [np.zeros(200, np.int8)])
    _, history = _train("aitm", as_examples(_table(500, seed=1)), as_examples(valid))
    assert history.valid_auc["approve"] is None
    assert history.valid_auc["apply"] is not None


@pytest.mark.parametrize("name", ["aitm", "logistic"])
def test_row_weights_count_relative_to_each_other(results: dict, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A learner sees weights with a mean of 1; provenance and metrics know those of the data."""
    seen, fit = [], MODELS[name].fit

    def note(self: Learner, train: object, valid: object, **rest: object) -> object:
        seen.append((train.row_weights, valid.row_weights))
        return fit(self, train, valid, **rest)

    monkeypatch.setattr(MODELS[name], "fit", note)
    found = []
    for scale in (1, 40):
        weights = [
            scale * np.random.default_rng(0).exponential(size=len(results[part])).astype(np.float32)
            for part in ("train", "valid")
        ]
        parts = [replace(results[part], row_weights=w) for part, w in zip(("train", "valid"), weights, strict=True)]
        trained, history = _train(name, *parts)
        np.testing.assert_allclose(seen[-1][0], weights[0] / weights[0].mean(), rtol=1e-4)
        np.testing.assert_array_equal(seen[-1][1], weights[1])
        assert history.provenance.data["train"] == parts[0].fingerprint()
        predictions = trained.predict(results["valid"].of_fields([feature.name for feature in SPECS.features]))
        expected = [auc(results["valid"].labels[:, t], predictions[:, t], weights[1]) for t in range(3)]
        assert list(history.valid_auc.values()) == pytest.approx(expected, abs=1e-6)
        found.append(predictions)
    np.testing.assert_allclose(*found, atol=1e-3)


def test_rows_without_any_weight(results: dict) -> None:
    nothing = replace(results["train"], row_weights=np.zeros(len(results["train"]), np.float32))
    with pytest.raises(InputError, match=r"funnel\.row_weight is 0 in every train row"):
        _train("logistic", nothing, results["valid"])
    nothing = replace(results["valid"], row_weights=np.zeros(len(results["valid"]), np.float32))
    with pytest.raises(InputError, match=r"funnel\.row_weight is 0 in every validation row, so nothing can be chosen"):
        _train("logistic", results["train"], nothing)


def test_metrics_are_weighted(results: dict, as_examples: Callable) -> None:
    examples = as_examples(results["test"])
    weights = np.random.default_rng(0).exponential(size=400).astype(np.float32)
    history, weighted = results["aitm.seed0.history"], replace(examples, row_weights=weights)
    predictions = nodes.predict_test(
        results["aitm.seed0.weights"], weighted, _sampling_report(), FUNNEL, TRAINING, run=RUNS.find("aitm"), seed=0
    )
    metrics, placements = nodes.evaluate(
        predictions,
        history,
        weighted,
        _sampling_report(),
        FUNNEL,
        Evaluation(),
        run=RUNS.find("aitm"),
        seed=0,
    )
    for t, step in enumerate(STEPS):
        expected = auc(examples.labels[:, t], predictions[f"{step}_raw"].to_numpy(), weights)
        assert metrics.test.steps[step].auc == pytest.approx(expected)
    assert metrics.provenance.data != results["aitm.seed0.metrics"].provenance.data
    assert not placements.equals(results["aitm.seed0.placements"])


class TestCollectResults:
    def collect(self, results: dict, *seeds: int, **changed: object) -> list[int]:
        found = results | changed
        saved = [found[f"aitm.seed{seed}.{what}"] for what in ("metrics", "placements", "bundle") for seed in seeds]
        return collect_results(*saved, run="aitm", seeds=seeds)

    def test_seeds_that_are_whole(self, results: dict) -> None:
        assert results["aitm_results@metrics"] == [0, 1]
        assert self.collect(results, 0, 1, **{"aitm.seed0.bundle": None}) == [1]
        assert self.collect(results, 0, 1, **{"aitm.seed1.placements": None}) == [0]

    def test_metrics_and_bundle_of_different_evaluations(self, results: dict) -> None:
        other = {"aitm.seed1.metrics": results["aitm.seed0.metrics"]}
        with pytest.raises(InputError, match=r"bundle of 'aitm.seed1' are of different .*--nodes=aitm.seed1.evaluate$"):
            self.collect(results, 0, 1, **other)


class TestParts:
    """What is trained on what: two parts of validation, and the features that the check leaves."""

    def test_learners_stop_on_one_part_and_are_judged_on_the_other(
        self, results: dict, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        given = {}
        original = MODELS["naive_bayes"].fit

        def note(self: Learner, train: Examples, valid: Examples, **options: object) -> object:
            given["valid"] = valid
            return original(self, train, valid, **options)

        monkeypatch.setattr(MODELS["naive_bayes"], "fit", note)
        valid = results["valid"]
        trained, history = _train_parts(results, ValidationOptions(selection_share=0.25))
        assert np.array_equal(given["valid"].impression_id, valid.impression_id[:300])
        later = valid.take(np.arange(300, 400)).of_fields(given["valid"].fields)
        predictions = trained.predict(later)
        expected = {step: auc(later.labels[:, t], predictions[:, t]) for t, step in enumerate(STEPS)}
        assert history.valid_auc == pytest.approx(expected)
        assert history.selection_rows == 100
        assert history.provenance.parameters["validation"] == {"selection_share": 0.25, "by": "auto"}

    def test_features_that_were_dropped_are_not_learnt_from(self, results: dict) -> None:
        checked = CHECKED.model_copy(update={"mode": "drop", "dropped": ("city",)})
        trained, history = _train_parts(results, feature_check=checked)
        assert [spec.name for spec in trained.spec.features] == ["age", "tags"]
        assert set(history.unknown_shares) == {"age", "tags"}
        assert history.provenance.data["dropped_features"] == checked.choice() != CHECKED.choice()
        report = _sampling_report(results["train"], results["valid"])
        predictions = nodes.predict_test(
            trained, results["test_examples"], report, FUNNEL, TRAINING, run=RUNS.find("naive_bayes"), seed=0
        )
        assert len(predictions) == 400

    def test_features_that_nobody_checked(self, results: dict) -> None:
        with pytest.raises(InputError, match=r"features were not checked .*: kedro run --nodes=check_features"):
            _train_parts(results, feature_check=None)
        other = CHECKED.model_copy(update={"provenance": Provenance.now(data={"features": "0" * 12}, parameters={})})
        with pytest.raises(InputError, match=r"the results of the feature check were made from other feature_specs"):
            _train_parts(results, feature_check=other)


def _train_parts(
    results: dict, validation: ValidationOptions = VALIDATION, feature_check: FeatureCheck | None = CHECKED
) -> tuple:
    train, valid = results["train"], results["valid"]
    return nodes.train(
        train,
        valid,
        SPECS,
        feature_check,
        _sampling_report(train, valid),
        FUNNEL,
        Split(),
        validation,
        TRAINING,
        run=RUNS.find("naive_bayes"),
        seed=0,
    )


class TestMembers:
    """An ensemble blends what belongs together, and says what does not."""

    KEYS = (("aitm", 1), ("logistic", 0))

    def blend(self, results: dict, *models: object, funnel: Funnel = FUNNEL, **changes: object) -> tuple:
        train, valid = results["train"], results["valid"]
        given = {"split": Split(), "validation": VALIDATION, "train": train, "valid": valid} | changes
        return nodes.blend(
            given["train"],
            given["valid"],
            SPECS,
            CHECKED,
            _sampling_report(given["train"], given["valid"]),
            funnel,
            given["split"],
            given["validation"],
            TRAINING,
            *models,
            run=RUNS.find("ensemble"),
            seed=1,
            keys=self.KEYS,
        )

    def models(self, results: dict) -> list:
        return [results[f"{run}.seed{seed}.weights"] for run, seed in self.KEYS]

    def test_it_knows_what_it_blends(self, results: dict) -> None:
        trained, history = self.blend(results, *self.models(results))
        assert [member.name for member in trained.members] == ["aitm.seed1", "logistic.seed0"]
        assert history.history.chosen["click"]["weights"].keys() == {"aitm.seed1", "logistic.seed0"}
        assert history.provenance.data["members"] == trained.spec.data["members"]
        again = self.blend(results, *self.models(results))[1]
        assert again.provenance.data == history.provenance.data

    def test_one_of_other_rows(self, results: dict, as_examples: Callable) -> None:
        sentence = (
            r"the weights of 'aitm.seed1', which 'ensemble.seed1' blends, were made from other {} than .*train it"
        )
        with pytest.raises(InputError, match=sentence.format("train examples")):
            self.blend(results, *self.models(results), train=as_examples(_table(2000, seed=9)))
        with pytest.raises(InputError, match=sentence.format("validation examples")):
            self.blend(results, *self.models(results), valid=as_examples(_table(400, seed=9)))

    def test_one_of_other_steps(self, results: dict) -> None:
        fewer = Funnel(steps=STEPS[:2], main_steps=("apply",), segment="bank")
        with pytest.raises(
            InputError, match=r"whose steps are click, apply, approve, but funnel.steps are click, apply;"
        ):
            self.blend(results, *self.models(results), funnel=fewer)

    def test_one_that_was_stopped_by_rows_that_would_weigh_it(self, results: dict) -> None:
        sentence = "'aitm.seed1', .*, were made from other validation rows that stop a training .*train it again"
        with pytest.raises(InputError, match=sentence):
            self.blend(results, *self.models(results), validation=ValidationOptions())
