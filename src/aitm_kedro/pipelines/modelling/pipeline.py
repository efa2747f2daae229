"""Wiring of modelling: one template, one namespace for each model and seed."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, get_type_hints

from kedro.pipeline import Node, Pipeline

from aitm_kedro.models.registry import find
from aitm_kedro.pipelines.modelling.nodes import (
    evaluate,
    evaluate_oracle,
    predict_test,
    predict_test_logistic,
    train_logistic,
    train_network,
)

SHARED = {"train_examples@arrow", "valid_examples@arrow", "test_examples@arrow", "vocabulary@pandas", "sampling_report"}


def create_pipeline(*, models: Sequence[str] = ("aitm",), seeds: Sequence[int] = (0,)) -> Pipeline:
    """Every network with every seed, the logistic yardstick and the truth.

    Args:
        models: registered networks.
        seeds: of the networks.
    """
    parts = [_namespaced(_network(model, seed), model=model, seed=seed) for model in models for seed in seeds]
    parts.append(_namespaced(_logistic(), model="logistic", seed=0))
    return sum(parts, _oracle())


def _namespaced(template: Pipeline, *, model: str, seed: int) -> Pipeline:
    shared = {"params:funnel", "params:training", "params:evaluation"} & template.inputs()
    return Pipeline(
        template,
        namespace=f"{model}.seed{seed}",
        inputs=SHARED & template.inputs(),
        parameters={name: name for name in shared} | {"params:options": f"params:{model}"},
        tags=[model, "modelling"],
    )


def _network(model: str, seed: int) -> Pipeline:
    train = _bind(train_network, hints={"options": find(model).options}, model=model, seed=seed)
    return Pipeline(
        [
            Node(
                train,
                [
                    "train_examples@arrow",
                    "valid_examples@arrow",
                    "vocabulary@pandas",
                    "params:funnel",
                    "params:training",
                    "params:options",
                ],
                ["weights", "history"],
                name="train",
            ),
            Node(
                predict_test,
                ["weights", "test_examples@arrow", "sampling_report", "params:funnel", "params:training"],
                "predictions",
                name="predict_test",
            ),
            _evaluate(model, seed),
        ]
    )


def _logistic() -> Pipeline:
    return Pipeline(
        [
            Node(
                train_logistic,
                [
                    "train_examples@arrow",
                    "valid_examples@arrow",
                    "vocabulary@pandas",
                    "params:funnel",
                    "params:options",
                ],
                ["weights", "history"],
                name="train",
            ),
            Node(
                predict_test_logistic,
                ["weights", "test_examples@arrow", "sampling_report", "params:funnel"],
                "predictions",
                name="predict_test",
            ),
            _evaluate("logistic", 0),
        ]
    )


def _evaluate(model: str, seed: int) -> Node:
    return Node(
        _bind(evaluate, model=model, seed=seed),
        ["predictions", "test_examples@arrow", "params:funnel", "params:evaluation"],
        "metrics",
        name="evaluate",
    )


def _oracle() -> Pipeline:
    template = Pipeline(
        [
            Node(
                evaluate_oracle,
                ["oracle@arrow", "test_examples@arrow", "params:funnel", "params:evaluation"],
                "metrics",
                name="evaluate",
            )
        ]
    )
    return Pipeline(
        template,
        namespace="oracle",
        inputs={"oracle@arrow", "test_examples@arrow"},
        parameters={"params:funnel", "params:evaluation"},
        tags=["oracle", "modelling"],
    )


def _bind(function: Callable[..., Any], *, hints: dict[str, type] | None = None, **fixed: object) -> Callable[..., Any]:
    """Fix some arguments, keeping the name and the type hints by which Kedro validates parameters."""
    bound = partial(function, **fixed)
    bound.__name__ = function.__name__  # type: ignore[attr-defined]
    bound.__doc__ = function.__doc__
    bound.__annotations__ = get_type_hints(function) | (hints or {})
    return bound
