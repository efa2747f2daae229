"""The files of Ali-CCP as catalog entries."""

import json
import os

import ibis
import pyarrow.parquet as pq
import pytest
from kedro.framework.project import configure_project, settings
from kedro.io import DataCatalog, DatasetError
from tests.ali_ccp.files import impression, user, write_folder
from tests.conftest import ROOT

from aitm_kedro.ali_ccp import SINGLE_VALUED
from aitm_kedro.datasets import AliCCP, AliCCPReport
from aitm_kedro.errors import InputError

CONNECTION = {"backend": "duckdb", "database": ":memory:", "threads": 2}
LISTS = [{"name": "109_14", "weights": "109_14_weights"}, {"name": "210"}]


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "files")


@pytest.fixture
def make(folder, tmp_path):
    """A dataset of either kind."""

    def create(kind=AliCCP, **options):
        given = {"filepath": str(folder), "path": str(tmp_path / "target"), "connection": CONNECTION} | options
        return kind(**given)

    return create


def load_config(environment, **parameters):
    """The catalog as a run gets it that was given these ``--params``."""
    configure_project("aitm_kedro")
    options = {"env": environment, "runtime_params": parameters, **settings.CONFIG_LOADER_ARGS}
    return DataCatalog.from_config(settings.CONFIG_LOADER_CLASS(str(ROOT / "conf"), **options)["catalog"])


def test_a_catalog_entry_gives_a_lazy_table_with_the_fields(folder, tmp_path):
    entry = {
        "type": "aitm_kedro.datasets.AliCCP",
        "filepath": str(folder),
        "path": str(tmp_path / "target"),
        "features": {"categorical": ["301", "101"], "lists": LISTS},
        "connection": CONNECTION,
        "metadata": {"kedro-viz": {"layer": "raw"}},
    }
    catalog = DataCatalog.from_config({"raw_impressions": entry})
    table = catalog.load("raw_impressions")
    assert isinstance(table, ibis.Table)
    assert {name: str(kind) for name, kind in table.schema().items()} == {
        "impression_id": "int64",
        "split": "string",
        "click": "int8",
        "purchase": "int8",
        "301": "int64",
        "101": "int64",
        "109_14": "array<int64>",
        "210": "array<int64>",
        "109_14_weights": "array<float32>",
        "210_weights": "array<float32>",
    }
    assert table.order_by("impression_id")["split"].to_pyarrow().to_pylist() == ["train"] * 3 + ["test"] * 2
    assert table.count().to_pyarrow().as_py() == 5
    assert catalog.get("raw_impressions").metadata == entry["metadata"]


def test_without_features_the_fields_are_those_of_the_paper(make):
    columns = make().load().columns
    assert columns == ("impression_id", "split", "click", "purchase", *SINGLE_VALUED)


def test_a_second_load_reads_the_same_file(make):
    dataset = make()
    assert not dataset.exists()
    dataset.load()
    assert dataset.exists()
    written = dataset.path.stat().st_mtime_ns
    assert make().load().count().to_pyarrow().as_py() == 5
    assert make(AliCCPReport).load()["rows"] == {"train": 3, "test": 2}
    assert dataset.path.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    "options", [{"features": {"categorical": ["101"]}}, {"features": {"lists": LISTS}}, {"max_unreadable": 0.5}]
)
def test_another_choice_is_read_anew_and_the_first_one_kept(make, options):
    first, other = make(), make(**options)
    first.load()
    assert not other.exists()
    other.load()
    assert first.exists()
    assert other.path != first.path


def test_changed_files_are_read_anew(make, folder):
    dataset = make()
    dataset.load()
    path = folder / "common_features_test.csv"
    path.write_bytes(user("u1", "101:9") + b"\n")
    assert not dataset.exists()
    rows = dataset.load().filter(ibis._["split"] == "test")
    assert rows["101"].to_pyarrow().to_pylist() == [9, 9]
    os.utime(path, ns=(1, 1))
    assert not dataset.exists()


def test_it_is_read_only(make):
    for kind in (AliCCP, AliCCPReport):
        with pytest.raises(DatasetError, match=f"{kind.__name__} is read-only"):
            make(kind).save("anything")


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        ({"categorical": ["101", "109_14"]}, "categorical names '109_14', which has several .*under features.lists"),
        ({"categorical": ["101"], "lists": ["205"]}, "lists names '205', which has one .*under features.categorical"),
        (
            {"categorical": ["city"]},
            "categorical names 'city', which is no field of Ali-CCP; one value .*101,",
        ),
        ({"lists": ["tags"]}, "features.lists names 'tags', which is no field of Ali-CCP; .*several have 109_14,"),
        ({"categorical": ["101"], "numeric": ["125"]}, "numeric names '125', but no field of Ali-CCP is a number"),
    ],
)
def test_features_that_are_no_fields_end_in_a_sentence(make, features, sentence):
    for kind in (AliCCP, AliCCPReport):
        with pytest.raises(InputError, match=sentence):
            make(kind, features=features)


