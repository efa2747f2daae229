"""What can be checked before a run begins: folders, inputs, the clock, and the device."""

import errno
import getpass
import os
import tempfile
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from kedro.io import CatalogProtocol
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from aitm_kedro.config.schema import with_defaults
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.storage import reason_of
from aitm_kedro.datasets import OptionalFrame, OptionalJSON
from aitm_kedro.datasets.versions import is_versioned, local_path, plain_name, versions
from aitm_kedro.running.record import RECORD, as_plain

SPILLED = ".tmp"
"""Where DuckDB goes on when its memory is full, in the folder of the project."""

SUMS = ("__default__", "full", "benchmark")
"""Pipelines that hold others: a stage is named before them where both make what is missing."""

NAMED = 3
"""Datasets that a sentence names; of the others it says how many there are."""

Catalog = CatalogProtocol[Any, Any]


def check_folders(pipeline: Pipeline, catalog: Catalog, *, project: Path) -> None:
    """Try to write in every folder that the run writes to.

    Raises:
        InputError: one of them cannot be written.
    """
    paths = (local_path(name, catalog) for name in sorted({*pipeline.all_outputs(), RECORD}))
    for folder in dict.fromkeys(_existing(path) for path in (project / SPILLED, *filter(None, paths))):
        try:
            tempfile.TemporaryFile(dir=folder).close()  # asking for the mode says nothing about mounts and quotas
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                remedy = "The disk is full, or its quota: make room, and run again."
            else:
                remedy = "Give that user the right to write there, or mount it so that it can be written."
            raise InputError(
                f"The folder '{folder}' cannot be written by the user '{_user()}': {reason_of(error)}. {remedy}"
            ) from error


def check_clock(pipeline: Pipeline, catalog: Catalog, *, save_version: str) -> None:
    """Check that what the run writes will be the newest version, which is the one that Kedro reads.

    Raises:
        InputError: a version is there already that sorts after it.
    """
    newest = {name: next(iter(versions(name, catalog)), "") for name in sorted({*pipeline.all_outputs(), RECORD})}
    later = {name: found for name, found in newest.items() if found >= save_version}
    if not later:
        return
    name, found = next(iter(later.items()))
    raise InputError(
        f"What this run writes would be called '{save_version}', after the clock of this machine (UTC), but "
        f"{_listed(later)} {'has' if len(later) == 1 else 'have'} a version that sorts after it, such as '{found}' in "
        f"'{local_path(name, catalog) or name}'. The one that sorts last is read, so nobody would read what this run "
        "writes. If the clock is slow, set it; if it was fast then, or somebody gave that name, move those versions "
        "away."
    )


def check_inputs(
    pipeline: Pipeline,
    catalog: Catalog,
    *,
    registered: Mapping[str, Pipeline],
    environment: str | None,
) -> None:
    """Check that every versioned dataset is there that the run reads and does not make.

    Args:
        pipeline: that is to run.
        catalog: of the run.
        registered: all pipelines by name, among which the one is found that makes what is missing.
        environment: for ``--env``; None: none.

    Raises:
        InputError: something is missing; a sentence says which pipeline makes it.
    """
    missing = _missing(pipeline, catalog)
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise InputError(
            f"{_listed(_plain(missing))} {verb} not there yet, but this run reads {'it' if verb == 'is' else 'them'}. "
            f"{_remedy(missing, catalog, registered, environment)}"
        )


def unfinished(pipeline: Pipeline, catalog: Catalog) -> Pipeline:
    """The nodes whose results are not all there, for runs that leave out what is finished."""
    return Pipeline([node for node in pipeline.nodes if not all(versions(name, catalog) for name in node.outputs)])


def check_device(pipeline: Pipeline, parameters: Mapping[str, Any], *, networks: Collection[str]) -> None:
    """Check that the device is there on which the run trains or predicts.

    Args:
        pipeline: that is to run.
        parameters: raw, or made objects by Kedro.
        networks: names of the runs that read the parameter ``training``.

    Raises:
        InputError: it is not.
    """
    device = with_defaults("training", as_plain(parameters.get("training")))["device"]
    if device not in ("auto", "cpu") and any(_computes(node, networks) for node in pipeline.nodes):
        from aitm_kedro.learning.training.devices import choose_device  # torch, which most runs can do without

        choose_device(device)


def _computes(node: Node, networks: Collection[str]) -> bool:
    """Whether a node computes on the device: those of trees and linear models do not."""
    run = (node.namespace or "").partition(".")[0]
    return "params:training" in node.inputs and (not run or run in networks)


def _existing(path: Path) -> Path:
    """The folder that a path is in, as far as there is one."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.is_dir())


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a number without a name, as in some containers
        return str(os.getuid())


def _missing(pipeline: Pipeline, catalog: Catalog) -> list[str]:
    """Free inputs that have no version, unless they may be missing, or are made under another name of the same file."""
    made = {local_path(name, catalog) for name in pipeline.all_outputs()}
    return [
        name
        for name in sorted(pipeline.inputs())
        if not is_parameter(name)
        and is_versioned(dataset := catalog.get(name))
        and not (getattr(dataset, "_optional", False) or isinstance(dataset, OptionalFrame | OptionalJSON))
        and not versions(name, catalog)
        and local_path(name, catalog) not in made
    ]


def _remedy(
    missing: Collection[str], catalog: Catalog, registered: Mapping[str, Pipeline], environment: str | None
) -> str:
    """The command that makes what is missing, with everything before it that is missing, too."""
    wanted = {local_path(name, catalog) for name in missing} - {None}
    chosen: list[str] = []
    nodes: list[Node] = []
    while wanted:
        path = wanted.pop()
        found = _maker(path, catalog, registered)
        if found is None:
            return f"No pipeline makes '{path}': put it there, or correct the catalog."
        stage, node = found
        nodes.append(node)
        if stage not in chosen:
            chosen.append(stage)
            wanted |= {local_path(name, catalog) for name in _missing(registered[stage], catalog)}
    stages = ",".join(name for name in registered if name in chosen)
    namespaces = {node.namespace for node in nodes}
    only = f" --namespaces={namespaces.pop()}" if len(namespaces) == 1 and None not in namespaces else ""
    return f"Make {'it' if len(_plain(missing)) == 1 else 'them'} first: kedro run --pipelines={stages}{only}" + (
        f" --env={environment}" if environment else ""
    )


def _maker(path: Path | None, catalog: Catalog, registered: Mapping[str, Pipeline]) -> tuple[str, Node] | None:
    """The smallest pipeline that makes a file, and the node in it that does."""
    for stage in sorted(registered, key=lambda name: (name in SUMS, len(registered[name].nodes))):
        for node in registered[stage].nodes:
            if any(local_path(name, catalog) == path for name in node.outputs):
                return stage, node
    return None


def _plain(names: Iterable[str]) -> list[str]:
    """Names without what follows an @, by which one file is read in several ways."""
    return list(dict.fromkeys(map(plain_name, names)))


def _listed(names: Iterable[str]) -> str:
    """Some names, and how many others there are."""
    quoted = [f"'{name}'" for name in names]
    left = len(quoted) - NAMED
    if left > 1:
        return f"{', '.join(quoted[:NAMED])} and {left} others"
    return " and ".join([", ".join(quoted[:-1]), quoted[-1]]) if len(quoted) > 1 else quoted[0]
