"""A benchmark goes on where it stopped, and does again what is out of date."""

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from aitm_kedro.config.runs import Run
from aitm_kedro.core.provenance import Provenance, Result
from aitm_kedro.datasets import JSON, TypedJSON
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.learning.network_options import AITMOptions
from aitm_kedro.learning.parameters import Training
from aitm_kedro.pipelines.binding import bind
from aitm_kedro.runner import ResumingRunner, divide

VERSIONS = iter(f"2024-01-{day:02d}T00.00.00.000Z" for day in range(1, 29))


class Made(Result):
    """A result that says what it was made with."""

    provenance: Provenance


class Study:
    """Two runs over one data set, and a comparison of both."""

    def __init__(self, folder):
        self.folder, self.calls, self.fails = folder, [], None
        self.alpha = 0.6
        self.parameters = {"evaluation": {"confidence": 0.9}, "training": {"patience": 3}}
        self.save("examples", {"rows": 1})

    def save(self, name, data):
        self.catalog(next(VERSIONS)).save(name, data)

    def catalog(self, version=None):
        results = [f"{m}.seed0.{what}" for m in ("aitm", "ple") for what in ("history", "metrics")]
        config = {
            name: {"type": JSON, "filepath": str(self.folder / f"{name}.json"), "versioned": True}
            for name in ("examples", "compared", *results)
        }
        for name in results:
            config[name] |= {"type": TypedJSON, "schema": f"{Made.__module__}.Made"}
        catalog = DataCatalog.from_config(config, save_version=version)
        for key, value in self.parameters.items():
            catalog[f"params:{key}"] = dict(value)
        return catalog

    def node(self, name, key, options):
        def function(_, parameter, run=None):
            self.calls.append(name)
            if self.fails == name:
                raise KeyError(name)
            used = {key: options.model_validate(parameter)}
            if run is not None:
                used |= {"model": run.model, "options": run.options}
            return Made(provenance=Provenance.now(data={}, parameters=used))

        return function

    def model(self, name):
        run = Run(name=name, model="aitm", options=AITMOptions(alpha=self.alpha if name == "aitm" else 0.1))
        return Pipeline(
            [
                Node(
                    bind(self.node(f"train {name}", "training", Training), run=run),
                    ["examples", "params:training"],
                    "history",
                    name="train",
                ),
                Node(
                    self.node(f"judge {name}", "evaluation", Evaluation),
                    ["history", "params:evaluation"],
                    "metrics",
                    name="judge",
                ),
            ],
            namespace=f"{name}.seed0",
            inputs={"examples"},
            parameters={"params:evaluation", "params:training"},
        )

    def compare(self, *results):
        self.calls.append("compare")
        return {"results": len(results)}

    def run(self):
        names = [f"{model}.seed0.metrics" for model in ("aitm", "ple")]
        last = Pipeline([Node(self.compare, names, "compared", name="compare")])
        self.calls.clear()
        ResumingRunner().run(self.model("aitm") + self.model("ple") + last, self.catalog(next(VERSIONS)))
        return list(self.calls)


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


pytestmark = pytest.mark.filterwarnings("ignore:One or more dataset names contain")


ALL = ["train aitm", "judge aitm", "train ple", "judge ple", "compare"]


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
    assert study.run() == ALL[1:]


def test_new_data_make_results_old(study):
    study.run()
    study.save("examples", {"rows": 2})
    assert study.run() == ALL


def test_only_what_reads_a_parameter_is_made_again(study):
    study.run()
    study.parameters["evaluation"] = {"confidence": 0.8}
    assert study.run() == ["judge aitm", "judge ple", "compare"]


def test_other_options_of_a_run_make_its_results_again(study):
    study.run()
    study.alpha = 0.0
    assert study.run() == ["train aitm", "judge aitm", "compare"]


def test_defaults_spelled_out_and_other_machines_change_nothing(study):
    study.run()
    study.parameters = {
        "evaluation": {"confidence": 0.9, "calibration_bins": 20},
        "training": {"patience": 3, "threads": 1, "device": "cpu"},
    }
    assert study.run() == ["compare"]


def test_a_result_of_another_version_of_the_project_is_made_again(study):
    study.run()
    for path in study.folder.glob("aitm.seed0.metrics.json/*/*"):
        path.write_text('{"parameters_used": {}}')
    assert study.run() == ["judge aitm", "compare"]


def test_a_namespace_that_reads_from_another_one_waits(study):
    """Such as the figures of a model, whose namespace is the model's, without a seed."""
    figures = Node(lambda x: x, "aitm.seed0.metrics", "figure", name="draw", namespace="aitm")
    _, parts, after = divide(study.model("aitm") + Pipeline([figures]))
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
