"""Functions with some arguments fixed."""

import pickle
from collections.abc import Sequence

import pytest
from kedro.pipeline import Pipeline, node
from kedro.validation.type_extractor import TypeExtractor

from aitm_kedro import pipeline_registry
from aitm_kedro.config.runs import resolve_runs
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.pipelines.binding import bind_runs


def compare(funnel: Funnel, *results: str | None, keys: Sequence[tuple[str, int | None]], reference: str) -> object:
    """Some comparison."""
    return funnel, results, keys, reference


KEYS = [("aitm", 0), ("ple", 0), ("aitm", 1), ("oracle", None)]


def test_every_result_comes_to_its_key():
    bound = bind_runs(compare, KEYS, reference="ple")
    aitm, ple = {0: lambda: "aitm 0", 1: lambda: "aitm 1", 7: lambda: pytest.fail("of no key")}, {}
    assert bound("funnel", aitm, ple, "truth") == ("funnel", ("aitm 0", None, "aitm 1", "truth"), KEYS, "ple")


def test_kedro_sees_the_function_as_it_was_written():
    bound = bind_runs(compare, KEYS, reference="ple")
    assert (bound.__name__, bound.__doc__) == ("compare", "Some comparison.")
    assert bound.__annotations__["funnel"] is Funnel
    pipeline = Pipeline([node(bound, ["params:funnel", "aitm_results", "ple_results", "oracle_metrics"], "comparison")])
    assert TypeExtractor({"one": pipeline}).extract_types_from_pipelines() == {"funnel": Funnel}


def test_functions_of_all_nodes_can_go_to_other_processes(monkeypatch):
    """As the ParallelRunner sends them."""
    monkeypatch.setattr(pipeline_registry, "configured_runs", lambda: resolve_runs({}))
    monkeypatch.setattr(pipeline_registry, "configured_environment", lambda: None)
    for name, pipeline in pipeline_registry.register_pipelines().items():
        for each in pipeline.nodes:
            assert pickle.loads(pickle.dumps(each.func)), (name, each.name)
