"""Every dataset of the project: what is saved is loaded, versions are kept, and a save is whole or not there."""

import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import ibis
import pandas as pd
import pyarrow as pa
import pytest
from kedro.io import DatasetError, Version
from matplotlib.figure import Figure as MatplotlibFigure

from aitm_kedro.core.provenance import Provenance
from aitm_kedro.datasets import (
    CSV,
    JSON,
    ArrowTable,
    Figure,
    Frame,
    ModelFolder,
    OptionalFrame,
    OptionalJSON,
    ParquetStream,
    Table,
    Text,
    TypedJSON,
)


def frame(rows=3):
    return pd.DataFrame({"impression_id": range(rows), "click": [0.5] * rows})


def figure():
    picture = MatplotlibFigure()
    picture.subplots().plot([0, 1])
    return picture


def batches(rows=3):
    table = pa.Table.from_pandas(frame(rows), preserve_index=False)
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches())


class Model:
    """A model that is one text in a folder."""

    def __init__(self, text="trees"):
        self.text = text

    def save(self, folder):
        folder.mkdir()
        (folder / "model.txt").write_text(self.text)


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    """A module with a loader of models, as the catalog would name it."""
    module = ModuleType("fakes")
    module.load = lambda folder: Model((folder / "model.txt").read_text())
    monkeypatch.setitem(sys.modules, "fakes", module)
    return module


PROVENANCE = "aitm_kedro.core.provenance.Provenance"
MAKERS = {
    "json": (JSON, lambda: {"auc": 0.75}, {}),
    "csv": (CSV, frame, {"save_args": {"index": False}}),
    "txt": (Text, lambda: "| model |", {}),
    "png": (Figure, figure, {}),
    "parquet": (Frame, frame, {}),
    "ibis": (Table, lambda: ibis.memtable(frame()), {}),
    "typed": (TypedJSON, lambda: Provenance(made=datetime(2024, 1, 1, tzinfo=UTC)), {"schema": PROVENANCE}),
    "stream": (ParquetStream, batches, {}),
    "folder": (ModelFolder, Model, {"loader": "fakes.load"}),
}


@pytest.fixture(params=MAKERS)
def case(request, tmp_path):
    kind, make, options = MAKERS[request.param]
    path = str(tmp_path / f"data.{request.param}")
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


def test_what_a_killed_save_left_is_removed_from_every_version(case):
    dataset, make = case
    folder = Path(dataset()._filepath)
    for version in ("2023-01-01", "2023-01-02"):
        left = folder / version / f".{folder.name}.part"
        left.parent.mkdir(parents=True)
        left.write_text("half")
        left.with_suffix(".writing").touch()
    with (folder / f"2023-01-02/.{folder.name}.writing").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # as the process does that writes there
        dataset("2024-01-01T00.00.00.000Z").save(make())
    assert sorted(path.name for path in folder.iterdir()) == ["2023-01-02", "2024-01-01T00.00.00.000Z"]
    assert (folder / f"2023-01-02/.{folder.name}.part").exists()


def test_a_file_that_somebody_else_writes_is_waited_for(tmp_path):
    path = tmp_path / "report.json"
    part, lock = tmp_path / ".report.json.part", tmp_path / ".report.json.writing"
    part.write_text("{")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        thread = threading.Thread(target=JSON(filepath=str(path)).save, args=({},))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        assert part.read_text() == "{"
    thread.join()
    assert [file.name for file in tmp_path.iterdir()] == ["report.json"]


def write_with_little_room(kind, tmp_path, megabytes=1):
    """Save about 16 MB in a process that may write ``megabytes``, as on a disk that fills up in mid-save."""
    code = f"""
        import resource, signal, sys
        import ibis, numpy as np, pandas as pd
        from kedro.io import DatasetError, Version
        import datetime, pyarrow as pa
        from aitm_kedro import datasets
        from aitm_kedro.core.provenance import Provenance

        class Model:
            def save(self, folder):
                folder.mkdir()
                (folder / "small").write_text("x")
                (folder / "large").write_text("x" * 16_000_000)

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, ({megabytes} << 20, resource.RLIM_INFINITY))
        numbers = np.random.default_rng(0).random(2_000_000)
        data = {{
            "Frame": pd.DataFrame({{"x": numbers}}), "CSV": pd.DataFrame({{"x": numbers}}),
            "JSON": numbers.tolist(), "Text": "x" * 16_000_000, "Table": ibis.memtable({{"x": numbers}}),
            "ParquetStream": pa.table({{"x": numbers}}).to_reader(), "ModelFolder": Model(),
            "TypedJSON": Provenance(data={{"train": "x" * 16_000_000}}, made=datetime.datetime.now()),
        }}["{kind}"]
        options = {{
            "TypedJSON": {{"schema": "aitm_kedro.core.provenance.Provenance"}}, "ModelFolder": {{"loader": "none"}},
        }}.get("{kind}", {{}})
        version = Version(None, "2024-01-02T00.00.00.000Z")
        dataset = getattr(datasets, "{kind}")(filepath="{tmp_path}/data", version=version, **options)
        try:
            dataset.save(data)
        except DatasetError as error:
            sys.exit(str(error))
    """
    return subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("kind", ["Frame", "CSV", "JSON", "Text", "Table", "TypedJSON", "ParquetStream", "ModelFolder"])
def test_a_disk_that_fills_up_in_mid_save(kind, tmp_path):
    result = write_with_little_room(kind, tmp_path)
    assert result.returncode == 1
    assert "The disk is full" in result.stderr
    assert "stays in force" in result.stderr
    assert not list(tmp_path.glob("data/*/*"))


def test_a_frame_comes_back_as_it_went(tmp_path):
    Frame(filepath=str(tmp_path / "a.parquet")).save(frame())
    pd.testing.assert_frame_equal(Frame(filepath=str(tmp_path / "a.parquet")).load(), frame())


def test_an_optional_table_is_none_until_it_is_saved(tmp_path):
    def dataset(save=None):
        return OptionalFrame(filepath=str(tmp_path / "data"), version=Version(None, save))

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


def test_previews_of_what_was_never_saved_have_no_rows(tmp_path):
    for face in (Table, Frame, ArrowTable):
        for version in (None, Version(None, None)):
            dataset = face(filepath=str(tmp_path / "t.parquet"), version=version)
            assert dataset.preview(nrows=1) == {"index": [], "columns": [], "data": []}


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


def test_a_killed_save_is_never_the_latest_version(tmp_path):
    """SIGKILL while the file is being flushed: the temporary file is left, the version before stays in force."""
    dataset = JSON(filepath=str(tmp_path / "r.json"), version=Version(None, "2024-01-01T00.00.00.000Z"))
    dataset.save({"run": 1})
    code = f"""
        import os, signal
        from kedro.io import Version
        from aitm_kedro.core import storage
        from aitm_kedro.datasets import JSON
        storage.flush = lambda path: os.kill(os.getpid(), signal.SIGKILL)
        JSON(filepath="{tmp_path}/r.json", version=Version(None, "2024-01-02T00.00.00.000Z")).save({{"run": 2}})
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert result.returncode == -signal.SIGKILL
    latest = JSON(filepath=str(tmp_path / "r.json"), version=Version(None, None))
    assert latest.load() == {"run": 1}
    JSON(filepath=str(tmp_path / "r.json"), version=Version(None, "2024-01-03T00.00.00.000Z")).save({"run": 3})
    assert sorted(path.name[:10] for path in (tmp_path / "r.json").iterdir()) == ["2024-01-01", "2024-01-03"]
