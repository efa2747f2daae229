"""Every dataset of the project: what is saved is loaded, versions are kept, and a save is whole or not there."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pytest
from kedro.io import DatasetError, Version
from matplotlib.figure import Figure as MatplotlibFigure

from aitm_kedro.datasets import (
    CSV,
    JSON,
    ArrowTable,
    BoosterTexts,
    Figure,
    Frame,
    OptionalCSV,
    OptionalFrame,
    OptionalJSON,
    SafetensorsWeights,
    Table,
    Text,
)
from aitm_kedro.learning.weights import Boosters, Weights


def frame(rows=3):
    return pd.DataFrame({"impression_id": range(rows), "click": [0.5] * rows})


def figure():
    picture = MatplotlibFigure()
    picture.subplots().plot([0, 1])
    return picture


def weights(rows=3):
    return Weights(tensors={"w": np.arange(rows, dtype=np.float32)}, metadata={"model": "aitm"})


def boosters():
    return Boosters(texts={"click": "tree\n", "add to cart / 50 %": "tree\nof another step"}, metadata={"model": "m"})


MAKERS = {
    "json": (JSON, lambda: {"auc": 0.75}),
    "csv": (CSV, frame),
    "txt": (Text, lambda: "| model |"),
    "png": (Figure, figure),
    "parquet": (Frame, frame),
    "ibis": (Table, lambda: ibis.memtable(frame())),
    "safetensors": (SafetensorsWeights, weights),
    "boosters": (BoosterTexts, boosters),
}


@pytest.fixture(params=MAKERS)
def case(request, tmp_path):
    kind, make = MAKERS[request.param]
    path = str(tmp_path / f"data.{request.param}")
    options = {"save_args": {"index": False}} if kind is CSV else {}
    return lambda save=None, load=None: kind(filepath=path, version=Version(load, save), **options), make


def test_the_latest_whole_version_is_in_force(case):
    dataset, make = case
    dataset("2024-01-01T00.00.00.000Z").save(make())
    dataset("2024-01-02T00.00.00.000Z").save(make())
    assert dataset().resolve_load_version() == "2024-01-02T00.00.00.000Z"
    assert dataset().exists()


def test_a_failed_save_leaves_no_trace(case, monkeypatch):
    dataset, make = case
    dataset("2024-01-01T00.00.00.000Z").save(make())

    def refuse(*_):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "replace", refuse)
    broken = dataset("2024-01-02T00.00.00.000Z")
    with pytest.raises(DatasetError, match="disk is full"):
        broken.save(make())
    monkeypatch.undo()
    assert dataset().resolve_load_version() == "2024-01-01T00.00.00.000Z"
    folder = Path(broken._filepath)
    assert [path.name for path in folder.iterdir()] == ["2024-01-01T00.00.00.000Z"]
    broken.save(make())  # with room again, the same version can be written


def test_leftovers_of_dead_processes_are_removed_and_those_of_living_ones_are_not(tmp_path):
    path = tmp_path / "report.json"
    dead, alive = tmp_path / ".report.json.999999999.tmp", tmp_path / f".report.json.{os.getppid()}.tmp"
    dead.write_text("{")
    alive.write_text("{")
    JSON(filepath=str(path)).save({})
    assert not dead.exists()
    assert alive.exists()


def write_with_little_room(kind, tmp_path, megabytes=1):
    """Save about 16 MB in a process that may write ``megabytes``, as on a disk that fills up in mid-save."""
    code = f"""
        import resource, signal, sys
        import ibis, numpy as np, pandas as pd
        from kedro.io import DatasetError, Version
        from aitm_kedro import datasets
        from aitm_kedro.learning.weights import Boosters, Weights

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({megabytes} << 20, resource.RLIM_INFINITY))
        numbers = np.random.default_rng(0).random(2_000_000)
        data = {{
            "Frame": pd.DataFrame({{"x": numbers}}), "CSV": pd.DataFrame({{"x": numbers}}),
            "JSON": numbers.tolist(), "Text": "x" * 16_000_000, "Table": ibis.memtable({{"x": numbers}}),
            "SafetensorsWeights": Weights(tensors={{"w": numbers}}),
            "BoosterTexts": Boosters(texts={{"click": "x" * 100, "buy": "x" * 16_000_000}}),
        }}["{kind}"]
        version = Version(None, "2024-01-02T00.00.00.000Z")
        dataset = getattr(datasets, "{kind}")(filepath="{tmp_path}/data", version=version)
        try:
            dataset.save(data)
        except DatasetError as error:
            sys.exit(str(error))
    """
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("kind", ["Frame", "CSV", "JSON", "Text", "Table", "SafetensorsWeights", "BoosterTexts"])
def test_a_disk_that_fills_up_in_mid_save(kind, tmp_path):
    result = write_with_little_room(kind, tmp_path)
    assert result.returncode == 1
    assert "The disk is full" in result.stderr
    assert "stays in force" in result.stderr
    assert not list(tmp_path.glob("data/*/*"))


def test_frame_weights_and_json_come_back_as_they_went(tmp_path):
    Frame(filepath=str(tmp_path / "a.parquet")).save(frame())
    pd.testing.assert_frame_equal(Frame(filepath=str(tmp_path / "a.parquet")).load(), frame())
    store = SafetensorsWeights(filepath=str(tmp_path / "w.safetensors"))
    store.save(weights())
    assert store.load().metadata == {"model": "aitm"}
    np.testing.assert_array_equal(store.load().tensors["w"], weights().tensors["w"])


def test_trees_are_one_text_file_a_step_and_come_back_as_they_went(tmp_path):
    store = BoosterTexts(filepath=str(tmp_path / "boosters"))
    store.save(boosters())
    assert (tmp_path / "boosters/click.txt").read_text() == "tree\n"
    store.save(boosters())  # once more: the old folder makes room
    assert store.load() == boosters()
    assert [path.name for path in tmp_path.iterdir()] == ["boosters"]
    (tmp_path / "boosters/metadata.json").write_text("{")
    with pytest.raises(DatasetError, match=r"The trees in .* cannot be read"):
        store.load()


@pytest.mark.parametrize(("kind", "options"), [(OptionalCSV, {"save_args": {"index": False}}), (OptionalFrame, {})])
def test_an_optional_table_is_none_until_it_is_saved(kind, options, tmp_path):
    def dataset(save=None):
        return kind(filepath=str(tmp_path / "data"), version=Version(None, save), **options)

    assert dataset().load() is None
    dataset("2024-01-01T00.00.00.000Z").save(frame())
    pd.testing.assert_frame_equal(dataset().load(), frame())


def test_an_optional_dictionary_is_empty_until_it_is_saved(tmp_path):
    dataset = OptionalJSON(filepath=str(tmp_path / "source_report.json"))
    assert dataset.load() == {}
    dataset.save({"unreadable": 3})
    assert dataset.load() == {"unreadable": 3}


def test_a_table_has_an_ibis_and_an_arrow_face(tmp_path):
    path = str(tmp_path / "t.parquet")
    Table(filepath=path).save(ibis.memtable(frame(5)))
    assert Table(filepath=path).load().count().execute() == 5
    arrow = ArrowTable(filepath=path)
    assert arrow.load().count_rows() == 5
    assert arrow.exists()
    with pytest.raises(DatasetError, match="only loads"):
        arrow.save(frame())


def test_previews_read_the_first_rows_as_text(tmp_path):
    path = str(tmp_path / "t.parquet")
    rows = pd.DataFrame({"bank": ["north", None], "seen": pd.to_datetime(["2024-01-01", "2024-01-02"])})
    Table(filepath=path).save(ibis.memtable(rows))
    expected = {"index": [0], "columns": ["bank", "seen"], "data": [["north", "2024-01-01 00:00:00"]]}
    for face in (Table, Frame, ArrowTable):
        assert face(filepath=path).preview(nrows=1) == expected
    rows.to_csv(tmp_path / "t.csv", index=False)
    preview = Table(filepath=str(tmp_path / "t.csv"), file_format="csv").preview(nrows=5)
    assert [row[0] for row in preview["data"]] == ["north", ""]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "There is no file"), (b"PAR1 not really", "cannot be read as parquet"), (b"", "cannot be read as parquet")],
)
def test_missing_and_broken_tables_are_said_in_a_sentence(tmp_path, content, sentence):
    path = tmp_path / "raw.parquet"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=sentence):
        Table(filepath=str(path)).load()


def test_a_truncated_table_is_said_in_a_sentence(tmp_path):
    path = tmp_path / "raw.parquet"
    frame(1000).to_parquet(path)
    path.write_bytes(path.read_bytes()[:-20])
    for face in (Table, ArrowTable):
        with pytest.raises(DatasetError, match="cannot be read as"):
            face(filepath=str(path)).load()


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"\xff" * 16 + b[16:], lambda b: b""])
def test_corrupted_weights_are_said_in_a_sentence(tmp_path, damage):
    path = tmp_path / "w.safetensors"
    store = SafetensorsWeights(filepath=str(path))
    store.save(weights(1000))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DatasetError, match="cannot be read"):
        store.load()


def test_a_killed_save_is_never_the_latest_version(tmp_path):
    """SIGKILL while the file is being flushed: the temporary file is left, the version before stays in force."""
    dataset = JSON(filepath=str(tmp_path / "r.json"), version=Version(None, "2024-01-01T00.00.00.000Z"))
    dataset.save({"run": 1})
    code = f"""
        import os, signal
        from kedro.io import Version
        from aitm_kedro.datasets import JSON, atomic
        atomic.flush = lambda path: os.kill(os.getpid(), signal.SIGKILL)
        JSON(filepath="{tmp_path}/r.json", version=Version(None, "2024-01-02T00.00.00.000Z")).save({{"run": 2}})
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert result.returncode == -signal.SIGKILL
    latest = JSON(filepath=str(tmp_path / "r.json"), version=Version(None, None))
    assert latest.load() == {"run": 1}
    JSON(filepath=str(tmp_path / "r.json"), version=Version(None, "2024-01-03T00.00.00.000Z")).save({"run": 3})
    assert sorted(path.name[:10] for path in (tmp_path / "r.json").iterdir()) == ["2024-01-01", "2024-01-03"]
