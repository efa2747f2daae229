"""Wiring of the comparison."""

from collections.abc import Sequence

from kedro.pipeline import Node, Pipeline

from aitm_kedro.pipelines.comparison.nodes import compare_models, tabulate_comparison, tidy_metrics


def create_pipeline(
    *,
    models: Sequence[str] = ("aitm",),
    seeds: Sequence[int] = (0,),
    yardsticks: Sequence[str] = ("logistic.seed0", "oracle"),
) -> Pipeline:
    """Compare the metrics of ``{model}.seed{n}`` for every model and seed, and of the ``yardsticks``.

    Kedro keeps the dot in dataset names for namespaces: a node may read ``aitm.seed0.metrics`` only from within
    ``aitm``. So each namespace tidies its own metrics, and hands them on under a name without dots.
    """
    namespaces = [f"{model}.seed{seed}" for model in models for seed in seeds] + list(yardsticks)
    scores = {namespace: f"{namespace.replace('.', '_')}_scores" for namespace in namespaces}
    tidied = [
        Node(tidy_metrics, f"{namespace}.metrics", score, name="tidy_metrics", namespace=namespace)
        for namespace, score in scores.items()
    ]
    return Pipeline(
        [
            *tidied,
            Node(compare_models, list(scores.values()), "comparison", name="compare_models"),
            Node(
                tabulate_comparison,
                ["comparison", "params:funnel", "params:evaluation"],
                "comparison_table",
                name="tabulate_comparison",
            ),
        ],
    )
