"""Encoded examples laid out beside their Parquet file, once."""

import fcntl
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DatasetError, Version

from aitm_kedro.core.example_store import LAYOUT
from aitm_kedro.datasets import ExampleArrays, ExampleFingerprints

VERSION = "2024-01-01T00.00.00.000Z"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A version of train_examples."""
    path = tmp_path / "train_examples.parquet" / VERSION / "train_examples.parquet"
    path.parent.mkdir(parents=True)
    columns = {
        "impression_id": pa.array(range(1000)),
        "click": pa.array(np.arange(1000) % 2, pa.int8()),
        "city": pa.array(np.random.default_rng(0).permutation(1000), pa.int32()),
        "tags": pa.array([[row, row + 1] for row in range(1000)], pa.list_(pa.int32())),
    }
    pq.write_table(pa.table(columns), path, row_group_size=100)
    return path


@pytest.fixture
def dataset(file: Path) -> ExampleArrays:
    return ExampleArrays(filepath=str(file.parents[1]), version=Version(None, None))


def arrays_of(file: Path) -> Path:
    """Folder of the arrays of a file as it is now."""
    found = file.stat()
    return file.with_name(f"{file.stem}-{LAYOUT}-{found.st_size}-{found.st_mtime_ns}.arrays")


def test_the_first_load_lays_out_and_later_ones_do_not(dataset: ExampleArrays, file: Path) -> None:
    first = dataset.load()
    arrays = arrays_of(file)
    moments = {path.name: path.stat().st_mtime_ns for path in (arrays, *arrays.iterdir())}
    again = dataset.load()
    assert {path.name: path.stat().st_mtime_ns for path in (arrays, *arrays.iterdir())} == moments
    assert first.fingerprint() == again.fingerprint()
    assert isinstance(again.ids, np.memmap)
    np.testing.assert_array_equal(again.ids[:, 0], pq.read_table(file)["city"])
    assert again.lists["tags"].values[:4].tolist() == [0, 1, 1, 2]


def test_what_a_killed_run_left_is_removed(dataset: ExampleArrays, file: Path) -> None:
    left = file.parent / f".{arrays_of(file).name}.part"
    left.mkdir()
    (left / "ids.npy").write_bytes(b"half")
    assert len(dataset.load()) == 1000
    assert not left.exists()
    assert {path.name for path in file.parent.iterdir()} == {arrays_of(file).name, "train_examples.parquet"}


def test_what_a_killed_run_left_in_another_version_is_removed_unless_somebody_writes_there(
    dataset: ExampleArrays, file: Path
) -> None:
    left, living = (
        file.parents[1] / version / f".{arrays_of(file).name}.part" for version in ("2023-01-01", "2023-01-02")
    )
    for folder in (left, living):
        folder.mkdir(parents=True)
    with living.with_suffix(".writing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        dataset.load()
    assert not left.exists()
    assert living.exists()


@pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda b: b[:100] + b"\xff" * 500 + b[600:], lambda b: b""])
def test_a_damaged_file_is_said_in_a_sentence_and_leaves_nothing(dataset: ExampleArrays, file: Path, damage) -> None:
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(DatasetError, match=r"train_examples.parquet' cannot be (read as Parquet|laid out as arrays)"):
        dataset.load()
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(
    dataset: ExampleArrays, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("aitm_kedro.datasets.examples.write_arrays", refuse)
    with pytest.raises(DatasetError, match=r"cannot be laid out as arrays beside it: .*No space left"):
        dataset.load()


def test_a_file_that_was_written_over_is_laid_out_again(tmp_path: Path) -> None:
    path = tmp_path / "mine.parquet"
    dataset = ExampleArrays(filepath=str(path))
    for first in (0, 5, 9):
        columns = {
            "impression_id": pa.array(range(100 + first)),
            "click": pa.array([0, 1] * 50 + [0] * first, pa.int8()),
            "city": pa.array(np.arange(100 + first) + first, pa.int32()),
        }
        pq.write_table(pa.table(columns), path)
        for _ in range(2):
            examples = dataset.load()
            assert len(examples) == 100 + first
            assert examples.ids[0, 0] == first


def test_a_file_of_the_same_size_that_was_written_over_is_laid_out_again(file: Path) -> None:
    dataset, sizes = ExampleArrays(filepath=str(file)), set()
    table = pq.read_table(file)
    for city in (table["city"].to_numpy(), table["city"].to_numpy()[::-1]):
        changed = table.set_column(2, "city", pa.array(city))
        pq.write_table(changed, file, compression="none", use_dictionary=False)
        sizes.add(file.stat().st_size)
        np.testing.assert_array_equal(dataset.load().ids[:, 0], city)
    assert len(sizes) == 1


@pytest.mark.parametrize("kept", [0, 40, 0.5, -4, -1, None])
@pytest.mark.parametrize("part", ["labels.npy", "ids.npy", "list0_offsets.npy", "list0_values", "meta.json"])
def test_damaged_arrays_are_said_in_a_sentence_and_laid_out_again_once_they_are_deleted(
    dataset: ExampleArrays, file: Path, part: str, kept: float | None
) -> None:
    expected = dataset.load().fingerprint()
    damaged = arrays_of(file) / part
    if kept is None:
        damaged.unlink()
    else:
        whole = damaged.read_bytes()
        damaged.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    sentence = rf"The arrays in '{re.escape(str(arrays_of(file)))}' are damaged; delete the folder, and the next run"
    for _ in range(2):
        with pytest.raises(DatasetError, match=sentence):
            dataset.load()
    shutil.rmtree(arrays_of(file))
    assert dataset.load().fingerprint() == expected


def test_fingerprints_are_read_without_the_arrays(dataset: ExampleArrays, file: Path) -> None:
    fingerprints = ExampleFingerprints(filepath=str(file.parents[1]), version=Version(None, None))
    found = fingerprints.load()  # lays the arrays out, as nobody has yet
    assert found == dataset.load().stored
    assert found == (dataset.load().take(np.arange(1000)).fingerprint(), dataset.load().fingerprint_of_rows(), None)
    (arrays_of(file) / "ids.npy").unlink()
    assert fingerprints.load() == found
    shutil.rmtree(file.parents[1])
    assert ExampleFingerprints(filepath=str(file.parents[1]), version=Version(None, None)).load() is None


def test_it_only_loads(dataset: ExampleArrays) -> None:
    with pytest.raises(DatasetError, match="only loads"):
        dataset.save(dataset.load())
    assert dataset.exists()
    assert dataset.preview(nrows=1)["columns"] == ["impression_id", "click", "city", "tags"]
