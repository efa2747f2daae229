"""Delta tables as sources."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import ibis
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from kedro.io import DatasetError

from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets import DeltaTable, Table

CONNECTION = {"backend": "duckdb", "database": ":memory:"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A table with two versions."""
    path = tmp_path / "my log"
    write_deltalake(path, pa.table({"id": [1, 2], "day": ["a", "b c"]}), partition_by=["day"])
    write_deltalake(path, pa.table({"id": [3], "day": ["a"]}), mode="append")
    return path


def ids(folder: Path, **options) -> list[int]:
    return sorted(DeltaTable(filepath=str(folder), **options).load().to_pyarrow()["id"].to_pylist())


def log(folder: Path, version: int, *entries) -> None:
    path = folder / f"_delta_log/{version:020}.json"
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))


def test_a_table_is_lazy_and_joins_with_others(folder, tmp_path):
    table = DeltaTable(filepath=str(folder), connection=CONNECTION).load()
    counts = table.group_by("day").agg(rows=table.count())
    target = Table(filepath=str(tmp_path / "counts.parquet"), connection=CONNECTION)
    target.save(table.join(counts, "day").order_by("id"))
    assert target.load().to_pyarrow().to_pylist() == [
        {"id": 1, "day": "a", "rows": 2},
        {"id": 2, "day": "b c", "rows": 1},
        {"id": 3, "day": "a", "rows": 2},
    ]


def test_versions_and_times_are_chosen(folder):
    assert ids(folder) == [1, 2, 3]
    assert ids(folder, table_version=0) == [1, 2]
    now = datetime.now(UTC)
    assert ids(folder, as_of=(now + timedelta(hours=1)).isoformat()) == [1, 2, 3]
    assert ids(folder, as_of=now + timedelta(hours=1)) == [1, 2, 3]
    with pytest.raises(DatasetError, match="is younger than 'as_of'"):
        ids(folder, as_of="2020-01-01")


def test_what_is_written_during_a_run_is_not_seen_by_it(folder):
    table = DeltaTable(filepath=str(folder)).load()
    write_deltalake(folder, pa.table({"id": [4], "day": ["a"]}), mode="overwrite")
    assert sorted(table.to_pyarrow()["id"].to_pylist()) == [1, 2, 3]
    assert ids(folder) == [4]


def test_columns_that_came_later_are_null_before(folder):
    write_deltalake(folder, pa.table({"id": [4], "day": ["d"], "price": [1.5]}), mode="append", schema_mode="merge")
    table = DeltaTable(filepath=str(folder)).load().order_by("id").to_pyarrow()
    assert table["price"].to_pylist() == [None, None, None, 1.5]


@pytest.mark.parametrize(
    ("options", "said"),
    [({"table_version": 9}, r"has no version 9 \(the newest is 1"), ({"table_version": -1}, "has no version -1")],
)
def test_a_version_that_is_not_there_ends_in_a_sentence(folder, options, said):
    with pytest.raises(DatasetError, match=said):
        ids(folder, **options)


def test_an_entry_that_cannot_be_ends_in_a_sentence(folder):
    with pytest.raises(InputError, match="'table_version' and 'as_of' in the catalog; keep one"):
        DeltaTable(filepath=str(folder), table_version=1, as_of="2026-01-01")
    with pytest.raises(InputError, match="'as_of: yesterday' in the catalog, which is no time; write it as in 2026-"):
        DeltaTable(filepath=str(folder), as_of="yesterday")


def test_a_folder_that_is_no_delta_table_ends_in_a_sentence(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(DatasetError, match=r"is no Delta table: .* or use aitm_kedro\.datasets\.Table"):
            ids(path)
        assert not DeltaTable(filepath=str(path)).exists()


@pytest.mark.parametrize("feature", ["deletionVectors", "madeUpTomorrow"])
def test_a_feature_that_cannot_be_read_ends_in_a_sentence(folder, feature):
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7, "readerFeatures": [feature], "writerFeatures": [feature]}
    log(folder, 2, {"protocol": protocol})
    with pytest.raises(DatasetError, match=f"cannot be read: .*{feature}.*for deletion vectors: REORG TABLE"):
        ids(folder)


def test_a_damaged_log_and_a_file_that_is_gone_end_in_sentences(folder):
    next(folder.glob("day=b*/*.parquet")).unlink()
    with pytest.raises(DatasetError, match="lacks 1 of its files, such as 'day=b"):
        ids(folder)
    (folder / "_delta_log/00000000000000000001.json").write_text("garbage{")
    with pytest.raises(DatasetError, match="cannot be read: ") as caught:
        ids(folder)
    assert len(str(caught.value).splitlines()) == 2  # Kedro's line about the dataset, and ours


def test_without_deltalake_a_sentence_says_how_to_install_it(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "deltalake", None)
    with pytest.raises(DatasetError, match=r'pip install -e "\.\[delta\]"'):
        ids(folder)


def test_the_preview_shows_the_first_rows_and_nothing_is_saved(folder):
    dataset = DeltaTable(filepath=str(folder), table_version=0)
    assert dataset.exists()
    assert dataset.preview(nrows=1)["columns"] == ["id", "day"]
    assert len(dataset.preview(nrows=1)["data"]) == 1
    with pytest.raises(DatasetError, match="read-only"):
        dataset.save(ibis.memtable({"id": [1]}))
