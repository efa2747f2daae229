"""Wiring of modelling: one template, one namespace for each run and seed."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from aitm_kedro.config.runs import Run
from aitm_kedro.core.namespaces import namespace_of
from aitm_kedro.evaluation.results import ORACLE
from aitm_kedro.pipelines.binding import bind
from aitm_kedro.pipelines.modelling.collecting import collect_results
from aitm_kedro.pipelines.modelling.nodes import evaluate_and_pack, evaluate_oracle, predict_test, train
from aitm_kedro.pipelines.naming import leaving

SHARED = {
    "train_examples@arrays",
    "valid_examples@arrays",
    "test_examples@arrays",
    "feature_specs",
    "feature_check",
    "vocabulary@pandas",
    "sampling_report",
}
PARAMETERS = {
    "params:funnel",
    "params:split",
    "params:validation",
    "params:training",
    "params:evaluation",
    "params:features",
    "params:ingestion",
}


def create_pipeline(runs: Sequence[tuple[Run, int]]) -> Pipeline:
    """Every run with each of its seeds, and the truth.

    Args:
        runs: with a seed each.
    """
    seeds: dict[str, list[int]] = {}
    for run, seed in runs:
        seeds.setdefault(run.name, []).append(seed)
    ends = Pipeline([_end(name, found) for name, found in seeds.items()])
    return sum((_template(run, seed) for run, seed in runs), _oracle() + ends)


def _template(run: Run, seed: int) -> Pipeline:
    """Train, predict, evaluate and pack: one run and seed."""
    nodes = Pipeline(
        [
            Node(
                bind(train, run=run, seed=seed),
                [
                    "train_examples@arrays",
                    "valid_examples@arrays",
                    "feature_specs",
                    "feature_check",
                    "sampling_report",
                    "params:funnel",
                    "params:split",
                    "params:validation",
                    "params:training",
                ],
                ["weights", "history"],
                name="train",
            ),
            Node(
                bind(predict_test, run=run, seed=seed),
                ["weights", "test_examples@arrays", "sampling_report", "params:funnel", "params:training"],
                "predictions",
                name="predict_test",
            ),
            Node(
                bind(evaluate_and_pack, run=run, seed=seed),
                [
                    "weights",
                    "history",
                    "predictions",
                    "test_examples@arrays",
                    "vocabulary@pandas",
                    "sampling_report",
                    "params:funnel",
                    "params:features",
                    "params:ingestion",
                    "params:evaluation",
                ],
                ["metrics", "placements", "bundle"],
                name="evaluate",
            ),
        ]
    )
    return Pipeline(
        nodes,
        namespace=namespace_of(run.name, seed),
        inputs=SHARED,
        parameters=PARAMETERS,
        tags=[run.name, "modelling"],
    )


def _end(run: str, seeds: Sequence[int]) -> Node:
    """Where the results of all seeds leave a run: in Kedro-Viz one dataset stands between its box and the comparison.

    What a box holds that is read outside of it, or by nobody, is drawn beside it, so this node reads all of it.
    """
    saved = [f"{namespace_of(run, seed)}.{what}" for what in ("metrics", "placements", "bundle") for seed in seeds]
    return Node(
        bind(collect_results, run=run, seeds=seeds),
        saved,
        leaving(run, None, "results@metrics"),
        name="collect_results",
        namespace=run,
        tags=[run, "modelling"],
    )


def _oracle() -> Pipeline:
    judge = Node(
        evaluate_oracle,
        ["oracle@arrow", "test_examples@arrays", "params:funnel", "params:evaluation"],
        "metrics",
        name="evaluate",
    )
    return Pipeline(
        [judge],
        namespace=ORACLE,
        inputs={"oracle@arrow", "test_examples@arrays"},
        outputs={"metrics": leaving(ORACLE, None, "metrics")},
        parameters={"params:funnel", "params:evaluation"},
        tags=[ORACLE, "modelling"],
    )
