"""Tables in many Parquet files: folders, patterns, partitions; and what lies between them."""

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError
from kedro_datasets.ibis import FileDataset

from aitm_kedro.datasets import Table

CONNECTION = {"backend": "duckdb", "database": ":memory:"}


@pytest.fixture
def write(tmp_path: Path):
    def write_part(name: str, **columns) -> None:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)

    return write_part


@pytest.fixture
def load(tmp_path: Path):
    def load_rows(name: str, **load_args) -> list:
        table = Table(filepath=str(tmp_path / name), connection=CONNECTION, load_args=load_args or None).load()
        return sorted(table.to_pyarrow().to_pylist(), key=str)

    return load_rows


def test_a_folder_is_one_table_without_what_is_hidden(write, load, tmp_path):
    write("log/part-1.parquet", a=[1])
    write("log/more/part-2.parquet", a=[2])
    for name in (
        "_SUCCESS",
        "_metadata",
        ".part-1.parquet.crc",
        "readme.txt",
        "_temporary/0.parquet",
        ".old/0.parquet",
    ):
        (tmp_path / "log" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "log" / name).write_bytes(b"")
    assert load("log") == [{"a": 1}, {"a": 2}]
    assert load("log/*.parquet") == [{"a": 1}]
    write("log/_attempt/0/part-3.parquet", a=[3])
    assert load("log/**/part-*.parquet") == [{"a": 1}, {"a": 2}]
    assert load("log/_attempt/*/part-*.parquet") == [{"a": 3}]  # which the pattern names


def test_a_partition_is_a_column(write, load):
    write("log/day=2026-09-01/country=de/part.parquet", a=[1])
    write("log/day=2026-09-02/country=__HIVE_DEFAULT_PARTITION__/part.parquet", a=[2])
    rows = [(row["a"], str(row["day"]), row["country"]) for row in load("log")]
    assert rows == [(1, "2026-09-01", "de"), (2, "2026-09-02", None)]
    assert [row["day"] for row in load("log", hive_types_autocast=False)] == ["2026-09-01", "2026-09-02"]
    assert "day" not in load("log", hive_partitioning=False)[0]


def test_one_partition_is_a_column_as_well(write, load):
    write("log/day=2026-09-01/part.parquet", a=[1])
    assert str(load("log")[0]["day"]) == "2026-09-01"


def test_columns_are_matched_by_name_and_what_is_missing_is_null_with_a_warning(write, load, caplog):
    write("log/1.parquet", a=[1], b=["x"])
    write("log/2.parquet", b=["y"], a=[2.5])
    write("log/3.parquet", a=[3])
    with caplog.at_level(logging.WARNING):
        assert load("log") == [{"a": 1.0, "b": "x"}, {"a": 2.5, "b": "y"}, {"a": 3.0, "b": None}]
    (record,) = caplog.records
    assert "Column 'b' is missing from 1 of 3 files" in record.getMessage()
    assert "3.parquet" in record.getMessage()


def test_numbers_in_one_part_and_text_in_another_are_read_as_text_with_a_warning(write, load, caplog):
    write("log/1.parquet", a=[1])
    write("log/2.parquet", a=["x"])
    with caplog.at_level(logging.WARNING):
        assert load("log") == [{"a": "1"}, {"a": "x"}]
    assert "Column 'a' is text in" in caplog.text


@pytest.mark.parametrize("content", [b"", b"no parquet", b"PAR1" + bytes(50)])
def test_a_part_that_is_no_parquet_is_named(write, load, tmp_path, content):
    write("log/1.parquet", a=[1])
    (tmp_path / "log/2.parquet").write_bytes(content)
    with pytest.raises(DatasetError, match=r"log/2\.parquet' cannot be read"):
        load("log")


def test_a_folder_without_parquet_ends_in_a_sentence(load, tmp_path):
    (tmp_path / "log").mkdir()
    (tmp_path / "log/_SUCCESS").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"log' holds no parquet file \(\.parquet, .*correct 'filepath'"):
        load("log")


def test_a_pattern_without_a_match_and_a_misspelt_name_end_in_sentences(write, load):
    write("shop.parquet", a=[1])
    with pytest.raises(DatasetError, match=r"No file matches '.*nothing-.*'"):
        load("nothing-*.parquet")
    with pytest.raises(DatasetError, match=r"There is no file '.*shpo\.parquet' \(did you mean 'shop\.parquet'\?\)"):
        load("shpo.parquet")


def test_an_unknown_option_ends_in_a_sentence(write, load):
    write("log/1.parquet", a=[1])
    with pytest.raises(
        DatasetError, match="'union_by_nam', which DuckDB's read_parquet has not; did you mean 'union_by_name'"
    ):
        load("log", union_by_nam=True)


def test_a_pattern_exists_if_something_matches(write, tmp_path):
    write("log/1.parquet", a=[1])
    assert Table(filepath=str(tmp_path / "log/*.parquet"), connection=CONNECTION).exists()
    assert not Table(filepath=str(tmp_path / "log/*.csv"), connection=CONNECTION).exists()


def test_a_folder_has_a_preview_with_its_partitions(write, tmp_path):
    write("log/day=2026-09-01/1.parquet", a=[1])
    preview = Table(filepath=str(tmp_path / "log"), connection=CONNECTION).preview()
    assert (preview["columns"], preview["data"]) == (["a", "day"], [["1", "2026-09-01"]])


def test_the_dataset_of_kedro_reads_folders_too_if_all_parts_are_alike(write, tmp_path):
    write("log/day=2026-09-01/1.parquet", a=[1])
    write("log/day=2026-09-02/1.parquet", a=[2])
    table = FileDataset(filepath=str(tmp_path / "log"), connection=CONNECTION).load()
    assert sorted(table.to_pyarrow()["a"].to_pylist()) == [1, 2]
    assert "day" in table.columns
