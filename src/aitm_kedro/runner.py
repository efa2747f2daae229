"""The runner of long comparisons: what is finished and still up to date is not done again."""

import logging
from functools import partial
from typing import Any

from kedro.io import CatalogProtocol, DatasetError
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import SequentialRunner

from aitm_kedro.config.runs import Run
from aitm_kedro.config.schema import TOP_LEVEL, with_defaults
from aitm_kedro.core.parameters import without_machine
from aitm_kedro.core.provenance import Provenance
from aitm_kedro.datasets import TypedJSON
from aitm_kedro.datasets.versions import exists, version

logger = logging.getLogger(__name__)

Catalog = CatalogProtocol[Any, Any]


class ResumingRunner(SequentialRunner):
    """Leaves out, within each namespace (a run and seed), the nodes whose results are there and up to date.

    As with make, a node is done again if a result is missing or older than what the node reads, if its results say
    that they were made with other parameters than those of now, or if a node before it is done again.
    """

    def run(self, pipeline: Pipeline, catalog: Catalog, *arguments: Any, **options: Any) -> Any:
        """Run what is not finished; arguments as of any Kedro runner."""
        before, parts, after = divide(pipeline)
        super().run(before, catalog, *arguments, **options)
        left = {name: outdated(part, catalog) for name, part in parts.items()}
        finished = [name for name, part in left.items() if not part.nodes]
        if finished:
            logger.info("Finished before and up to date, not done again: %s", ", ".join(finished))
        # One after the other, so that what a stop leaves unfinished is one namespace.
        for position, (name, part) in enumerate(left.items(), start=1):
            if part.nodes:
                logger.info("%s, %d of %d", name, position, len(left))
                super().run(part, catalog, *arguments, **options)
        return super().run(after, catalog, *arguments, **options)


def divide(pipeline: Pipeline) -> tuple[Pipeline, dict[str, Pipeline], Pipeline]:
    """What the namespaces need, the namespaces that do not read from each other, and what comes after them."""
    names = {str(node.namespace) for node in pipeline.nodes if node.namespace}
    parts = {name: Pipeline([node for node in pipeline.nodes if node.namespace == name]) for name in names}
    made = {name: part.all_outputs() for name, part in parts.items()}
    parts = {
        # Seed by seed: what a stop leaves is every model with fewer seeds, which can be compared.
        name: parts[name]
        for name in sorted(names, key=_seed_first)
        if not any(parts[name].inputs() & outputs for other, outputs in made.items() if other != name)
    }
    inside = [node for part in parts.values() for node in part.nodes]
    later = set(pipeline.from_nodes(*(node.name for node in inside)).nodes) - set(inside) if inside else set()
    before = Pipeline([node for node in pipeline.nodes if node not in later and node not in inside])
    return before, parts, Pipeline([node for node in pipeline.nodes if node in later])


def _seed_first(namespace: str) -> tuple[int, str]:
    """Order of namespaces such as "aitm.seed10": by the number of the seed, then by the run."""
    run, _, seed = namespace.partition(".seed")
    return (int(seed) if seed.isdigit() else -1, run)


def outdated(part: Pipeline, catalog: Catalog) -> Pipeline:
    """The nodes of a namespace that have to run, in their order."""
    chosen: list[Node] = []
    renewed: set[str] = set()
    for node in part.nodes:
        if renewed & set(node.inputs) or not is_up_to_date(node, catalog):
            chosen.append(node)
            renewed |= set(node.outputs)
    return Pipeline(chosen)


def is_up_to_date(node: Node, catalog: Catalog) -> bool:
    """Whether a node's results are all there, no older than what it reads, and made with the current parameters."""
    if not all(exists(name, catalog) for name in node.outputs):
        return False
    read = [version(name, catalog) for name in node.inputs if not name.startswith("params:")]
    if min(version(name, catalog) for name in node.outputs) < max(read, default=""):
        return False
    try:
        used = [provenance_of(name, catalog) for name in node.outputs if isinstance(catalog.get(name), TypedJSON)]
    except DatasetError:  # written by another version of the project
        return False
    made_with = {key: value for provenance in used for key, value in provenance.parameters.items()}
    return all(
        without_machine(value) == without_machine(current(key, node, catalog)) for key, value in made_with.items()
    )


def provenance_of(name: str, catalog: Catalog) -> Provenance:
    """What a typed result says that it was made from."""
    found: Provenance = catalog.load(name).provenance
    return found


def current(key: str, node: Node, catalog: Catalog) -> Any:
    """A current parameter with its defaults, as JSON holds it; for a key that nobody knows, what equals no value."""
    run = node.func.keywords.get("run") if isinstance(node.func, partial) else None
    if isinstance(run, Run) and key in ("model", "options", "options_changed"):
        return {
            "model": run.model,
            "options": run.options.model_dump(mode="json"),
            "options_changed": run.changed_options(),
        }[key]
    if key == "task_weights":
        return with_defaults("training", catalog.load("params:training"))["task_weights"]
    return with_defaults(key, catalog.load(f"params:{key}")) if key in TOP_LEVEL else "no such parameter"
