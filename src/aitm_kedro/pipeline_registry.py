"""The stages, in the order of the data's way."""

from kedro.pipeline import Pipeline

from aitm_kedro.config_loader import configured_environment, configured_runs
from aitm_kedro.pipelines import comparison, ingestion, modelling, preparation, reporting, scoring


def register_pipelines() -> dict[str, Pipeline]:
    """Name every pipeline that ``kedro run --pipeline=...`` can run, made of the runs of the configuration.

    Kedro's ``find_pipelines()`` is not used: with a pipeline named on the command line it registers that one alone,
    and a sum such as ``full`` could not be built.
    """
    runs = configured_runs()
    environment = configured_environment()
    once, often = runs.keys("full"), runs.keys("benchmark")
    stages = {
        "ingestion": ingestion.create_pipeline(),
        "preparation": preparation.create_pipeline(),
        "modelling": modelling.create_pipeline(once),
        "comparison": comparison.create_pipeline(runs, once, environment=environment),
        "reporting": reporting.create_pipeline(runs),
    }
    full = sum(stages.values(), start=Pipeline([]))
    every = runs.keys("benchmark", "full")
    compared = comparison.create_pipeline(runs, often, environment=environment)
    # By themselves these take whatever is there: one seed after full, all of them after benchmark.
    alone = {
        "comparison": comparison.create_pipeline(runs, every, environment=environment),
        "scoring": scoring.create_pipeline(runs.scorers()),
        "rolling": modelling.create_rolling_pipeline(once),
    }
    return {
        **stages,
        **alone,
        "full": full,
        "benchmark": modelling.create_pipeline(often) + compared,
        "__default__": full,
    }
