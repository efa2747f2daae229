"""The runner of long comparisons: what is finished and still up to date is not done again."""

import json
import logging
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import pyarrow.parquet as pq
from kedro.io import CatalogProtocol, DatasetError
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from kedro.runner import SequentialRunner

from aitm_kedro.artifacts.bundle import Bundle
from aitm_kedro.config.runs import Run
from aitm_kedro.config.schema import TOP_LEVEL, with_defaults
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import FeatureSpecs
from aitm_kedro.core.parameters import without_machine
from aitm_kedro.core.provenance import Provenance, Source, fingerprint_of, provenance_of_table
from aitm_kedro.datasets import ExampleArrays, Frame, ModelFolder, TypedJSON
from aitm_kedro.datasets.versions import exists
from aitm_kedro.explain.feature_check import FeatureCheck
from aitm_kedro.learning.ensemble import fingerprint_of_models
from aitm_kedro.learning.history import RunHistory
from aitm_kedro.learning.learner import stored_fingerprint
from aitm_kedro.tables.reports import SamplingReport

logger = logging.getLogger(__name__)

WEIGHTS = "weights"
"""Ending of the names of trained models."""

SEED = ".seed"
"""Part of the namespace of a run and seed, and of no other."""

Catalog = CatalogProtocol[Any, Any]


class ResumingRunner(SequentialRunner):
    """Leaves out, within each namespace (a run and seed), the nodes whose results are there and up to date.

    A node is done again if a result is missing, if its results say that they were made from something else than what
    the node reads now, or with other parameters than those of now, or if a node before it is done again. Names of
    versions do not count, so that neither an equal preparation nor a clock that was set back makes a difference.
    """

    def run(self, pipeline: Pipeline, catalog: Catalog, *arguments: Any, **options: Any) -> Any:
        """Run what is not finished; arguments as of any Kedro runner."""
        before, parts, after = divide(pipeline)
        super().run(before, catalog, *arguments, **options)
        finished = []
        # One after the other, so that what a stop leaves unfinished is one namespace. Whether one is up to date is
        # asked when its turn comes, since it may read what one before it has made (an ensemble).
        for position, (name, part) in enumerate(parts.items(), start=1):
            left = outdated(part, catalog)
            if left.nodes:
                logger.info("%s, %d of %d", name, position, len(parts))
                super().run(left, catalog, *arguments, **options)
            else:
                finished.append(name)
        if finished:
            logger.info("Finished before and up to date, not done again: %s", ", ".join(finished))
        return super().run(after, catalog, *arguments, **options)


def divide(pipeline: Pipeline) -> tuple[Pipeline, dict[str, Pipeline], Pipeline]:
    """What the namespaces of runs and seeds need, these namespaces in an order in which they can run, and all else."""
    names = {str(node.namespace) for node in pipeline.nodes if node.namespace}
    parts = {name: Pipeline([node for node in pipeline.nodes if node.namespace == name]) for name in names}
    makers = {output: name for name, part in parts.items() for output in part.all_outputs()}
    reads = {name: {makers[read] for read in part.inputs() if read in makers} for name, part in parts.items()}
    # What ends a run reads all that its seeds have left, and leaves nothing that could be out of date.
    parts = {name: parts[name] for name in sorted(names, key=_seed_first) if not reads[name] or SEED in name}
    ordered = {name: parts[name] for name in _readers_last(parts, reads)}
    inside = [node for part in ordered.values() for node in part.nodes]
    later = set(pipeline.from_nodes(*(node.name for node in inside)).nodes) - set(inside) if inside else set()
    before = Pipeline([node for node in pipeline.nodes if node not in later and node not in inside])
    return before, ordered, Pipeline([node for node in pipeline.nodes if node in later])


def _readers_last(names: Iterable[str], reads: Mapping[str, set[str]]) -> list[str]:
    """Namespaces seed by seed, so that what a stop leaves is every model with fewer seeds, which can be compared.

    One that reads another comes after it, as soon as it can.
    """
    ordered: list[str] = []
    waiting = list(names)
    while waiting:
        name = next(name for name in waiting if not reads[name] & set(waiting))
        waiting.remove(name)
        ordered.append(name)
    return ordered


