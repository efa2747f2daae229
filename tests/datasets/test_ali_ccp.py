"""The files of Ali-CCP as catalog entries."""

import json
import os

import ibis
import pyarrow.parquet as pq
import pytest
from kedro.framework.project import configure_project, settings
from kedro.io import DataCatalog, DatasetError
from tests.conftest import ROOT
from tests.sources.ali_ccp.files import impression, user, write_folder

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.datasets import AliCCP, AliCCPReport
from aitm_kedro.pipelines.ingestion.nodes import ingest_impressions
from aitm_kedro.sources.ali_ccp import SINGLE_VALUED, Fields
from aitm_kedro.tables.parameters import Ingestion, Split

CONNECTION = {"backend": "duckdb", "database": ":memory:", "threads": 2}
LISTS = [{"name": "109_14", "weights": "109_14_weights"}, {"name": "210"}]


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "files")


@pytest.fixture
def make(folder, tmp_path):
    """A dataset of either kind."""

    def create(kind=AliCCP, **options):
        given = {"filepath": str(folder), "path": str(tmp_path / "target")}
        given |= {"connection": CONNECTION} if kind is AliCCP else {}
        return kind(**given | options)

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
        "109_14_weights": "array<float32>",  # and none of 210, whose weights are not asked for
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
        (
            {"lists": ["109_14", {"name": "210", "weights": "109_14_weights"}]},
            "gives '210' the weights '109_14_weights', but Ali-CCP has them as '210_weights'",
        ),
        (
            {"lists": [{"name": "210", "weights": "210"}]},
            "gives '210' the weights '210', but Ali-CCP has them as '210_weights'",
        ),
    ],
)
def test_features_that_are_no_fields_end_in_a_sentence(make, features, sentence):
    for kind in (AliCCP, AliCCPReport):
        with pytest.raises(InputError, match=sentence):
            make(kind, features=features)


def test_features_that_are_no_fields_are_named_before_any_file_is_looked_for(make, tmp_path):
    features = {"lists": [{"name": "210", "weights": "w"}]}
    for kind in (AliCCP, AliCCPReport):
        with pytest.raises(InputError, match="gives '210' the weights 'w', but Ali-CCP has them as '210_weights'"):
            make(kind, features=features, filepath=str(tmp_path / "nowhere"))


def test_lists_without_weights_have_no_column_of_them(make):
    table = make(features={"lists": ["210", {"name": "109_14", "weights": "109_14_weights"}]}).load()
    assert table.columns[4:] == ("210", "109_14", "109_14_weights")
    assert make(features={"lists": ["210"]}).load().columns[4:] == ("210",)


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
        assert dataset._options.fields == Fields(single=SINGLE_VALUED, multi=(), weighted=())
    assert str(catalog.get("raw_impressions")._target) == "data/02_intermediate/ali_ccp/source"


def test_features_of_a_run_reach_the_source(folder):
    features = {"categorical": ["205", "101"], "lists": LISTS}
    catalog = load_config("ali_ccp", features=features, ali_ccp={"folder": str(folder)})
    for name in ("raw_impressions", "source_report"):
        fields = catalog.get(name)._options.fields
        assert fields == Fields(single=("205", "101"), multi=("109_14", "210"), weighted=("109_14",))
    with pytest.raises(DatasetError, match=r"features.categorical names 'city', which is no field of Ali-CCP"):
        load_config("ali_ccp", features={"categorical": ["city"]}).get("raw_impressions")


FUNNEL = Funnel(steps=("click", "purchase"), main_steps=("purchase",))


@pytest.fixture
def ingest(make, tmp_path):
    """The impressions and the report of the ingestion stage, of files with these impressions to train on."""

    def run(*lines):
        write_folder(tmp_path / "files", sample_skeleton_train=list(lines))
        features = {"categorical": ["205", "101"], "lists": LISTS}
        raw = make(features=features).load()
        split = Split(by="column", column="split")
        given = (FUNNEL, Features.model_validate(features), split, Ingestion())
        impressions, _, report = ingest_impressions(raw, {}, *given)
        return impressions.order_by("impression_id").to_pyarrow().to_pylist(), report.model_dump()

    return run


def test_sample_ids_that_come_twice_are_counted(ingest):
    line = impression(1, "205:11", "210:5", labels="1,0")
    rows, report = ingest(
        *[line, line, line],
        impression(2, "205:12", labels="1,1"),
        *[impression(3, "205:14"), impression(3, "205:13"), impression(3, "205:13")],
        *[impression(4, "205:15", "210:7"), impression(4, "205:15", "210:8")],
        *[impression(5, "205:16", user="u1"), impression(5, "205:16", user="u2")],
    )
    assert report["rows_aside"] == {"exact_duplicates": 3, "other_duplicates": 3, "immature": 0}
    assert (report["rows_in"], report["rows_out"]) == (11 + 2, 5 + 2)  # 2 to test on
    assert [row["impression_id"] for row in rows] == [1, 2, 3, 4, 5, 10**12 + 1, 10**12 + 2]
    assert [(row["205"], row["101"], row["210"]) for row in rows[:5]] == [
        (11, 1, [5]),
        (12, 1, []),
        (13, 1, []),  # of rows that differ, the one with the smaller values
        (15, 1, [7]),
        (16, 1, []),
    ]


@pytest.mark.parametrize("other", ["1,0", "0,1", "1,1"])
def test_sample_ids_with_contradicting_labels_end_in_a_sentence(ingest, other):
    with pytest.raises(InputError, match=r"'impression_id' has 1 value in several rows with different .* 2;"):
        ingest(impression(1, "205:11"), impression(2, "205:11"), impression(2, "205:11", labels=other))


def test_the_same_sample_id_in_both_splits_is_no_duplicate(ingest):
    rows, report = ingest(impression(1, "205:11", labels="1,1"))  # 1 of test says 0,0
    assert sum(report["rows_aside"].values()) == 0
    assert [row["impression_id"] for row in rows] == [1, 10**12 + 1, 10**12 + 2]


def test_without_its_parquet_file_a_source_is_read_again(make):
    dataset = make()
    expected = dataset.load().order_by("impression_id").to_pyarrow()
    dataset.path.unlink()
    assert not dataset.exists()
    assert dataset.load().order_by("impression_id").to_pyarrow().equals(expected)
    assert make(AliCCPReport).load()["rows"] == {"train": 3, "test": 2}


def test_the_report_reads_what_is_there(make):
    report = make(AliCCPReport)
    assert not report.exists()
    made = report.load()
    assert report.exists()
    assert made["unreadable_lines_in"] == str(make().path.with_name("unreadable.parquet"))
    with pytest.raises(DatasetError, match="AliCCPReport is read-only"):
        report.save({})
    with pytest.raises(TypeError, match="connection"):
        make(AliCCPReport, connection=CONNECTION)


def test_two_entries_read_the_files_once(folder, tmp_path, make, monkeypatch):
    monkeypatch.chdir(tmp_path)
    catalog = load_config("ali_ccp", ali_ccp={"folder": str(folder)})
    assert catalog.load("source_report")["rows"] == {"train": 3, "test": 2}
    assert catalog.load("raw_impressions").count().to_pyarrow().as_py() == 5
    made = list((tmp_path / "data/02_intermediate/ali_ccp/source").glob("read-*/impressions.parquet"))
    assert [pq.read_metadata(path).num_rows for path in made] == [5]
