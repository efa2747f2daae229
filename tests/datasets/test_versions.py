"""Existence and versions of datasets."""

from pathlib import Path

import pytest
from kedro.io import DataCatalog

from aitm_kedro.datasets import JSON
from aitm_kedro.datasets.versions import is_versioned, local_path, version, versions

DAYS = [f"2024-01-0{day}T00.00.00.000Z" for day in (1, 2, 3)]


@pytest.fixture
def entries(tmp_path):
    versioned = {"type": JSON, "versioned": True}
    return {
        "table": versioned | {"filepath": f"{tmp_path}/table.json"},
        "remote": versioned | {"filepath": "memory://elsewhere/table.json"},
        "plain": {"type": JSON, "filepath": f"{tmp_path}/plain.json"},
    }


def test_whole_versions_are_listed_newest_first(entries, tmp_path):
    for day in DAYS[:2]:
        DataCatalog.from_config(entries, save_version=day).save("table", {})
    (tmp_path / "table.json" / DAYS[2]).mkdir()
    catalog = DataCatalog.from_config(entries)
    assert versions("table", catalog) == DAYS[1::-1]
    assert version("table", catalog) == DAYS[1]


def test_what_has_no_versions_has_none(entries):
    catalog = DataCatalog.from_config(entries)
    catalog.save("plain", {})
    for name in ("table", "plain", "remote", "unknown", "params:training"):
        assert versions(name, catalog) == []
    assert [is_versioned(catalog.get(name)) for name in ("table", "plain")] == [True, False]


def test_a_dataset_elsewhere_has_no_path_here(entries, tmp_path):
    catalog = DataCatalog.from_config(entries)
    assert local_path("table", catalog) == Path(tmp_path, "table.json")
    assert local_path("remote", catalog) is None
    assert local_path("unknown", catalog) is None