def _seed_first(namespace: str) -> tuple[int, str]:
    """Order of namespaces such as "aitm.seed10": by the number of the seed, then by the run."""
    run, _, seed = namespace.partition(SEED)
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
    """Whether a node's results are all there, made from what it would read now, and with the current parameters.

    What they were made from is told by content: a new version of the examples that holds the same rows changes nothing.
    """
    if not all(exists(name, catalog) for name in node.outputs):
        return False
    found: dict[Source, str] = {}
    try:
        for name in (*node.inputs, *node.outputs):
            found |= content_of(name, catalog)
        found |= _members_of(node, catalog)
        made = [provenance_of(name, catalog) for name in node.outputs]
    except (DatasetError, InputError, OSError):  # damaged, or written by another version of the project
        return False
    return all(_is_current(provenance, found, node, catalog) for provenance in made if provenance is not None)


def _is_current(provenance: Provenance, found: dict[Source, str], node: Node, catalog: Catalog) -> bool:
    return all(found.get(source) == value for source, value in provenance.data.items()) and all(
        without_machine(value) == without_machine(current(key, node, catalog))
        for key, value in provenance.parameters.items()
    )


def content_of(name: str, catalog: Catalog) -> dict[Source, str]:
    """Fingerprints of what a dataset holds now; none for one that results do not name among what they were made from.

    Raises:
        DatasetError, InputError, OSError: it is missing, damaged, or of another version of the project.
    """
    dataset = catalog.get(name)
    if isinstance(dataset, ExampleArrays):
        prints, split = dataset.fingerprints(), cast(Source, name.partition("_")[0])
        return {split: prints.rows if split == "test" else prints.whole}
    if isinstance(dataset, ModelFolder) and name.endswith(WEIGHTS):
        return {"weights": stored_fingerprint(Path(dataset._get_load_path()))}
    value = catalog.load(name) if isinstance(dataset, TypedJSON) else None
    if isinstance(value, SamplingReport):
        return {"keep_rates": fingerprint_of(value.keep_rates)}
    if isinstance(value, FeatureCheck):
        return {"dropped_features": value.choice()}
    if isinstance(value, FeatureSpecs):
        known: dict[Source, str] = {} if value.vocabulary is None else {"vocabulary": value.vocabulary}
        return known | {"features": value.fingerprint()}
    return {}


def _members_of(node: Node, catalog: Catalog) -> dict[Source, str]:
    """Fingerprint of the models that an ensemble would blend now; none for any other node."""
    models = {
        name.removesuffix(f".{WEIGHTS}"): content_of(name, catalog)["weights"]
        for name in node.inputs
        if name.endswith(WEIGHTS) and not name.startswith(f"{node.namespace}.")
    }
    return {"members": fingerprint_of_models(models)} if models else {}


def provenance_of(name: str, catalog: Catalog) -> Provenance | None:
    """What a result says that it was made from; None for weights, which the history beside them speaks for.

    Raises:
        DatasetError, InputError, OSError: it does not say so, is damaged, or of another version of the project.
    """
    dataset = catalog.get(name)
    if isinstance(dataset, Frame):
        attributes = pq.read_schema(str(dataset._get_load_path())).metadata.get(b"PANDAS_ATTRS", b"{}")
        found = provenance_of_table(json.loads(attributes))
        if found is None:
            raise InputError(f"'{name}' does not say what it was made from")
        return found
    if isinstance(dataset, ModelFolder):
        return None if name.endswith(WEIGHTS) else cast(Bundle, catalog.load(name)).manifest.judged
    value = catalog.load(name) if isinstance(dataset, TypedJSON) else None
    if isinstance(value, RunHistory):  # it belongs to the weights beside it
        return value.provenance.model_copy(update={"data": value.provenance.data | {"weights": value.weights}})
    return getattr(value, "provenance", None)


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
