"""Lineage: what tables and reports were made from, so that a stage that was forgotten is noticed.

Results of runs say themselves what they were made from (:mod:`aitm_kedro.core.provenance`). Of everything before them,
a small file beside each version says it: the versions and the parameters that the node read. Where another version is
there now, contents are compared: a stage that is run again and gives the same makes nothing old.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from kedro.io import CatalogProtocol
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from pydantic import Field, ValidationError

from aitm_kedro.config.schema import TOP_LEVEL, with_defaults
from aitm_kedro.core.provenance import Result
from aitm_kedro.core.storage import replacing
from aitm_kedro.datasets.contents import content_of
from aitm_kedro.datasets.versions import is_versioned, plain_name, versioned_folder, versions
from aitm_kedro.running.record import as_plain
from aitm_kedro.tables.sentences import join_names

FILE = "lineage.json"
"""In the folder of a version, beside the dataset."""

PARAMETER = "params:"

OF_SOURCES = ("ali_ccp",)
"""Parameters that the dataset of a raw log reads, and not the node that is given it."""

Catalog = CatalogProtocol[Any, Any]


class Lineage(Result):
    """What a version of a dataset was made from."""

    inputs: dict[str, str] = Field(
        description="dataset that the node read -> its version; without those that have none"
    )
    parameters: dict[str, Any] = Field(description="that the node read, with their defaults")


class Break(NamedTuple):
    """Something that was made from what is no longer there.

    Attributes:
        dataset: that was made.
        source: what it was made from and is another now: a dataset, or a parameter as "params:split"; None: nobody
            knows what it was made from.
        node: that makes it.
    """

    dataset: str
    source: str | None
    node: Node


def note_lineage(node: Node, catalog: Catalog, *, parameters: Mapping[str, Any], save_version: str) -> bool:
    """Write down what a node that has run made, and from what.

    Nothing is written of what has no versions on this machine, and of results of runs.

    Args:
        node: that has run.
        catalog: of the run.
        parameters: of the run, raw, or made objects by Kedro.
        save_version: of the run, under which the node saved.

    Returns:
        Whether all that it makes was there.
    """
    folders = [folder for name in node.outputs if (folder := _folder(name, catalog)) is not None]
    if node.namespace or not folders:
        return True
    saved = [folder / save_version for folder in folders]
    if not all((version / version.parent.name).exists() for version in saved):
        return False
    if all((version / FILE).exists() for version in saved):
        return True
    inputs = {plain_name(name): found for name in node.inputs if (found := _version(name, catalog))}
    used = {key: _with_defaults(key, parameters.get(key)) for key in _keys(node, catalog)}
    lineage = Lineage(inputs=inputs, parameters=used)
    for version in saved:
        with replacing(version / FILE) as file:
            file.write_text(lineage.model_dump_json())
    return True


def breaks(
    pipeline: Pipeline, catalog: Catalog, *, registered: Mapping[str, Pipeline], parameters: Mapping[str, Any]
) -> list[Break]:
    """Everything on the way to what a run reads that was made from other things than those that are there now.

    Args:
        pipeline: that is to run; what it makes itself is not looked at.
        catalog: of the run.
        registered: all pipelines by name.
        parameters: raw, or made objects by Kedro.
    """
    search = _Search(catalog, registered, parameters)
    found = (each for name in sorted(pipeline.inputs()) for each in search.above(name))
    return list({(each.dataset, each.source): each for each in found}.values())


def describe_breaks(found: Iterable[Break], *, registered: Mapping[str, Pipeline]) -> list[str]:
    """One sentence for each cause, with the command that mends it."""
    by_source: dict[str | None, list[Break]] = defaultdict(list)
    for each in found:
        by_source[each.source].append(each)
    return [_sentence(source, broken, registered) for source, broken in by_source.items()]


class _Search:
    """Looks up, from a dataset, through the nodes that made it."""

    def __init__(self, catalog: Catalog, registered: Mapping[str, Pipeline], parameters: Mapping[str, Any]) -> None:
        self.catalog, self.parameters = catalog, parameters
        nodes = {node for pipeline in registered.values() for node in pipeline.nodes if not node.namespace}
        self.makers = {
            folder: node for node in nodes for name in node.outputs if (folder := _folder(name, catalog)) is not None
        }
        self.seen: set[Path] = set()
        self.content_of = cache(content_of)

    def above(self, name: str) -> Iterator[Break]:
        """Breaks on the way to a dataset, those nearest to the source first."""
        folder = _folder(name, self.catalog)
        if folder is None or folder in self.seen or folder not in self.makers or not _version(name, self.catalog):
            return
        self.seen.add(folder)
        node, lineage = self.makers[folder], _lineage_in_force(name, self.catalog)
        if lineage is None:
            yield Break(plain_name(name), None, node)
            return
        for read in node.inputs:
            yield from self.above(read)
        for source in (*self._other_inputs(node, lineage), *self._other_parameters(lineage)):
            yield Break(plain_name(name), source, node)

    def _other_inputs(self, node: Node, lineage: Lineage) -> Iterator[str]:
        for name in node.inputs:
            folder, now = _folder(name, self.catalog), _version(name, self.catalog)
            used = lineage.inputs.get(plain_name(name))
            if folder is None or now is None or now == used:
                continue
            if used is None or not self._are_equal(folder, now, used):
                yield plain_name(name)

    def _are_equal(self, folder: Path, now: str, used: str) -> bool:
        """Whether two versions hold the same; one that is not there any more holds nothing."""
        paths = [folder / version / folder.name for version in (now, used)]
        if not all(path.exists() for path in paths):
            return False
        return len({self.content_of(path) for path in paths}) == 1

    def _other_parameters(self, lineage: Lineage) -> Iterator[str]:
        for key, used in lineage.parameters.items():
            # With the defaults of what is not written, so that new options make no difference by themselves.
            if _with_defaults(key, used) != _with_defaults(key, self.parameters.get(key)):
                yield f"{PARAMETER}{key}"


def _sentence(source: str | None, broken: list[Break], registered: Mapping[str, Pipeline]) -> str:
    names = join_names([f"'{each.dataset}'" for each in broken], at_most=len(broken))
    verb = "was" if len(broken) == 1 else "were"
    advice = f"kedro run --pipelines={','.join(_stages(broken, registered))}"
    if source is None:
        return (
            f"Nobody knows what {names} {verb} made from: the run that wrote {'it' if verb == 'was' else 'them'} did "
            f"not end, or was one of another version of the project; if in doubt, make all anew: {advice}"
        )
    if source.startswith(PARAMETER):
        key = source.removeprefix(PARAMETER)
        return (
            f"{names} {verb} made with other parameters under '{key}' than those of now, which have no effect on this "
            f"run; to have them take effect: {advice}"
        )
    return (
        f"{names} {verb} made from another content of '{source}' than what is there now, which has no effect on this "
        f"run; to go on with the new one: {advice}"
    )


def _stages(broken: Iterable[Break], registered: Mapping[str, Pipeline]) -> list[str]:
    """The smallest pipelines that hold the nodes, in their order."""
    wanted = {each.node for each in broken}
    sizes = sorted(registered, key=lambda name: len(registered[name].nodes))
    chosen = {next(name for name in sizes if node in registered[name].nodes) for node in wanted}
    return [name for name in registered if name in chosen]


def _keys(node: Node, catalog: Catalog) -> Iterator[str]:
    """Parameters that count in what a node makes."""
    for name in node.inputs:
        if name.startswith(PARAMETER):
            yield name.removeprefix(PARAMETER)
        elif not is_parameter(name) and not is_versioned(catalog.get(name)):
            yield from OF_SOURCES


def _folder(name: str, catalog: Catalog) -> Path | None:
    return None if is_parameter(name) else versioned_folder(name, catalog)


def _version(name: str, catalog: Catalog) -> str | None:
    """The version that a run would read: the one that --load-versions names, or the newest."""
    dataset = catalog.get(name)
    if not is_versioned(dataset):
        return None
    return getattr(dataset._version, "load", None) or next(iter(versions(name, catalog)), None)


def _lineage_in_force(name: str, catalog: Catalog) -> Lineage | None:
    """What is known of the version of a dataset that a run would read; None: nothing."""
    folder, version = _folder(name, catalog), _version(name, catalog)
    if folder is None or version is None:
        return None
    try:
        return Lineage.model_validate_json((folder / version / FILE).read_text())
    except (OSError, ValidationError):
        return None


def _with_defaults(key: str, value: Any) -> Any:
    plain = as_plain(value)
    try:
        return with_defaults(key, plain) if key in TOP_LEVEL else plain
    except ValidationError:
        return plain
