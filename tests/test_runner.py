"""A benchmark goes on where it stopped, and does again what is out of date."""

import json

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from aitm_kedro.datasets import JSON
from aitm_kedro.parameters import Evaluation
from aitm_kedro.runner import ResumingRunner, divide

VERSIONS = iter(f"2024-01-{day:02d}T00.00.00.000Z" for day in range(1, 29))


class Study:
    """Two models over one data set, and a comparison of both."""

    def __init__(self, folder):
        self.folder, self.calls, self.fails = folder, [], None
        self.parameters = {"confidence": 0.9}
        self.save("examples", {"rows": 1})

    def save(self, name, data):
        self.catalog(next(VERSIONS)).save(name, data)

    def catalog(self, version=None):
        names = ["examples", "compared", *(f"{m}.seed0.metrics" for m in ("aitm", "ple"))]
        config = {
            name: {"type": JSON, "filepath": str(self.folder / f"{name}.json"), "versioned": True} for name in names
        }
        catalog = DataCatalog.from_config(config, save_version=version)
        catalog["params:evaluation"] = dict(self.parameters)
        return catalog

    def train(self, name):
        def train(examples, evaluation):
            self.calls.append(name)
            if self.fails == name:
                raise KeyError(name)
            used = Evaluation.model_validate(evaluation).model_dump(mode="json")
            return {"parameters_used": {"evaluation": used}}

        return train

    def compare(self, *results):
        self.calls.append("compare")
        return {"results": len(results)}

    def run(self):
        nodes = [
            Pipeline(
                [Node(self.train(model), ["examples", "params:evaluation"], "metrics", name="train")],
                namespace=f"{model}.seed0",
                inputs={"examples"},
                parameters={"params:evaluation"},
            )
            for model in ("aitm", "ple")
        ]
        names = [f"{model}.seed0.metrics" for model in ("aitm", "ple")]
        last = Pipeline([Node(self.compare, names, "compared", name="compare")])
        self.calls.clear()
        ResumingRunner().run(sum(nodes, last), self.catalog(next(VERSIONS)))
        return list(self.calls)


@pytest.fixture
def study(tmp_path):
    return Study(tmp_path)


pytestmark = pytest.mark.filterwarnings("ignore:One or more dataset names contain")


def test_what_is_finished_is_not_repeated_and_the_comparison_is(study):
    assert study.run() == ["aitm", "ple", "compare"]
    assert study.run() == ["compare"]


def test_a_run_that_failed_goes_on(study):
    study.fails = "ple"
    with pytest.raises(KeyError):
        study.run()
    study.fails = None
    assert study.run() == ["ple", "compare"]


def test_new_data_make_results_old(study):
    study.run()
    study.save("examples", {"rows": 2})
    assert study.run() == ["aitm", "ple", "compare"]


def test_other_parameters_make_results_old_and_equal_ones_do_not(study):
    study.run()
    study.parameters = {"confidence": 0.9, "calibration_bins": 20}  # spells out a default
    assert study.run() == ["compare"]
    study.parameters = {"confidence": 0.8}
    assert study.run() == ["aitm", "ple", "compare"]


def test_a_result_that_does_not_say_what_it_was_made_with_is_made_again(study):
    study.run()
    for path in study.folder.glob("aitm.seed0.metrics.json/*/*"):
        path.write_text(json.dumps({}))
    assert study.run() == ["aitm", "compare"]


def test_seeds_come_before_models():
    def node(model, seed):
        return Node(lambda x: x, "x", f"{model}.seed{seed}.y", name="train", namespace=f"{model}.seed{seed}")

    nodes = [node(model, seed) for model in ("ple", "aitm") for seed in (0, 1)]
    first = Node(lambda: 1, None, "x", name="first")
    before, parts, after = divide(Pipeline([*nodes, first]))
    assert [n.name for n in before.nodes] == ["first"]
    assert list(parts) == ["aitm.seed0", "ple.seed0", "aitm.seed1", "ple.seed1"]
    assert not after.nodes
