"""Tables handed on as they were loaded are second names of the same file; streams are written batch by batch."""

from pathlib import Path

import ibis
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError, Version

from aitm_kedro.datasets import ParquetStream, Table
from aitm_kedro.datasets.sources import MadeOnce
from aitm_kedro.datasets.tables import ROWS_A_GROUP, row_groups

CONNECTION = {"backend": "duckdb", "database": ":memory:"}
FIRST = "2024-01-01T00.00.00.000Z"


class Squares(MadeOnce):
    """A source in a few rows."""

    def __init__(self, *, filepath: str, metadata=None) -> None:
        self._path = Path(filepath)
        self._use(CONNECTION)

    @property
    def path(self) -> Path:
        return self._path

    def _make(self) -> None:
        if not self.path.exists():
            pd.DataFrame({"impression_id": range(9), "square": [n * n for n in range(9)]}).to_parquet(self.path)

    def _describe(self):
        return {"filepath": str(self._path)}


@pytest.fixture
def make(tmp_path: Path):
    def table(name: str, **options) -> Table:
        return Table(filepath=str(tmp_path / name), connection=CONNECTION, version=Version(None, FIRST), **options)

    return table


def file_of(dataset: Table) -> Path:
    return Path(str(dataset._get_load_path()))


@pytest.fixture
def saved(make) -> Table:
    dataset = make("impressions.parquet")
    dataset.save(ibis.memtable(pd.DataFrame({"impression_id": range(100), "click": [0, 1] * 50})))
    return dataset


def same_file(one: Table, other: Table) -> bool:
    return file_of(one).stat().st_ino == file_of(other).stat().st_ino


def test_an_unchanged_table_is_a_second_name(saved, make):
    target, third = make("legal.parquet"), make("train.parquet")
    target.save(saved.load())
    third.save(target.load())
    assert same_file(saved, target)
    assert same_file(saved, third)
    assert not list(file_of(target).parent.glob(".*"))
    file_of(saved).unlink()
    assert target.load().count().execute() == 100


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table.filter(table["click"] == 1),
        lambda table: table.select("click", "impression_id"),
        lambda table: table.mutate(click=table["click"] + 1),
        lambda table: table.limit(10),
    ],
)
def test_a_changed_table_is_computed(saved, make, change):
    table = saved.load()
    target = make("legal.parquet")
    target.save(change(table))
    assert not same_file(saved, target)
    pd.testing.assert_frame_equal(target.load().to_pandas(), change(table).to_pandas())


def test_another_format_is_written(saved, make):
    target = make("legal.csv", file_format="csv")
    target.save(saved.load())
    assert not same_file(saved, target)
    assert file_of(target).read_text().startswith("impression_id")


def test_a_file_system_without_second_names_gets_a_copy(saved, make, monkeypatch):
    def refuse(*_):
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr("aitm_kedro.datasets.tables.os.link", refuse)
    target = make("legal.parquet")
    target.save(saved.load())
    assert not same_file(saved, target)
    assert target.load().count().execute() == 100


def test_a_table_of_ones_own_is_copied_for_it_may_be_written_over(tmp_path, make):
    path = tmp_path / "mine.parquet"
    pd.DataFrame({"impression_id": range(5)}).to_parquet(path)
    target = make("impressions.parquet")
    target.save(Table(filepath=str(path), connection=CONNECTION).load())
    pd.DataFrame({"impression_id": range(7)}).to_parquet(path)
    assert target.load().count().execute() == 5


def rows_of(dataset: Table) -> int:
    return int(dataset.load().count().execute())


def test_an_unversioned_target_is_never_a_second_name(saved, tmp_path):
    """It may be written over, in place too, and that must not reach the version."""
    target = Table(filepath=str(tmp_path / "mine.parquet"), connection=CONNECTION)
    target.save(saved.load())
    path = tmp_path / "mine.parquet"
    assert path.stat().st_nlink == file_of(saved).stat().st_nlink == 1
    with path.open("r+b") as file:
        file.write(b"over")
    assert rows_of(saved) == 100


def test_a_source_that_is_made_once_is_copied_into_an_unversioned_target(tmp_path):
    source = Squares(filepath=str(tmp_path / "squares.parquet"))
    target = Table(filepath=str(tmp_path / "mine.parquet"), connection=CONNECTION)
    target.save(source.load())
    assert source.path.stat().st_nlink == 1
    assert rows_of(target) == 9


def test_a_table_loaded_with_arguments_is_not_its_file(tmp_path, make):
    """What they make of the file may be other columns, or other rows."""
    dataset = make("impressions.parquet", load_args={"union_by_name": True, "filename": True})
    dataset.save(ibis.memtable(pd.DataFrame({"impression_id": range(5)})))
    target = make("legal.parquet")
    target.save(dataset.load())
    assert not same_file(dataset, target)
    assert "filename" in target.load().columns


