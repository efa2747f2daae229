"""What happens around every run: parameters are checked as a whole, the run is put on record, old versions go."""

import logging
import os
import platform
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.io import AbstractVersionedDataset, CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import BaseModel, ValidationError

from aitm_kedro.config.schema import PREPARATION, check_parameters, with_defaults
from aitm_kedro.core.provenance import NodeCost, RunRecord, library_versions
from aitm_kedro.datasets.versions import version
from aitm_kedro.retention import prune_versions

EXAMPLES = "train_examples@arrays"

logger = logging.getLogger(__name__)


class ProjectHooks:
    """Hooks of the project, registered in ``settings.py``."""

    def __init__(self) -> None:
        self._started: dict[str, float] = {}
        self._nodes: dict[str, NodeCost] = {}
        self._parameters: dict[str, Any] = {}
        self._project = Path()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Refuse keys that nobody reads, and keys that contradict each other, before anything runs."""
        self._project = context.project_path
        check_parameters(context.config_loader["parameters"])  # raw: context.params validates each key by itself
        self._parameters = dict(context.params)

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> None:
        """Begin a record of its own for each run of this process; say so if models would read outdated examples."""
        self._nodes = {}
        if EXAMPLES in pipeline.inputs():
            for key in prepared_otherwise(self._parameters, catalog):
                logger.warning(
                    "The encoded examples were prepared with other parameters under '%s' than those of now; run "
                    "ingestion and preparation again to have them take effect.",
                    key,
                )

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the clock of a node."""
        self._started[node.name] = time.perf_counter()

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Say how long a node took, and how much memory the process has needed so far at most."""
        seconds = time.perf_counter() - self._started.pop(node.name)
        gigabytes = peak_memory()
        self._nodes[node.name] = NodeCost(seconds=round(seconds, 3), peak_gigabytes=round(gigabytes, 3))
        logger.info("%s: %.1f s, peak memory of the run so far %.2f GB", node.name, seconds, gigabytes)

    @hook_impl
    def after_pipeline_run(
        self, run_params: dict[str, Any], pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]
    ) -> None:
        """Save what this run was: parameters, versions of data and libraries, time and memory; then prune versions."""
        catalog.save(
            "run_record",
            RunRecord(
                finished=datetime.now(UTC),
                run={name: value for name, value in run_params.items() if value and name != "runtime_params"},
                commit=git_commit(self._project),
                libraries=library_versions(),
                machine={"system": platform.platform(), "cores": os.cpu_count()},
                parameters={key: as_plain(value) for key, value in self._parameters.items()},
                datasets=dataset_versions(pipeline, catalog),
                nodes=self._nodes,
            ),
        )
        names = {name for registered in pipelines.values() for name in registered.datasets()}
        prune_versions(catalog, pipeline, keep=self._parameters.get("keep_versions"), names=names)


def prepared_otherwise(parameters: dict[str, Any], catalog: CatalogProtocol[Any, Any]) -> list[str]:
    """Keys of the preparation that had other values in the run that wrote the examples, as far as its record tells."""
    record, written = catalog.get("run_record"), version(EXAMPLES, catalog)
    if not isinstance(record, AbstractVersionedDataset) or not written:
        return []
    path = Path(str(record._get_versioned_path(written)))
    if not path.exists():
        return []
    try:
        used = RunRecord.model_validate_json(path.read_text()).parameters
    except ValidationError:  # written by another version of the project, which nobody can compare with
        return list(PREPARATION)
    return [key for key in PREPARATION if _with_defaults(key, used) != _with_defaults(key, parameters)]


def _with_defaults(key: str, parameters: dict[str, Any]) -> Any:
    """A parameter with the defaults of what is not written, so that new options make no difference by themselves."""
    value = as_plain(parameters.get(key))
    try:
        return with_defaults(key, value)
    except ValidationError:
        return value


def as_plain(value: Any) -> Any:
    """A parameter, which Kedro may have made an object of already, as JSON can hold it."""
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value


def peak_memory() -> float:
    """Most memory that this process has held so far, in GB."""
    unit = 1 if sys.platform == "darwin" else 1024  # Linux counts kilobytes, macOS bytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def git_commit(project: Path) -> str | None:
    """Commit of the project's working tree, or None outside of git."""
    try:
        command = ["git", "describe", "--always", "--dirty"]
        result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()


def dataset_versions(pipeline: Pipeline, catalog: CatalogProtocol[Any, Any]) -> dict[str, str]:
    """Version of each versioned dataset that the run read or wrote."""
    return {name: found for name in sorted(pipeline.datasets()) if (found := version(name, catalog))}
