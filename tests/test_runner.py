"""A benchmark goes on where it stopped, and does again what is out of date by content, not by version."""

import shutil
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from aitm_kedro.config.runs import Run
from aitm_kedro.core.provenance import Provenance, Result, with_provenance
from aitm_kedro.datasets import JSON, ExampleArrays, Frame, ModelFolder, TypedJSON
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.learning.history import History, RunHistory
from aitm_kedro.learning.learner import HISTORY_FILE, SPEC_FILE, ModelSpec, stored_fingerprint
from aitm_kedro.learning.network_options import AITMOptions
from aitm_kedro.learning.parameters import Training
from aitm_kedro.pipelines.binding import bind
from aitm_kedro.runner import ResumingRunner, divide


class Made(Result):
    """A result that says what it was made from."""

    provenance: Provenance


class Weights:
    """A trained model that is known by its time of training alone."""

    def __init__(self, seconds):
        self.seconds = seconds

    def save(self, folder):
        folder.mkdir()
        (folder / SPEC_FILE).write_text(ModelSpec(model="aitm", options={}, steps=(), features=()).model_dump_json())
        (folder / HISTORY_FILE).write_text(history_of(self.seconds).model_dump_json())


def history_of(seconds):
    return History(seconds=seconds, rows_per_second=1, parameters=1, train_rows=1, valid_rows=1)


class Study:
    """Two runs over one data set, and a comparison of both."""

    def __init__(self, folder):
        self.folder, self.calls, self.fails = folder, [], None
        self.alpha, self.trainings = 0.6, 0
        self.parameters = {"evaluation": {"confidence": 0.9}, "training": {"patience": 3}}
        self.days = iter(range(1, 29))
        self.prepare([0, 1])

    def prepare(self, clicks, day=None):
        """Save train examples as a new version."""
        path = self.folder / "train_examples.parquet" / self.version(day) / "train_examples.parquet"
        path.parent.mkdir(parents=True)
        columns = {"impression_id": pa.array(range(len(clicks))), "click": pa.array(clicks, pa.int8())}
        pq.write_table(pa.table(columns), path)

    def version(self, day=None):
        return f"2024-01-{day or next(self.days):02d}T00.00.00.000Z"

    def catalog(self, version=None):
        kinds = {
            "weights": {"type": ModelFolder, "loader": f"{Weights.__module__}.load"},
            "history": {"type": TypedJSON, "schema": "aitm_kedro.learning.history.RunHistory"},
            "predictions": {"type": Frame},
            "metrics": {"type": TypedJSON, "schema": f"{Made.__module__}.Made"},
        }
        config = {
            f"{run}.seed0.{what}": kind | {"filepath": str(self.folder / f"{run}.{what}"), "versioned": True}
            for run in ("aitm", "ple")
            for what, kind in kinds.items()
        }
        config["train_examples@arrays"] = {
            "type": ExampleArrays,
            "filepath": str(self.folder / "train_examples.parquet"),
        }
        config["compared"] = {"type": JSON, "filepath": str(self.folder / "compared.json")}
        for entry in config.values():
            entry["versioned"] = True
        catalog = DataCatalog.from_config(config, save_version=version)
        for key, value in self.parameters.items():
            catalog[f"params:{key}"] = dict(value)
        return catalog

    def call(self, name):
        self.calls.append(name)
        if self.fails == name:
            raise KeyError(name)

    def pipeline(self, name):
        run = Run(
            name=name, model="aitm", options=AITMOptions(preset="paper", alpha=self.alpha if name == "aitm" else 0.1)
        )

        def train(examples, training, run):
            self.call(f"train {name}")
            self.trainings += 1
            weights = Weights(self.trainings)
            weights.save(self.folder / f"{self.trainings}")
            parameters = {"training": Training(**training), "model": run.model, "options": run.options}
            history = RunHistory(
                run=name,
                model=run.model,
                seed=0,
                history=history_of(self.trainings),
                valid_auc={},
                valid_log_loss={},
                constant_log_loss={},
                weights=stored_fingerprint(self.folder / f"{self.trainings}"),
                provenance=Provenance.now(data={"train": examples.fingerprint()}, parameters=parameters),
            )
            return weights, history

        def predict(history):
            self.call(f"predict {name}")
            made = Provenance.now(data={"weights": history.weights}, parameters={})
            return with_provenance(pd.DataFrame({"click": [0.5]}), made)

        def judge(history, _, evaluation):
            self.call(f"judge {name}")
            parameters = {"evaluation": Evaluation(**evaluation)}
            return Made(provenance=Provenance.now(data={"weights": history.weights}, parameters=parameters))

        return Pipeline(
            [
                Node(
                    bind(train, run=run),
                    ["train_examples@arrays", "params:training"],
                    ["weights", "history"],
                    name="train",
                ),
                Node(lambda history, _: predict(history), ["history", "weights"], "predictions", name="predict"),
                Node(
                    lambda history, predictions, _, evaluation: judge(history, predictions, evaluation),
                    ["history", "predictions", "weights", "params:evaluation"],
                    "metrics",
                    name="judge",
                ),
            ],
            namespace=f"{name}.seed0",
            inputs={"train_examples@arrays"},
            parameters={"params:evaluation", "params:training"},
        )

    def compare(self, *results):
        self.calls.append("compare")
        return {"results": len(results)}

    def run(self, day=None):
        names = [f"{model}.seed0.metrics" for model in ("aitm", "ple")]
        last = Pipeline([Node(self.compare, names, "compared", name="compare")])
        self.calls.clear()
        ResumingRunner().run(self.pipeline("aitm") + self.pipeline("ple") + last, self.catalog(self.version(day)))
        return list(self.calls)


