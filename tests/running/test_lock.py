"""One run at a time in the data of an environment, and nothing to clean up after a process that died."""

import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest
from filelock import FileLock

from aitm_kedro.core.errors import InputError
from aitm_kedro.running import lock
from aitm_kedro.running.lock import HOLDER, LOCK, command_line, sole_run


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock until it is killed."""
    code = f"""
        import sys, time
        from pathlib import Path
        from aitm_kedro.running.lock import sole_run
        sys.argv = ["/bin/kedro", "run", "--pipeline=full"]
        with sole_run(Path("{tmp_path}"), environment="test"):
            time.sleep(60)
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)])
    deadline = time.monotonic() + 30
    while not (tmp_path / HOLDER).exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    yield process
    process.kill()
    process.wait()


def test_a_second_run_is_told_who_runs_since_when_and_what_to_do(tmp_path, holder):
    told = json.loads((tmp_path / HOLDER).read_text())
    with pytest.raises(InputError) as refused, sole_run(tmp_path, environment="test"):
        raise AssertionError
    sentence = str(refused.value)
    assert sentence.startswith(f"Process {holder.pid} on the machine '{told['machine']}', since ")
    for part in ("'kedro run --pipeline=full'", "environment 'test'", "Wait", "--env"):
        assert part in sentence
    assert json.loads((tmp_path / HOLDER).read_text()) == told


def test_the_lock_of_a_killed_process_is_taken_over(tmp_path, holder):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert names_in(tmp_path) == [HOLDER, LOCK]
    with sole_run(tmp_path, environment="test"):
        assert json.loads((tmp_path / HOLDER).read_text())["process"] == os.getpid()
    assert names_in(tmp_path) == [LOCK]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_the_lock_is_given_back_when_a_run_fails(tmp_path, error):
    for _ in range(2):
        with pytest.raises(error), sole_run(tmp_path / "made", environment="test"):
            raise error
    assert names_in(tmp_path / "made") == [LOCK]


def test_two_environments_run_at_the_same_time(tmp_path):
    with sole_run(tmp_path / "base", environment="base"), sole_run(tmp_path / "test", environment="test"):
        assert (tmp_path / "base" / HOLDER).exists()
        assert (tmp_path / "test" / HOLDER).exists()


def test_a_holder_that_has_not_written_its_name_yet_is_another_process(tmp_path):
    with FileLock(tmp_path / LOCK):
        (tmp_path / HOLDER).write_text('{"process":')
        with pytest.raises(InputError, match=r"^Another process is writing"), sole_run(tmp_path, environment="test"):
            raise AssertionError


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, None], ids=["no locks", "no system call", "remote"])
def test_without_locks_a_run_warns_and_goes_on(tmp_path, monkeypatch, caplog, number):
    def refuse(*_):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(lock.FileLock, "acquire", refuse)
    with sole_run(tmp_path if number else None, environment="test"):
        pass
    assert "there are no locks" in caplog.text


def test_a_lock_that_cannot_be_made_ends_in_a_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    folder, sentence = tmp_path / "file" / "folder", "cannot be locked for this run: Not a directory"
    with pytest.raises(InputError, match=sentence), sole_run(folder, environment="test"):
        raise AssertionError


@pytest.mark.parametrize(
    ("argv", "typed"),
    [
        (["/x/.venv/bin/kedro", "run"], "kedro run"),
        (["/x/aitm_kedro/__main__.py", "--env=test"], "aitm_kedro --env=test"),
        (["python -m kedro", "run"], "python -m kedro run"),
    ],
)
def test_a_command_is_shown_as_it_is_typed(monkeypatch, argv, typed):
    monkeypatch.setattr(sys, "argv", argv)
    assert command_line() == typed
