"""Existence and versions of catalog datasets."""

from typing import Any

from kedro.io import CatalogProtocol


def exists(name: str, catalog: CatalogProtocol[Any, Any]) -> bool:
    """Whether a dataset has been saved."""
    dataset = catalog.get(name)
    return dataset is not None and bool(dataset.exists())


def version(name: str, catalog: CatalogProtocol[Any, Any]) -> str:
    """Version of a dataset, a timestamp that sorts as text; "" where it has none or does not exist."""
    resolve = getattr(catalog.get(name), "resolve_load_version", None)
    return (resolve() or "") if resolve is not None and exists(name, catalog) else ""