def load(folder):
    return Path(folder).name


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


pytestmark = pytest.mark.filterwarnings("ignore:One or more dataset names contain")


AITM, PLE = ([f"{what} {run}" for what in ("train", "predict", "judge")] for run in ("aitm", "ple"))
ALL = [*AITM, *PLE, "compare"]


def test_what_is_finished_is_not_repeated_and_the_comparison_is(study):
    assert study.run() == ALL
    assert study.run() == ["compare"]


def test_a_run_that_failed_goes_on_with_the_node_that_failed(study):
    study.fails = "judge ple"
    with pytest.raises(KeyError):
        study.run()
    study.fails = None
    assert study.run() == ["judge ple", "compare"]


def test_results_older_than_what_they_come_from_are_made_again(study):
    """A run stopped between training and judging leaves old metrics beside new weights."""
    study.run()
    study.parameters["training"] = {"patience": 4}
    study.fails = "judge aitm"
    with pytest.raises(KeyError):
        study.run()
    study.fails = None
    assert study.run() == [*AITM[2:], *PLE, "compare"]


def test_data_of_other_content_make_results_old_and_an_equal_preparation_does_not(study):
    study.run()
    study.prepare([0, 1])
    assert study.run() == ["compare"]
    study.prepare([1, 1])
    assert study.run() == ALL
    study.prepare([1, 1])
    assert study.run() == ["compare"]


def test_a_clock_that_was_set_back_changes_nothing(study):
    """Versions are moments; what was made at an earlier moment than its inputs is as good as any."""
    study.prepare([0, 1], day=27)
    assert study.run() == ALL
    assert study.run() == ["compare"]


def test_weights_without_the_history_of_their_training_are_made_again(study):
    """A run that was killed between the two leaves new weights beside an old history."""
    study.run()
    study.parameters["training"] = {"patience": 4}
    study.run()
    shutil.rmtree(max((study.folder / "aitm.history").iterdir()))
    study.parameters["training"] = {"patience": 3}
    assert study.run() == [*AITM, *PLE, "compare"]


def test_predictions_of_earlier_weights_are_made_again(study):
    study.run()
    study.parameters["training"] = {"patience": 4}
    study.fails = "predict aitm"
    with pytest.raises(KeyError):
        study.run()
    study.fails = None
    assert study.run() == [*AITM[1:], *PLE, "compare"]


def test_a_table_that_does_not_say_what_it_was_made_from_is_made_again(study):
    study.run()
    path = next((study.folder / "ple.predictions").glob("*/*"))
    pd.DataFrame({"click": [0.5]}).to_parquet(path)
    assert study.run() == [*PLE[1:], "compare"]


def test_only_what_reads_a_parameter_is_made_again(study):
    study.run()
    study.parameters["evaluation"] = {"confidence": 0.8}
    assert study.run() == ["judge aitm", "judge ple", "compare"]


def test_other_options_of_a_run_make_its_results_again(study):
    study.run()
    study.alpha = 0.0
    assert study.run() == [*AITM, "compare"]


def test_defaults_spelled_out_and_other_machines_change_nothing(study):
    study.run()
    study.parameters = {
        "evaluation": {"confidence": 0.9, "calibration_bins": 20},
        "training": {"patience": 3, "threads": 1, "device": "cpu"},
    }
    assert study.run() == ["compare"]


def test_a_result_of_another_version_of_the_project_is_made_again(study):
    study.run()
    for path in study.folder.glob("aitm.metrics/*/*"):
        path.write_text('{"parameters_used": {}}')
    assert study.run() == ["judge aitm", "compare"]


def test_a_namespace_that_reads_from_another_one_waits(study):
    """Such as the figures of a model, whose namespace is the model's, without a seed."""
    figures = Node(lambda x: x, "aitm.seed0.metrics", "figure", name="draw", namespace="aitm")
    _, parts, after = divide(study.pipeline("aitm") + Pipeline([figures]))
    assert list(parts) == ["aitm.seed0"]
    assert [node.name for node in after.nodes] == ["aitm.draw"]


def test_seeds_come_before_runs():
    def node(model, seed):
        return Node(lambda x: x, "x", f"{model}.seed{seed}.y", name="train", namespace=f"{model}.seed{seed}")

    nodes = [node(model, seed) for model in ("ple", "aitm") for seed in (0, 1)]
    first = Node(lambda: 1, None, "x", name="first")
    before, parts, after = divide(Pipeline([*nodes, first]))
    assert [n.name for n in before.nodes] == ["first"]
    assert list(parts) == ["aitm.seed0", "ple.seed0", "aitm.seed1", "ple.seed1"]
    assert not after.nodes


def test_a_namespace_with_a_seed_comes_after_those_that_it_reads():
    """As an ensemble after its members, as soon as it can."""

    def node(name, *reads):
        return Node(lambda *x: x, ["x", *reads], f"{name}.weights", name="train", namespace=name)

    nodes = [node(f"{run}.seed{seed}") for run in ("aitm", "ple") for seed in (0, 1)]
    nodes += [node(f"blend.seed{seed}", f"aitm.seed{seed}.weights", "ple.seed0.weights") for seed in (0, 1)]
    _, parts, after = divide(Pipeline(nodes))
    assert list(parts) == ["aitm.seed0", "ple.seed0", "blend.seed0", "aitm.seed1", "blend.seed1", "ple.seed1"]
    assert not after.nodes
