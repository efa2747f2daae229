"""Wiring of modelling: one template, one namespace for each run and seed."""

import warnings
from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from aitm_kedro.config.runs import Run
from aitm_kedro.core.namespaces import namespace_of
from aitm_kedro.evaluation.results import ORACLE
from aitm_kedro.pipelines.binding import bind
from aitm_kedro.pipelines.modelling.collecting import collect_results
from aitm_kedro.pipelines.modelling.nodes import blend, evaluate_and_pack, evaluate_oracle, predict_test, train
from aitm_kedro.pipelines.modelling.rolling import compare_windows, validate_rolling
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

LEARNT_FROM = [
    "train_examples@arrays",
    "valid_examples@arrays",
    "feature_specs",
    "feature_check",
    "sampling_report",
    "params:funnel",
    "params:split",
    "params:validation",
    "params:training",
]


def create_pipeline(runs: Sequence[tuple[Run, int]]) -> Pipeline:
    """Every run with each of its seeds, and the truth.

    Args:
        runs: with a seed each.
    """
    seeds: dict[str, list[int]] = {}
    for run, seed in runs:
        seeds.setdefault(run.name, []).append(seed)
    ends = Pipeline([_end(name, found) for name, found in seeds.items()])
    with warnings.catch_warnings():
        # An ensemble reads the models of other namespaces on purpose.
        warnings.filterwarnings("ignore", message="One or more dataset names contain '.'", category=UserWarning)
        templates = [_template(run, seed, run.members_of(seed, seeds) if run.is_ensemble else ()) for run, seed in runs]
    return sum(templates, _oracle() + ends)


def _template(run: Run, seed: int, members: Sequence[tuple[str, int]]) -> Pipeline:
    """Train, predict, evaluate and pack: one run and seed.

    Args:
        run: what to train.
        seed: of its training.
        members: of an ensemble: run and seed of each; else none.
    """
    models = [f"{namespace_of(*member)}.weights" for member in members]
    learn = bind(blend, run=run, seed=seed, keys=members) if members else bind(train, run=run, seed=seed)
    nodes = Pipeline(
        [
            Node(learn, [*LEARNT_FROM, *models], ["weights", "history"], name="train"),
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
        inputs={*SHARED, *models},
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


def create_rolling_pipeline(runs: Sequence[tuple[Run, int]]) -> Pipeline:
    """Every run that is no ensemble, with its first seed, in several windows of validation.

    Args:
        runs: with a seed each.
    """
    first = {run.name: (run, seed) for run, seed in reversed(runs) if not run.is_ensemble}
    chosen = list(reversed(first.values()))
    parts = [
        Pipeline(
            [
                Node(
                    bind(validate_rolling, run=run, seed=seed),
                    [*LEARNT_FROM, "params:rolling", "params:vocabulary"],
                    "rolling",
                    name="validate_rolling",
                )
            ],
            namespace=namespace_of(run.name, seed),
            inputs=SHARED & set(LEARNT_FROM),
            outputs={"rolling": leaving(run.name, seed, "rolling")},
            parameters={*PARAMETERS & set(LEARNT_FROM), "params:rolling", "params:vocabulary"},
            tags=[run.name, "rolling"],
        )
        for run, seed in chosen
    ]
    end = Node(
        compare_windows,
        ["params:funnel", *(leaving(run.name, seed, "rolling") for run, seed in chosen)],
        ["rolling_scores", "rolling_table"],
        name="compare_windows",
        tags="rolling",
    )
    return sum(parts, Pipeline([end]))
