"""Existence and versions of catalog datasets."""

from pathlib import Path
from typing import Any, TypeGuard

from kedro.io import AbstractVersionedDataset, CatalogProtocol
from kedro.io.core import VersionNotFoundError

Catalog = CatalogProtocol[Any, Any]


def exists(name: str, catalog: Catalog) -> bool:
    """Whether a dataset has been saved."""
    dataset = catalog.get(name)
    return dataset is not None and bool(dataset.exists())


def version(name: str, catalog: Catalog) -> str:
    """Version of a dataset, a timestamp that sorts as text; "" where it has none or does not exist."""
    resolve = getattr(catalog.get(name), "resolve_load_version", None)
    return (resolve() or "") if resolve is not None and exists(name, catalog) else ""


def versions(name: str, catalog: Catalog) -> list[str]:
    """Whole versions of a dataset in Kedro's order, the one in force first.

    Unlike ``exists``, it does not have the dataset remember which one is in force.
    """
    dataset = catalog.get(name)
    if not is_versioned(dataset):
        return []
    try:
        found: list[str] = dataset.list_versions(full_path=False)
    except VersionNotFoundError:
        return []
    return found


def is_versioned(dataset: Any) -> TypeGuard[AbstractVersionedDataset[Any, Any]]:
    """Whether a dataset is a folder of versions."""
    return isinstance(dataset, AbstractVersionedDataset) and bool(dataset._version)


def plain_name(name: str) -> str:
    """A name without what follows an @, by which one file is read in several ways."""
    return name.partition("@")[0]


def versioned_folder(name: str, catalog: Catalog) -> Path | None:
    """Folder that holds the versions of a dataset on this machine; None where it has none, or lies elsewhere."""
    return local_path(name, catalog) if is_versioned(catalog.get(name)) else None


def local_path(name: str, catalog: Catalog) -> Path | None:
    """File or folder of a dataset on this machine; of one with versions, the folder that holds them."""
    dataset = catalog.get(name)
    path = getattr(dataset, "_filepath", None)
    is_remote = getattr(dataset, "_protocol", "file") != "file" or getattr(dataset, "_fs_prefix", "")
    return None if path is None or is_remote else Path(str(path))
