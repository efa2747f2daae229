"""The file: the same bytes however it is drawn, and all of it or none."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.parallel import in_order
from aitm_kedro.sources.simulation import Log, Settings, ensure_log, file_name, writer

SMALL = Settings.of(impressions=20_000, chunk_rows=2048)

ENDLESS = """
import sys
from pathlib import Path
from aitm_kedro.sources.simulation import Settings, ensure_log
ensure_log(Path(sys.argv[1]), Settings.of(impressions=500_000_000))
"""


@pytest.fixture
def big_run(tmp_path):
    """A process that is in the middle of writing a log far too large to end."""
    process = subprocess.Popen([sys.executable, "-c", ENDLESS, str(tmp_path)])
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size > 0 for part in tmp_path.glob(".*.part")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


def test_bytes_do_not_depend_on_the_number_of_workers(tmp_path):
    files = [ensure_log(tmp_path / str(workers), SMALL, workers=workers) for workers in (1, 2, 5)]
    assert len({file.read_bytes() for file in files}) == 1


def test_all_rows_arrive_in_order(tmp_path):
    table = pq.read_table(ensure_log(tmp_path, SMALL))
    log = Log.of(SMALL)
    assert log.chunks > 10
    assert table.num_rows == sum(log.chunk(number).num_rows for number in range(log.chunks))
    assert table["impression_id"].to_numpy().max() == log.rows - 1


def test_nothing_but_the_log_is_left(tmp_path):
    path = ensure_log(tmp_path, SMALL)
    assert {file.name for file in tmp_path.iterdir()} == {path.name}


def test_a_file_that_is_there_is_not_written_again(tmp_path, monkeypatch):
    path = ensure_log(tmp_path, SMALL)
    monkeypatch.setattr(writer, "_write", None)
    assert ensure_log(tmp_path, SMALL) == path


def test_a_killed_run_leaves_nothing_that_counts(tmp_path, big_run):
    os.kill(big_run.pid, signal.SIGKILL)
    big_run.wait()
    assert not list(tmp_path.glob("impressions-*"))
    assert list(tmp_path.glob(".*.part"))
    path = ensure_log(tmp_path, SMALL)
    assert not list(tmp_path.glob(".*.part"))
    assert path.read_bytes() == ensure_log(tmp_path / "undisturbed", SMALL).read_bytes()


def test_a_full_disk_ends_in_a_sentence_and_leaves_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    ensure_log(tmp_path / "elsewhere", SMALL)  # the story is worked out before the limit
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # Python ignores SIGXFSZ: the write fails
    try:
        with pytest.raises(InputError, match=r"cannot be written to .*impressions-20000.*; make room"):
            ensure_log(tmp_path / "full", SMALL)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "full").iterdir())


def test_a_folder_that_is_a_file_ends_in_a_sentence(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(InputError, match="cannot be written"):
        ensure_log(tmp_path / "data", SMALL)


def test_a_worker_that_fails_ends_the_run(tmp_path, monkeypatch):
    def fail(self: Log, number: int) -> None:
        raise RuntimeError(f"chunk {number}")

    monkeypatch.setattr(Log, "chunk", fail)
    with pytest.raises(RuntimeError, match="chunk 0"):
        ensure_log(tmp_path, SMALL)
    assert not (tmp_path / file_name(SMALL)).exists()


def test_memory_is_bounded(tmp_path):
    """Waiting chunks never exceed the workers by more than a few."""
    drawn: list[int] = []

    class Counting(Log):
        def chunk(self, number: int):
            drawn.append(number)
            return super().chunk(number)

    base = Log.of(SMALL)
    log = Counting(settings=base.settings, world=base.world, truth=base.truth)
    for taken, _ in enumerate(in_order(log.chunk, range(log.chunks), workers=2), start=1):
        time.sleep(0.01)
        assert len(drawn) <= taken + 2 + 3
    assert sorted(drawn) == list(range(log.chunks))


def test_progress_is_told(tmp_path, caplog):
    with caplog.at_level("INFO", logger="aitm_kedro"):
        ensure_log(Path(tmp_path), SMALL)
    assert "rows/s" in caplog.text
    assert "simulating" in caplog.text
