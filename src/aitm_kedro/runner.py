"""The runner of long comparisons: what is finished and still up to date is not done again."""

import logging
from collections.abc import Mapping
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner

from aitm_kedro.configuration import TOP_LEVEL

logger = logging.getLogger(__name__)


class ResumingRunner(SequentialRunner):
    """Leaves out each namespace (a model and seed) that has all its results, newer than its data, of its parameters.

    As with make, what is out of date is done again: a namespace whose input datasets have a newer version than its
    results, or whose results say that they were made with other parameters than those of now.
    """

    def run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any], *arguments: Any, **options: Any) -> Any:
        """Run what is not finished; arguments as of any Kedro runner."""
        before, parts, after = divide(pipeline)
        super().run(before, catalog, *arguments, **options)
        finished = [name for name, part in parts.items() if is_finished(part, catalog)]
        if finished:
            logger.info("Finished before and up to date, not done again: %s", ", ".join(finished))
        # One after the other, so that what a stop leaves unfinished is one namespace.
        for done, (name, part) in enumerate(parts.items()):
            if name not in finished:
                logger.info("%s, %d of %d", name, done + 1, len(parts))
                super().run(part, catalog, *arguments, **options)
        return super().run(after, catalog, *arguments, **options)


def divide(pipeline: Pipeline) -> tuple[Pipeline, dict[str, Pipeline], Pipeline]:
    """What the namespaces need, the namespaces by name, and what needs them."""
    inside = [node for node in pipeline.nodes if node.namespace]
    # Seed by seed: what a stop leaves is every model with fewer seeds, which can be compared.
    names = sorted({str(node.namespace) for node in inside}, key=lambda name: name.split(".")[::-1])
    parts = {name: Pipeline([node for node in inside if node.namespace == name]) for name in names}
    later = set(pipeline.from_nodes(*(node.name for node in inside)).nodes) if inside else set()
    outside = [node for node in pipeline.nodes if not node.namespace]
    before = Pipeline([node for node in outside if node not in later])
    return before, parts, Pipeline([node for node in outside if node in later])


def is_finished(part: Pipeline, catalog: CatalogProtocol[Any, Any]) -> bool:
    """Whether a namespace's results are all there, newer than its data, and made with the parameters of now.

    A result says what it was made with under "parameters_used".
    """
    if not all(exists(name, catalog) for name in part.all_outputs()):
        return False
    inputs = {name for name in part.inputs() if not name.startswith("params:")}
    newest = max((version(name, catalog) for name in inputs), default="")
    if any(version(name, catalog) < newest for name in part.all_outputs()):
        return False
    used: dict[str, Any] = {}
    for name in part.all_outputs():
        if name.endswith((".history", ".metrics")):
            used |= catalog.load(name).get("parameters_used", {})
    wanted = {name.removeprefix("params:") for name in part.inputs() if name.startswith("params:")}
    return all(used.get(key) == plain(key, catalog.load(f"params:{key}")) for key in wanted)


def version(name: str, catalog: CatalogProtocol[Any, Any]) -> str:
    """Version of a dataset, a timestamp that sorts as text; "" where it has none or does not exist."""
    resolve = getattr(catalog.get(name), "resolve_load_version", None)
    return (resolve() or "") if resolve is not None and exists(name, catalog) else ""


def exists(name: str, catalog: CatalogProtocol[Any, Any]) -> bool:
    """Whether a dataset has been saved."""
    dataset = catalog.get(name)
    return dataset is not None and bool(dataset.exists())


def plain(key: str, value: Any) -> Mapping[str, Any]:
    """A parameter with its defaults, as JSON holds it."""
    parameter: Mapping[str, Any] = TOP_LEVEL[key].model_validate(value).model_dump(mode="json")
    return parameter
