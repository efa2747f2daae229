"""The simulated log as a catalog entry."""

from pathlib import Path

import ibis
import pytest
import yaml
from kedro.io import DataCatalog, DatasetError
from kedro_datasets.ibis import FileDataset

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.datasets import SimulatedFunnel

CONNECTION = {"backend": "duckdb", "database": ":memory:", "threads": 2}
PARAMETERS = Path(__file__).parents[2] / "conf" / "base" / "parameters" / "funnel.yml"


def rows_of(table: ibis.Table) -> int:
    return table.count().to_pyarrow().as_py()


@pytest.fixture
def dataset(tmp_path):
    return SimulatedFunnel(filepath=str(tmp_path), impressions=2000, connection=CONNECTION)


def test_a_catalog_entry_gives_a_table_with_everything_the_parameters_name(tmp_path):
    entry = {
        "type": "aitm_kedro.datasets.SimulatedFunnel",
        "filepath": str(tmp_path),
        "impressions": 2000,
        "preset": "industrial",
        "seed": 3,
        "connection": CONNECTION,
    }
    table = DataCatalog.from_config({"raw_impressions": entry}).load("raw_impressions")
    parameters = yaml.safe_load(PARAMETERS.read_text())
    funnel, features = Funnel(**parameters["funnel"]), Features(**parameters["features"])
    features.forbid_labels(funnel)
    expected = {"impression_id": "int64", "impression_time": "timestamp"}
    expected |= dict.fromkeys(features.categorical, "string") | dict.fromkeys(features.numeric, "float32")
    expected |= {f"{step}_time": "timestamp" for step in funnel.steps}
    expected |= {f"oracle_{step}": "float32" for step in funnel.steps}
    assert {name: str(kind).split("(")[0] for name, kind in table.schema().items()} == expected
    assert 30 <= len(features.names) <= 40
    assert rows_of(table) > 2000


def test_windows_are_those_of_the_truth():
    from aitm_kedro.sources.simulation.clock import WINDOWS

    assert yaml.safe_load(PARAMETERS.read_text())["funnel"]["windows"] == WINDOWS


def test_the_backend_is_shared_with_file_datasets_of_an_equal_connection(dataset, tmp_path):
    other = FileDataset(filepath=str(tmp_path / "x.parquet"), connection=dict(CONNECTION))
    assert dataset.connection is other.connection
    other.save(dataset.load().limit(10))
    joined = dataset.load().join(other.load(), "impression_id")
    assert rows_of(joined) >= 10


def test_a_second_load_reads_the_same_file(dataset):
    assert not dataset.exists()
    first = dataset.load()
    assert dataset.exists()
    written = dataset.path.stat().st_mtime_ns
    assert rows_of(dataset.load()) == rows_of(first)
    assert dataset.path.stat().st_mtime_ns == written
    assert isinstance(first, ibis.Table)


def test_preview_never_draws_the_log(dataset, tmp_path):
    assert dataset.preview() == {"index": [], "columns": [], "data": []}
    assert not list(tmp_path.iterdir())
    dataset.load()
    preview = dataset.preview(nrows=3)
    assert len(preview["data"]) == len(preview["index"]) == 3
    assert preview["columns"][:2] == ["impression_id", "impression_time"]
    assert preview["data"][0][1].startswith("2024-03-04")


def test_a_damaged_file_ends_in_a_sentence(dataset):
    dataset.load()
    whole = dataset.path.read_bytes()
    dataset.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match="is damaged; delete it"):
        dataset.load()


def test_it_is_read_only(dataset):
    with pytest.raises(DatasetError, match="read-only"):
        dataset.save("anything")


@pytest.mark.parametrize("wrong", [{"preset": "x"}, {"impressions": -1}, {"workers": 0}, {"rates": {"click": 2}}])
def test_bad_arguments_end_in_a_sentence(tmp_path, wrong):
    arguments = {"filepath": str(tmp_path), "impressions": 2000} | wrong
    with pytest.raises(InputError, match=r"simulation .*(use|give)"):
        SimulatedFunnel(**arguments)


def test_a_description_names_the_log(dataset):
    assert "impressions=2000" in str(dataset)
