"""Kedro's session, which says what is wrong with the names of a command before anything runs."""

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from kedro.config import AbstractConfigLoader
from kedro.framework.context import KedroContext
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.io import CatalogProtocol
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline

from aitm_kedro.config.sentences import listed, nearest, stop
from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets import Seeds
from aitm_kedro.datasets.versions import is_versioned, plain_name, versions
from aitm_kedro.hooks import ProjectHooks

DEFAULT = "__default__"

OPTIONS = {
    "tags": "--tags",
    "node_names": "--nodes",
    "from_nodes": "--from-nodes",
    "to_nodes": "--to-nodes",
    "namespaces": "--namespaces",
    "from_inputs": "--from-inputs",
    "to_outputs": "--to-outputs",
}
"""Arguments of a run that choose nodes -> options of the command."""

KINDS = {"tags": "tag", "namespaces": "namespace", "from_inputs": "dataset", "to_outputs": "dataset"}
"""What an argument names, unless it is a node."""

NEWEST = 3
"""Versions that a sentence names."""

Catalog = CatalogProtocol[Any, Any]


class ProjectSession(KedroSession):
    """A session that refuses unknown names with the nearest one, and pins a file, not one of its names."""

    _context: KedroContext | None = None
    _names: list[str] | None = None

    def load_context(self) -> KedroContext:
        """The context; that of a run is made once."""
        return self._context or super().load_context()

    def run(self, *arguments: Any, **options: Any) -> Any:
        """Run as Kedro does; arguments as of Kedro's session.

        The context is made anew, as Kedro does, too: files may have changed since somebody looked into it, and the
        loader that was made last, perhaps another session's, says what ``${environment:}`` and the runs are.

        Raises:
            InputError: a pipeline, node, namespace, tag, dataset or version is not there, or nothing is left to run.
        """
        options |= dict(zip(list(inspect.signature(KedroSession.run).parameters)[1:], arguments, strict=False))
        if name := options.pop("pipeline_name", None):
            options["pipeline_names"] = [name]
        names = options.get("pipeline_names") or []
        self._names = names or None
        self._context = None
        self._context = self.load_context()
        try:
            chosen = {name: options[name] for name in OPTIONS if options.get(name)}
            pipeline = select(pipelines, names or [DEFAULT], chosen)
            if options.get("load_versions"):
                options["load_versions"] = pin(options["load_versions"], pipeline, self._context.catalog)
            return super().run(**options)
        except KeyboardInterrupt:  # which Kedro tells no hook, and a notebook goes on after it
            for hooks in self._hook_manager.get_plugins():
                if isinstance(hooks, ProjectHooks):
                    hooks.end(self.session_id)
            raise
        finally:
            self._context = None

    def _get_config_loader(self) -> AbstractConfigLoader:
        """The loader, which has pipelines made anew; Kedro would make them twice if it asked for other names later."""
        loader = super()._get_config_loader()
        pipelines.set_requested(self._names)
        return loader


def select(registered: Mapping[str, Pipeline], names: Iterable[str], chosen: Mapping[str, Iterable[str]]) -> Pipeline:
    """The nodes that a command names.

    Args:
        registered: pipelines by name.
        names: of those that are to run.
        chosen: names given for the arguments in ``OPTIONS``.

    Raises:
        InputError: a name is unknown, or no node has all of them.
    """
    for name in names:
        if name not in registered:
            there = [each for each in registered if each != DEFAULT]
            raise InputError(stop(f"There is no pipeline '{name}'; {nearest(name, there, known='there are')}"))
    pipeline = sum((registered[name] for name in names), start=Pipeline([]))
    for argument, given in chosen.items():
        for name in given:
            if name not in _names(argument, pipeline):
                raise InputError(_unknown(name, argument, list(names), registered, pipeline))
    filters = {"node_namespaces" if name == "namespaces" else name: given for name, given in chosen.items()}
    try:
        return pipeline.filter(**filters)
    except ValueError:
        options = listed(OPTIONS[argument] for argument in chosen)
        raise InputError(
            f"No node is chosen by {options} together, so that there is nothing to run; name fewer."
        ) from None


