"""The stages, in the order of the data's way."""

from kedro.pipeline import Pipeline

from aitm_kedro.pipelines import comparison, ingestion, modelling, preparation, reporting
from aitm_kedro.settings import MODELS, SEEDS


def register_pipelines() -> dict[str, Pipeline]:
    """Name every pipeline that ``kedro run --pipeline=...`` can run.

    Kedro's ``find_pipelines()`` is not used: with a pipeline named on the command line it registers that one alone,
    and a sum such as ``full`` could not be built.
    """
    first = SEEDS[:1]
    stages = {
        "ingestion": ingestion.create_pipeline(),
        "preparation": preparation.create_pipeline(),
        "modelling": modelling.create_pipeline(models=MODELS, seeds=first),
        "comparison": comparison.create_pipeline(models=MODELS, seeds=first),
        "reporting": reporting.create_pipeline(models=MODELS, seed=SEEDS[0]),
    }
    full = sum(stages.values(), start=Pipeline([]))
    every_seed = comparison.create_pipeline(models=MODELS, seeds=SEEDS)
    benchmark = modelling.create_pipeline(models=MODELS, seeds=SEEDS) + every_seed
    # By itself the comparison takes whatever is there: one seed after full, all of them after benchmark.
    return {**stages, "comparison": every_seed, "full": full, "benchmark": benchmark, "__default__": full}
