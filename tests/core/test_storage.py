"""Files and folders appear whole or not at all, whoever else writes them, and whatever ends the process."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from aitm_kedro.core import storage
from aitm_kedro.core.storage import (
    DiskFullError,
    discard,
    ensure,
    reason_of,
    remove,
    replacing,
    sweep,
    sweep_versions,
)


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def write_text(text):
    return lambda part: part.write_text(text) and None


def write_folder(part: Path):
    part.mkdir()
    (part / "inside").write_text("whole")


class Held:
    """A lock that another process would hold while it writes a path."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.file = path.with_name(f".{path.name}.writing").open("wb")
        fcntl.flock(self.file, fcntl.LOCK_EX)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


@pytest.mark.parametrize("write", [write_text("whole"), write_folder], ids=["file", "folder"])
def test_what_is_there_is_not_written_again(tmp_path, write):
    path = tmp_path / "made" / "data"
    assert ensure(path, write) == path
    assert ensure(path, None) == path
    assert names_in(path.parent) == ["data"]


def test_what_was_there_is_replaced(tmp_path):
    path = tmp_path / "data"
    for text in ("first", "second"):
        with replacing(path) as part:
            part.write_text(text)
        assert path.read_text() == text
    for text in ("third", "fourth"):
        path = tmp_path / "folder"
        with replacing(path) as part:
            part.mkdir()
            (part / text).write_text(text)
        assert names_in(path) == [text]
    assert names_in(tmp_path) == ["data", "folder"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_raises_leaves_what_was_there(tmp_path, error):
    path = tmp_path / "data"
    path.write_text("first")

    def write_half():
        with replacing(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert path.read_text() == "first"
    assert names_in(tmp_path) == ["data"]


def test_an_old_folder_comes_back_if_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    path = tmp_path / "folder"
    ensure(path, write_folder)
    rename = os.replace

    def refuse(source, target):
        if Path(source).name.endswith(".part"):
            raise OSError(errno.EIO, "broken")
        rename(source, target)

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="broken"), replacing(path) as part:
        part.mkdir()
    assert (path / "inside").read_text() == "whole"
    assert names_in(tmp_path) == ["folder"]


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "no room"),
        OSError(errno.EDQUOT, "no room"),
        RuntimeError(f"IO Error: could not write: {os.strerror(errno.ENOSPC)}"),
    ],
)
def test_a_full_disk_has_an_exception_of_its_own_whatever_the_library_made_of_it(tmp_path, error):
    with pytest.raises(DiskFullError) as full, replacing(tmp_path / "data"):
        raise error
    assert full.value.__cause__ is error
    assert reason_of(full.value) in (os.strerror(errno.ENOSPC), os.strerror(errno.EDQUOT))
    assert full.value.filename == str(tmp_path / "data")


def test_another_error_is_handed_on(tmp_path):
    with pytest.raises(PermissionError), replacing(tmp_path / "data"):
        raise PermissionError(errno.EACCES, "no")


def test_one_writes_and_the_others_wait(tmp_path):
    """Many threads that want the same file: it is written once, and nobody sees half of it."""
    path, written, start = tmp_path / "data", [], threading.Barrier(8)

    def write(part):
        written.append(part)
        part.write_text("whole")

    def want(_):
        start.wait()
        return ensure(path, write).read_text()

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(want, range(8))) == ["whole"] * 8
    assert len(written) == 1
    assert names_in(tmp_path) == ["data"]


def test_writers_of_the_same_path_never_meet(tmp_path):
    """The lock file is removed each time, and made anew by whoever comes next."""
    inside, most = [], []

    def write(number):
        for _ in range(25):
            with replacing(tmp_path / "data") as part:
                inside.append(number)
                most.append(len(inside))
                part.write_text(str(number))
                inside.remove(number)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, range(6)))
    assert max(most) == 1
    assert names_in(tmp_path) == ["data"]