def test_a_table_of_the_same_name_read_from_elsewhere_is_not_the_file_before(tmp_path, make):
    """The engine knows both by one name, so that their expressions are equal."""
    versioned = make("impressions.parquet", table_name="impressions")
    versioned.save(ibis.memtable(pd.DataFrame({"impression_id": range(5)})))
    before = versioned.load()
    path = tmp_path / "mine.parquet"
    pd.DataFrame({"impression_id": range(7)}).to_parquet(path)
    options = {"filepath": str(path), "connection": CONNECTION, "table_name": "impressions"}
    for load_args in (None, {"hive_partitioning": False}):
        versioned.load()
        table = Table(**options, load_args=load_args).load()
        assert table.op() == before.op()
        target = make(f"legal{bool(load_args)}.parquet")
        target.save(table)
        assert not same_file(versioned, target)
        assert rows_of(target) == 7


def test_a_source_that_is_made_once_is_a_second_name(tmp_path, make):
    source = Squares(filepath=str(tmp_path / "squares.parquet"))
    target = make("impressions.parquet")
    target.save(source.load())
    assert source.path.stat().st_ino == file_of(target).stat().st_ino


SCHEMA = pa.schema({"user": pa.int64(), "score": pa.float32()})


def batch_of(start: int, rows: int) -> pa.RecordBatch:
    users = range(start, start + rows)
    return pa.RecordBatch.from_arrays(
        [pa.array(users, pa.int64()), pa.array([0.5] * rows, pa.float32())], schema=SCHEMA
    )


@pytest.mark.parametrize("sizes", [[], [0], [1], [10], [11, 0, 3], [25], [3, 4, 5, 6, 7], [1] * 31])
def test_batches_of_any_size_become_groups_of_one_size(sizes):
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    groups = list(row_groups(map(batch_of, starts, sizes), rows=10))
    assert [group.num_rows for group in groups[:-1]] == [10] * (len(groups) - 1)
    assert all(0 < group.num_rows <= 10 for group in groups)
    assert [user for group in groups for user in group["user"].to_pylist()] == list(range(sum(sizes)))


def test_a_stream_is_written_in_row_groups_and_loaded_as_a_dataset(tmp_path):
    dataset = ParquetStream(filepath=str(tmp_path / "scores.parquet"), version=Version(None, FIRST))
    batches = [batch_of(start, 100_000) for start in range(0, 600_000, 100_000)]
    dataset.save(pa.RecordBatchReader.from_batches(SCHEMA, iter(batches)))
    loaded = dataset.load()
    assert loaded.schema == SCHEMA
    assert loaded.to_table()["user"].to_pylist() == list(range(600_000))
    metadata = pq.read_metadata(tmp_path / "scores.parquet" / FIRST / "scores.parquet")
    groups = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    assert groups == [ROWS_A_GROUP, ROWS_A_GROUP, 600_000 - 2 * ROWS_A_GROUP]
    assert dataset.preview(nrows=1) == {"index": [0], "columns": ["user", "score"], "data": [["0", "0.5"]]}


class Stream:
    """What has a schema, and gives batches that are gone once they are written."""

    def __init__(self, batches: int):
        self.schema, self.batches = SCHEMA, batches

    def __iter__(self):
        for number in range(self.batches):
            yield batch_of(number, 1000)
            assert pa.total_allocated_bytes() < 50_000_000


def test_memory_of_a_stream_is_bounded_whatever_its_length(tmp_path):
    dataset = ParquetStream(filepath=str(tmp_path / "scores.parquet"))
    dataset.save(Stream(5000))
    assert dataset.load().count_rows() == 5_000_000


def test_an_empty_stream_has_its_columns(tmp_path):
    dataset = ParquetStream(filepath=str(tmp_path / "scores.parquet"))
    dataset.save(Stream(0))
    assert dataset.load().schema == SCHEMA
    assert dataset.load().count_rows() == 0
    assert dataset.preview()["data"] == []


def test_a_stream_that_breaks_off_leaves_what_was_there(tmp_path):
    dataset = ParquetStream(filepath=str(tmp_path / "scores.parquet"))
    dataset.save(Stream(1))

    def broken():
        yield batch_of(0, 300_000)
        raise RuntimeError("no more users")

    with pytest.raises(DatasetError, match="no more users"):
        dataset.save(pa.RecordBatchReader.from_batches(SCHEMA, broken()))
    assert dataset.load().count_rows() == 1000
    assert [path.name for path in tmp_path.iterdir()] == ["scores.parquet"]


@pytest.mark.parametrize("data", [[1, 2], "text", pd.DataFrame({"user": [1]})])
def test_what_is_no_stream_is_refused(tmp_path, data):
    with pytest.raises(DatasetError, match=rf"stream of record batches .* returned {type(data).__name__}\."):
        ParquetStream(filepath=str(tmp_path / "scores.parquet")).save(data)
