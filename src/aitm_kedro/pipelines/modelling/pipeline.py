"""Wiring of modelling: one template, one namespace for each model and seed."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from kedro.pipeline import Node, Pipeline

from aitm_kedro.config.schema import MODEL_OPTIONS
from aitm_kedro.core.errors import InputError
from aitm_kedro.learning.networks import NETWORKS
from aitm_kedro.pipelines.binding import bind
from aitm_kedro.pipelines.modelling.nodes import (
    evaluate,
    evaluate_oracle,
    predict_test,
    predict_test_lightgbm,
    predict_test_logistic,
    train_lightgbm,
    train_logistic,
    train_network,
)

SHARED = {
    "train_examples@arrays",
    "valid_examples@arrays",
    "test_examples@arrays",
    "vocabulary@pandas",
    "sampling_report",
}
PARAMETERS = {"params:funnel", "params:training", "params:evaluation"}

LEARNT_FROM = ["train_examples@arrays", "valid_examples@arrays", "vocabulary@pandas", "params:funnel", "params:options"]
PREDICTED_FROM = ["weights", "test_examples@arrays", "sampling_report", "params:funnel"]


class Learner(NamedTuple):
    """How a model is trained and used: the functions, and the parameters that both need beside the common ones."""

    train: Callable[..., Any]
    predict: Callable[..., Any]
    needs: tuple[str, ...] = ()


def create_pipeline(*, models: Sequence[str], seeds: Sequence[int]) -> Pipeline:
    """Every model with every seed, the logistic yardstick and the truth.

    Args:
        models: names of the table ``configuration.MODEL_OPTIONS``, without ``logistic``, which is always there.
        seeds: of the models.

    Raises:
        InputError: a model is unknown, or a model or seed stands twice.
    """
    check_models(models)
    check_seeds(seeds)
    parts = [_template(model, seed) for model in models for seed in seeds]
    return sum([*parts, _template("logistic", 0)], _oracle())


def check_models(models: Sequence[str]) -> None:
    """Raise InputError unless every model can be trained, and stands there once."""
    known = [name for name in MODEL_OPTIONS if name != "logistic"]
    for model in models:
        if model == "logistic":
            raise InputError("MODELS in settings.py names 'logistic', which is in every comparison anyway; take it out")
        if model not in known:
            raise InputError(
                f"MODELS in settings.py names '{model}', which is no registered model; choose among {', '.join(known)}"
            )
        if list(models).count(model) > 1:
            raise InputError(f"MODELS in settings.py names '{model}' twice; each model is trained once for each seed")


def check_seeds(seeds: Sequence[int]) -> None:
    """Raise InputError unless there are seeds, all of them different whole numbers from 0 on."""
    if not seeds:
        raise InputError("SEEDS in settings.py is empty; name at least one")
    for seed in seeds:
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise InputError(f"SEEDS in settings.py has {seed!r}; a seed is a whole number from 0 on")
        if list(seeds).count(seed) > 1:
            raise InputError(
                f"SEEDS in settings.py has {seed} twice; two equal runs would look like two different ones"
            )


def _template(model: str, seed: int) -> Pipeline:
    """Train, predict, evaluate: one model and seed."""
    learner = _learner(model, seed)
    nodes = Pipeline(
        [
            Node(learner.train, [*LEARNT_FROM, *learner.needs], ["weights", "history"], name="train"),
            Node(learner.predict, [*PREDICTED_FROM, *learner.needs], "predictions", name="predict_test"),
            Node(
                bind(evaluate, model=model, seed=seed),
                ["predictions", "history", "test_examples@arrays", "params:funnel", "params:evaluation"],
                ["metrics", "scores", "placements"],
                name="evaluate",
            ),
        ]
    )
    return Pipeline(
        nodes,
        namespace=f"{model}.seed{seed}",
        inputs=SHARED & nodes.inputs(),
        # Names without a dot, which nodes outside of the namespace may read.
        outputs={name: f"{model}_seed{seed}_{name}" for name in ("scores", "placements")},
        parameters={name: name for name in PARAMETERS & nodes.inputs()} | {"params:options": f"params:{model}"},
        tags=[model, "modelling"],
    )


def _learner(model: str, seed: int) -> Learner:
    if model == "logistic":
        return Learner(train_logistic, predict_test_logistic)
    if model == "lightgbm":
        return Learner(bind(train_lightgbm, seed=seed), predict_test_lightgbm)
    train = bind(train_network, hints={"options": NETWORKS[model].Options}, model=model, seed=seed)
    return Learner(train, predict_test, needs=("params:training",))


def _oracle() -> Pipeline:
    judge = Node(
        evaluate_oracle,
        ["oracle@arrow", "test_examples@arrays", "params:funnel", "params:evaluation"],
        ["metrics", "scores"],
        name="evaluate",
    )
    return Pipeline(
        [judge],
        namespace="oracle",
        inputs={"oracle@arrow", "test_examples@arrays"},
        outputs={"scores": "oracle_scores"},
        parameters={"params:funnel", "params:evaluation"},
        tags=["oracle", "modelling"],
    )
