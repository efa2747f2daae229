"""Retention: old versions of datasets are removed, unless a result that is kept was made from them.

Whoever removes anything holds the lock of the environment (:mod:`aitm_kedro.running.lock`).
"""

import contextlib
import json
import logging
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from kedro.io import CatalogProtocol
from kedro.io.core import is_parameter
from kedro.pipeline import Pipeline

from aitm_kedro.core.storage import discard, reason_of, sweep_versions
from aitm_kedro.datasets.versions import versioned_folder
from aitm_kedro.running.record import RECORD

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z")
"""Versions as Kedro names them; a folder under a name of one's own is never removed."""

Catalog = CatalogProtocol[Any, Any]
logger = logging.getLogger(__name__)


class Saved(NamedTuple):
    """A version of a dataset.

    Attributes:
        folder: in which all its versions are; transcoded names (``x@table``, ``x@arrays``) share it.
        version: the moment at which its run began, as text that sorts.
    """

    folder: Path
    version: str

    @property
    def path(self) -> Path:
        """The folder of this version, which may hold more than the file itself, such as arrays made from it."""
        return self.folder / self.version


def prune_versions(catalog: Catalog, pipeline: Pipeline, *, keep: int | None, names: Iterable[str]) -> None:
    """Remove old versions of what a run wrote; called once its record has been saved.

    What stays: the newest ``keep`` versions of every dataset that the run wrote; all versions of every other dataset;
    and, from one to the next, what those were made from, which is what the record of their run names. A run that was
    killed has no record, so that nobody knows what it read: of every dataset, the version that it would have loaded
    stays.

    Nothing is raised: the run has succeeded, and what cannot be removed is told in a warning.

    Args:
        catalog: of the run.
        pipeline: that has run.
        keep: versions to keep; None: all.
        names: every dataset that a pipeline of the project reads or writes.
    """
    if keep is None:
        return
    try:
        store = Store(catalog, {*names, *pipeline.datasets(), *recorded_names(catalog)})
        old = old_versions(store, store.folders_of({*pipeline.all_outputs(), RECORD}), keep=keep)
    except Exception as error:  # a dataset that cannot be made, a folder that cannot be read: then nothing is removed
        logger.warning("Old versions were not looked for, and all of them stay: %s", error)
        return
    _remove(old, keep)


def sweep_leftovers(catalog: Catalog, names: Iterable[str]) -> None:
    """Remove what killed runs left unfinished, whether or not this run writes the same datasets.

    Nothing is raised: what cannot be removed now is in nobody's way.

    Args:
        catalog: of the run.
        names: every dataset that a pipeline of the project reads or writes.
    """
    for folder in Store(catalog, names).folders:
        with contextlib.suppress(OSError):
            sweep_versions(folder)


def recorded_names(catalog: Catalog) -> set[str]:
    """Every dataset that a run on record read or wrote: runs that are no longer configured left results, too."""
    records = Store(catalog, ())
    return {
        name
        for folder in records.folders
        for version in records.versions(folder)
        for name in _read(folder / version / folder.name) or {}
    }


def old_versions(store: "Store", written: set[Path], *, keep: int) -> list[Saved]:
    """Versions to remove, oldest first: of the folders written, those that are neither new nor needed.

    Args:
        store: what is on disk.
        written: folders of the datasets that the run wrote.
        keep: newest versions of each of them that stay.
    """
    kept: set[Saved] = set()
    waiting = [
        Saved(folder, version)
        for folder in store.folders
        for version in store.versions(folder)[-keep if folder in written else 0 :]
    ]
    while waiting:
        saved = waiting.pop()
        if saved not in kept:
            kept.add(saved)
            waiting += store.sources(saved.version)
    there = (Saved(folder, version) for folder in written for version in store.versions(folder))
    return sorted((saved for saved in there if saved not in kept), key=lambda saved: (saved.version, saved.folder))


class Store:
    """Versions on disk of the datasets of a catalog, and what the records of runs tell about them.

    Args:
        catalog: of the run.
        names: its datasets; those that have no versions, or do not lie on this machine, are left out.
    """

    def __init__(self, catalog: Catalog, names: Iterable[str]) -> None:
        self._catalog = catalog
        self.folders = self.folders_of({*names, RECORD})
        self.versions = cache(_versions)
        self.sources = cache(self._sources)

    def folders_of(self, names: Iterable[str]) -> set[Path]:
        """Folders of the datasets that have versions on this machine."""
        found = (versioned_folder(name, self._catalog) for name in names if not is_parameter(name))
        return {folder for folder in found if folder is not None}

    def _sources(self, version: str) -> list[Saved]:
        """What the results of a version may have been made from, and the record that tells it."""
        folder = versioned_folder(RECORD, self._catalog)
        record = _read(folder / version / folder.name) if folder is not None else None
        if folder is None or record is None:
            return list(self._in_force(version))
        read = ((versioned_folder(name, self._catalog), used) for name, used in record.items())
        return [Saved(folder, version), *(Saved(folder, used) for folder, used in read if folder is not None)]

    def _in_force(self, version: str) -> Iterator[Saved]:
        """Of every dataset, what a run that began at this moment would have loaded."""
        for folder in self.folders:
            versions = self.versions(folder)
            if place := bisect_right(versions, version):
                yield Saved(folder, versions[place - 1])


def _versions(folder: Path) -> list[str]:
    """Whole versions in a folder, oldest first."""
    if not folder.is_dir():
        return []
    return sorted(
        path.name for path in folder.iterdir() if TIMESTAMP.fullmatch(path.name) and (path / folder.name).exists()
    )


def _read(path: Path) -> dict[str, str] | None:
    """The versions that a record names, by dataset; None if it is missing or not readable as such."""
    try:
        named = json.loads(path.read_text())["datasets"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return named if isinstance(named, dict) else None


def _remove(old: Iterable[Saved], keep: int) -> None:
    count = size = 0
    for saved in old:
        try:
            freed = _size(saved.path)
            discard(saved.path)
        except OSError as error:
            logger.warning("'%s' is not needed, but cannot be removed: %s. Delete it.", saved.path, reason_of(error))
        else:
            count, size = count + 1, size + freed
    if count:
        logger.info(
            "Old versions of what this run wrote: removed %d (%s). The newest %d of each dataset stay, and what kept "
            "results were made from (parameter keep_versions).",
            count,
            _as_text(size),
            keep,
        )


def _size(folder: Path) -> int:
    """Bytes that become free with a folder; a file that has another name elsewhere stays on the disk."""
    found = (path.lstat() for path in folder.rglob("*") if not path.is_dir())
    return sum(file.st_size for file in found if file.st_nlink == 1)


def _as_text(size: float) -> str:
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:,.1f} GB"
