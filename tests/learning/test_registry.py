"""Models by name; and that options are read without the libraries that learn."""

import subprocess
import sys

import pytest
from pydantic import ValidationError
from tests.learning.data import NETWORKS

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.learning.learner import Learner
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.registry import MODELS, build, find

WITHOUT = """
import sys
import aitm_kedro.learning.registry, aitm_kedro.config.schema, aitm_kedro.config.runs
from aitm_kedro.learning.registry import MODELS, build
for name in MODELS:
    build(name).options.model_dump(mode="json")
aitm_kedro.config.runs.resolve_runs({})
print(*sorted({"torch", "lightgbm", "sklearn"} & sys.modules.keys()))
"""


def test_options_are_read_without_the_libraries_that_learn() -> None:
    found = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout.strip()) == (0, ""), found.stderr


def test_all_models() -> None:
    assert {"mlp", "shared_bottom", "esmm", "omoe", "mmoe", "ple", "aitm"} <= set(NETWORKS)
    assert {"lightgbm", *NETWORKS, "naive_bayes", "logistic"} <= set(MODELS)
    assert {"naive_bayes", "logistic"} <= {name for name in MODELS if MODELS[name].deterministic}
    assert "aitm" in {name for name in MODELS if MODELS[name].inspectable}
    assert [name for name in MODELS if MODELS[name].reads_training] == NETWORKS


@pytest.mark.parametrize("name", MODELS)
def test_a_learner_has_its_name_options_and_training(name: str) -> None:
    learner = build(name)
    assert isinstance(learner, Learner)
    assert (learner.name, learner.options, learner.training) == (name, MODELS[name].Options(), Training())
    chosen = MODELS[name].Options()
    assert build(name, options=chosen, training=Training(l2=0.5)).options is chosen
    assert build(name, training=Training(l2=0.5)).training.l2 == 0.5
    assert issubclass(MODELS[name].Options, Parameters)
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        build(name, options={"stranger": 1})


def test_unknown_models_end_in_a_sentence() -> None:
    with pytest.raises(InputError, match="'aitn' is no registered model; did you mean 'aitm'"):
        find("aitn")
    with pytest.raises(InputError, match="'xgboost' is no registered model; choose among lightgbm, mlp, shared_bottom"):
        build("xgboost")


@pytest.mark.parametrize(
    ("name", "options", "sentence"),
    [
        ("aitm", {"tower": {"layers": [64, 32], "dropout": [0.1]}}, "dropout has 1 rates for 2 layers"),
        ("aitm", {"tower": {"layers": [64], "dropout": [1.0]}}, "must lie in"),
        ("mmoe", {"expert": {"layers": [0], "dropout": [0.1]}}, r"layers \[0\] must be positive"),
        ("mmoe", {"experts_per_task": 0}, "greater than or equal to 1"),
        ("lightgbm", {"encodings": []}, "at least 1 item"),
        ("lightgbm", {"encodings": ["hashed"]}, "'native' or 'ranked'"),
        ("logistic", {"inverse_l2": [0.0]}, "greater than 0"),
        ("naive_bayes", {"smoothing": 0}, "greater than 0"),
    ],
)
def test_options_that_cannot_be(name: str, options: dict, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        build(name, options=options)


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf")])
def test_task_weights_that_cannot_be(weight: float) -> None:
    with pytest.raises(ValidationError, match=r"task_weights\.click"):
        Training(task_weights={"click": weight})