def _names(argument: str, pipeline: Pipeline) -> set[str]:
    """All names in a pipeline that an argument may have."""
    if argument == "tags":
        return {tag for node in pipeline.nodes for tag in node.tags}
    if argument == "namespaces":
        parts = [str(node.namespace).split(".") for node in pipeline.nodes if node.namespace]
        return {".".join(each[:end]) for each in parts for end in range(1, len(each) + 1)}
    if argument in ("from_inputs", "to_outputs"):
        return {form for name in pipeline.datasets() for form in (name, plain_name(name))}
    return {node.name for node in pipeline.nodes}


def _unknown(name: str, argument: str, names: list[str], registered: Mapping[str, Pipeline], pipeline: Pipeline) -> str:
    kind = KINDS.get(argument, "node")
    elsewhere = [each for each, other in registered.items() if each != DEFAULT and name in _names(argument, other)]
    if elsewhere:
        hint = f"the pipeline '{elsewhere[0]}' has it: --pipelines={elsewhere[0]}"
    else:
        hint = nearest(name, sorted(_names(argument, pipeline)), known="there are")
    where = "" if names == [DEFAULT] else f" of {listed(names)}"
    return stop(f"{OPTIONS[argument]} names '{name}', which is no {kind}{where}; {hint}")


def pin(wanted: Mapping[str, str], pipeline: Pipeline, catalog: Catalog) -> dict[str, str]:
    """Versions by every name under which the pipeline reads the same file.

    ``aitm.seed0.bundle`` and ``aitm_seed0_bundle`` are two names of one file (``conf/base/catalog/03_models.yml``), and
    so are ``vocabulary@table`` and ``vocabulary@pandas``.

    Args:
        wanted: dataset -> version, as given.
        pipeline: what is to run.
        catalog: of the session, no version pinned.

    Raises:
        InputError: no such dataset is read, the run makes it anew, it has no versions, or not this one.
    """
    read = sorted(name for name in pipeline.all_inputs() if not is_parameter(name))
    made = {_file(name) for name in pipeline.all_outputs()}
    pinned: dict[str, str] = {}
    for given, version in wanted.items():
        same = [name for name in read if _file(name) == _file(given)]
        if not same:
            raise InputError(f"--load-versions names '{given}', {_not_read(given, read, catalog)}")
        if _file(given) in made:
            raise InputError(
                f"--load-versions names '{given}', which this run makes anew; leave out the nodes that make it "
                f"(--from-nodes, --nodes), or take it out of the option."
            )
        _check_version(version, same[0], catalog)
        pinned |= dict.fromkeys(same, version)
    return pinned


def _not_read(given: str, read: Iterable[str], catalog: Catalog) -> str:
    """Why a dataset cannot be pinned that no node reads by its name, and which one may be meant."""
    for name in read:
        dataset = catalog.get(name)
        if isinstance(dataset, Seeds) and given in dataset.versions():
            return f"which '{name}' reads, always in its newest version; take it out of the option."
    names = dict.fromkeys(plain_name(name) for name in read if is_versioned(catalog.get(name)))
    return stop(f"which nothing that runs reads; {nearest(given, names, known='those with versions are')}")


def _file(name: str) -> str:
    """What is the same in all names of a file."""
    return plain_name(name).replace(".", "_")


def _check_version(version: str, name: str, catalog: Catalog) -> None:
    if not is_versioned(catalog.get(name)):
        raise InputError(f"--load-versions names '{name}', which has no versions; take it out of the option.")
    there = versions(name, catalog)
    if not there:
        raise InputError(f"--load-versions names '{name}', of which there is no version yet; run what makes it first.")
    if version not in there:
        newest = listed(there[:NEWEST])
        verb = "is" if len(there) == 1 else "are"
        raise InputError(f"There is no version '{version}' of '{name}'; the newest of {len(there)} {verb} {newest}.")