def test_another_path_in_the_same_folder_does_not_wait(tmp_path):
    with replacing(tmp_path / "one") as one:
        one.write_text("1")
        ensure(tmp_path / "two", write_text("2"))
        assert one.exists()
    assert names_in(tmp_path) == ["one", "two"]


def test_a_lock_whose_file_was_removed_meanwhile_does_not_count(tmp_path, monkeypatch):
    """Who waited for a lock holds the file of the writer before, which has no name any more: another may have it."""
    path, flock, names = tmp_path / "data", storage._flock, []

    def removed_meanwhile(lock, *, wait):
        flock(lock, wait=wait)
        names.append(os.fstat(lock.fileno()).st_ino)
        if len(names) == 1:
            Path(lock.name).unlink()

    monkeypatch.setattr(storage, "_flock", removed_meanwhile)
    ensure(path, write_text("whole"))
    assert len(names) == 2


def test_a_folder_that_was_removed_meanwhile_is_made_again(tmp_path, monkeypatch):
    path, beside = tmp_path / "version" / "data", storage._beside

    def tidied_away(target, suffix):
        if suffix == ".writing" and not removed and target.parent.exists():
            removed.append(target.parent.rmdir())
        return beside(target, suffix)

    removed = []
    monkeypatch.setattr(storage, "_beside", tidied_away)
    assert ensure(path, write_text("whole")).read_text() == "whole"
    assert removed


def test_leftovers_are_removed_and_what_somebody_writes_is_not(tmp_path):
    for name in (".dead.part", ".dead.replaced", ".killed.writing", ".living.part", ".note", "data.part"):
        (tmp_path / name).write_text("half")
    with Held(tmp_path / "living"):
        sweep(tmp_path)
    assert names_in(tmp_path) == [".living.part", ".living.writing", ".note", "data.part"]
    sweep(tmp_path)
    assert names_in(tmp_path) == [".note", "data.part"]
    sweep(tmp_path / "nowhere")
    sweep_versions(tmp_path / "nowhere")


def test_versions_in_which_nothing_is_left_are_removed(tmp_path):
    for version in ("killed", "half", "whole"):
        (tmp_path / version).mkdir()
    write_folder(tmp_path / "half" / ".data.part")
    (tmp_path / "whole" / "data").write_text("whole")
    (tmp_path / ".old.part").mkdir()
    with Held(tmp_path / "living" / "data"):
        sweep_versions(tmp_path)
    assert names_in(tmp_path) == ["living", "whole"]


@pytest.mark.parametrize("system", ["no module", "no locks here"])
def test_without_locks_files_are_written_all_the_same(tmp_path, monkeypatch, system):
    if system == "no module":
        monkeypatch.setattr(storage, "fcntl", None)
    else:
        monkeypatch.setattr(fcntl, "flock", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOLCK, "no locks")))
    assert ensure(tmp_path / "new" / "data", write_text("whole")).read_text() == "whole"
    assert names_in(tmp_path / "new") == ["data"]


def test_a_folder_is_discarded_at_once(tmp_path, monkeypatch):
    path = tmp_path / "version"
    write_folder(path)
    monkeypatch.setattr(storage, "remove", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        discard(path)
    monkeypatch.undo()
    assert names_in(tmp_path) == [".version.part"]
    sweep(tmp_path)
    assert names_in(tmp_path) == []


def test_a_link_is_removed_and_what_it_points_to_is_not(tmp_path):
    write_folder(tmp_path / "folder")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    remove(tmp_path / "link")
    remove(tmp_path / "nothing")
    assert names_in(tmp_path) == ["folder"]


def test_a_killed_process_leaves_nothing_that_counts(tmp_path):
    code = f"""
        import os, signal
        from pathlib import Path
        from aitm_kedro.core.storage import replacing
        with replacing(Path("{tmp_path}/data")) as part:
            part.write_text("half")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    result = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert result.returncode == -signal.SIGKILL
    assert names_in(tmp_path) == [".data.part", ".data.writing"]
    assert ensure(tmp_path / "data", write_text("whole")).read_text() == "whole"
    assert names_in(tmp_path) == ["data"]
