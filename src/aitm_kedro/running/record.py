"""The record of a run: how it was called, with which parameters, versions and libraries, and what each node took."""

import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from pydantic import BaseModel

from aitm_kedro.core.commands import with_environment
from aitm_kedro.core.provenance import NodeCost, RunRecord, library_versions
from aitm_kedro.datasets import Seeds
from aitm_kedro.datasets.versions import version

RECORD = "run_record"
"""The dataset that holds it."""

Catalog = CatalogProtocol[Any, Any]


def record_run(
    *,
    run_params: Mapping[str, Any],
    parameters: Mapping[str, Any],
    pipeline: Pipeline,
    catalog: Catalog,
    nodes: Mapping[str, NodeCost],
    warnings: Sequence[str],
) -> RunRecord:
    """Put a run that has ended on record.

    Args:
        run_params: how Kedro was called.
        parameters: raw, or made objects by Kedro.
        pipeline: that has run.
        catalog: of the run.
        nodes: name -> what it took.
        warnings: that were given on the way.
    """
    called = {name: value for name, value in run_params.items() if value and name != "runtime_params"}
    return RunRecord(
        finished=datetime.now(UTC),
        run=called | {"runner": runner_name(run_params)},
        commit=git_commit(Path(run_params["project_path"])),
        libraries=library_versions(),
        machine={"system": platform.platform(), "cores": os.cpu_count()},
        parameters={key: as_plain(value) for key, value in parameters.items()},
        datasets=dataset_versions(pipeline, catalog),
        nodes=dict(nodes),
        warnings=tuple(with_environment(sentence, run_params["env"]) for sentence in warnings),
    )


def runner_name(run_params: Mapping[str, Any]) -> str:
    """Class of the runner; Kedro hands over the text of the object, or "None" for its usual one.

    Example:
        >>> runner_name({"runner": "<kedro.runner.thread_runner.ThreadRunner object at 0x7f2078fd5f50>"})
        'ThreadRunner'
    """
    name = re.sub(r"^<(.*) object at .*>$", r"\1", str(run_params.get("runner"))).rpartition(".")[2]
    return "SequentialRunner" if name == "None" else name


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


def dataset_versions(pipeline: Pipeline, catalog: Catalog) -> dict[str, str]:
    """Version of each versioned dataset that the run read or wrote; of those of all seeds, each by its own name."""
    found: dict[str, str] = {}
    for name in sorted(pipeline.datasets()):
        dataset = catalog.get(name)
        found |= dataset.versions() if isinstance(dataset, Seeds) else {name: version(name, catalog)}
    return {name: used for name, used in found.items() if used}