def test_files_that_are_not_there_end_in_a_sentence(make, tmp_path):
    dataset = make(filepath=str(tmp_path / "nowhere"))
    assert not dataset.exists()
    assert dataset.preview() == {"index": [], "columns": [], "data": []}
    with pytest.raises(DatasetError, match=r"nowhere' has no common_features_train.csv"):
        dataset.load()
    report = make(AliCCPReport, filepath=str(tmp_path / "nowhere"))
    assert json.loads(report.preview()) == {}


def test_previews_never_read_the_files(make, tmp_path):
    dataset, report = make(), make(AliCCPReport)
    assert dataset.preview() == {"index": [], "columns": [], "data": []}
    assert json.loads(report.preview()) == {}
    assert not (tmp_path / "target").exists()
    dataset.load()
    preview = dataset.preview(nrows=2)
    assert preview["columns"][:3] == ["impression_id", "split", "click"]
    assert [row[:5] for row in preview["data"]] == [["1", "train", "1", "0", "1"], ["2", "train", "0", "0", "2"]]
    assert json.loads(report.preview())["rows"] == {"train": 3, "test": 2}


def test_the_report_accounts_for_every_line(folder, make):
    path = folder / "sample_skeleton_test.csv"
    path.write_bytes(path.read_bytes() + impression(3, user="nobody") + b"\nx\n")
    report = make(AliCCPReport, max_unreadable=0.5).load()
    assert report["source"] == "Ali-CCP"
    assert report["rows"] == {"train": 3, "test": 3}
    assert (report["unreadable_lines"], report["without_common_row"]) == (1, 1)
    assert list(report["files"]) == [
        "common_features_train.csv",
        "sample_skeleton_train.csv",
        "common_features_test.csv",
        "sample_skeleton_test.csv",
    ]
    assert make(max_unreadable=0.5).exists()


def test_of_long_lists_the_heaviest_values_are_kept(tmp_path, make):
    entries = [f"109_14:{number}:{number % 7}" for number in range(20)]
    write_folder(tmp_path / "files", common_features_train=[user("u1", *entries), user("u2", "109_14:1")])
    table = make(features={"lists": LISTS}, max_values=3).load().order_by("impression_id").limit(2)
    assert table["109_14"].to_pyarrow().to_pylist() == [[5, 6, 13], [1]]
    assert table["109_14_weights"].to_pyarrow().to_pylist() == [[5.0, 6.0, 6.0], [1.0]]


def test_a_damaged_file_ends_in_a_sentence(make):
    dataset = make()
    dataset.load()
    whole = dataset.path.read_bytes()
    dataset.path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DatasetError, match="is damaged; delete it"):
        dataset.load()


def test_a_description_names_folder_fields_and_engine(make, folder):
    description = str(make(features={"categorical": ["101"], "lists": ["210"]}))
    assert str(folder) in description
    assert "['101', '210']" in description
    assert "duckdb" in description


def test_parameters_of_a_run_reach_the_source(folder):
    catalog = load_config("ali_ccp", ali_ccp={"folder": str(folder), "max_values": 7, "max_unreadable": 0.25})
    for name, kind in (("raw_impressions", AliCCP), ("source_report", AliCCPReport)):
        dataset = catalog.get(name)
        assert type(dataset) is kind
        assert dataset._folder == folder
        assert dataset._options.max_values == 7
        assert dataset._options.max_unreadable == 0.25
        assert dataset._options.single == SINGLE_VALUED
        assert dataset._options.multi == ()
    assert str(catalog.get("raw_impressions")._target) == "data/02_intermediate/ali_ccp/source"


def test_features_of_a_run_reach_the_source(folder):
    features = {"categorical": ["205", "101"], "lists": LISTS}
    catalog = load_config("ali_ccp", features=features, ali_ccp={"folder": str(folder)})
    for name in ("raw_impressions", "source_report"):
        options = catalog.get(name)._options
        assert (options.single, options.multi) == (("205", "101"), ("109_14", "210"))
    with pytest.raises(DatasetError, match=r"features.categorical names 'city', which is no field of Ali-CCP"):
        load_config("ali_ccp", features={"categorical": ["city"]}).get("raw_impressions")


def test_two_entries_read_the_files_once(folder, tmp_path, make, monkeypatch):
    monkeypatch.chdir(tmp_path)
    catalog = load_config("ali_ccp", ali_ccp={"folder": str(folder)})
    assert catalog.load("source_report")["rows"] == {"train": 3, "test": 2}
    assert catalog.load("raw_impressions").count().to_pyarrow().as_py() == 5
    made = list((tmp_path / "data/02_intermediate/ali_ccp/source").glob("read-*/impressions.parquet"))
    assert [pq.read_metadata(path).num_rows for path in made] == [5]
