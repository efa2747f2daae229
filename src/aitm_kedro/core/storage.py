"""Atomic writes: files and folders that appear under their name only when they are complete and on the disk.

Everything is written under a temporary name beside its own, flushed, and renamed. A lock file stands beside it for as
long, and the system takes the lock from a process that dies: what lies there without a lock is a leftover.
"""

import contextlib
import errno
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows: two runs that write the same file at the same time are then not kept apart
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_PART, _REPLACED, _LOCK = ".part", ".replaced", ".writing"
"""What follows the name of a target: while it is written, once it has made room, and while it is locked."""

NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""Errors of file systems that have no locks, as some network drives; there it is as on Windows."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DiskFullError(OSError):
    """The disk or the quota is full, or the file is too large for the file system."""


def ensure(path: Path, write: Callable[[Path], None]) -> Path:
    """Have ``path`` written unless it is there.

    Whoever needs the same path at the same time waits; what killed runs left in its folder is removed.

    Args:
        path: file or folder wanted.
        write: creates it, complete, under the temporary name that it is given.

    Returns:
        ``path``, which is there now.

    Raises:
        DiskFullError: there is no room.
        OSError: it cannot be written.
    """
    if not path.exists():
        sweep(path.parent)
        with _locked(path):
            if not path.exists():
                with _renamed(path) as part:
                    write(part)
    return path


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Write ``path`` in a ``with`` block: it is there, or takes the place of what was there, when the block ends.

    Whoever writes the same path at the same time waits. If the block raises, nothing is left behind, and what was there
    stays.

    Args:
        path: file or folder.

    Yields:
        The temporary name under which the block creates it.

    Raises:
        DiskFullError: there is no room, whatever exception a library made of that.
    """
    with _locked(path), _renamed(path) as part:
        yield part


def sweep(folder: Path) -> None:
    """Remove what killed runs left behind in a folder, except where somebody is writing now."""
    for target in _unfinished(folder):
        with contextlib.suppress(BlockingIOError), _locked(target, wait=False):
            _remove_temporaries(target)


def sweep_versions(folder: Path) -> None:
    """Sweep a folder and every folder inside, and remove those in which nothing is left."""
    sweep(folder)
    for version in folder.glob("[!.]*"):
        sweep(version)
        remove_if_empty(version)


def flush(path: Path) -> None:
    """Wait until a file, or a folder with all that is in it, is on the disk."""
    if path.is_dir():
        for inside in path.iterdir():
            flush(inside)
    flush_entry(path)


def flush_entry(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    if path.is_dir() and os.name == "nt":  # which has no handles of folders
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Delete a file or a folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def discard(path: Path) -> None:
    """Delete a file or a folder at once: a process that dies meanwhile leaves no half of it under its name."""
    with _locked(path):
        part = _beside(path, _PART)
        os.replace(path, part)
        remove(part)


def remove_if_empty(folder: Path) -> None:
    """Delete a folder in which nothing is; anything else stays."""
    with contextlib.suppress(OSError):
        folder.rmdir()


def reason_of(error: OSError) -> str:
    """Why something cannot be written, in the system's words; Arrow's end with "[errno 28] No space ..."."""
    return (error.strerror or str(error)).rpartition("] ")[2]


@contextlib.contextmanager
def _renamed(path: Path) -> Iterator[Path]:
    """Rename what the block writes; for whoever holds the lock of ``path``."""
    _remove_temporaries(path)
    part = _beside(path, _PART)
    try:
        yield part
        flush(part)
        _rename(part, path)
        flush_entry(path.parent)
    except Exception as error:
        number = _full_disk(error)
        if number is not None:
            raise DiskFullError(number, os.strerror(number), str(path)) from error
        raise
    finally:
        remove(part)


def _rename(part: Path, path: Path) -> None:
    """Give a file or folder its name; an old folder steps aside first, since no folder can take another one's place."""
    if not path.is_dir():
        os.replace(part, path)
        return
    aside = _beside(path, _REPLACED)
    os.replace(path, aside)
    try:
        os.replace(part, path)
    except OSError:
        os.replace(aside, path)
        raise
    shutil.rmtree(aside)


def _full_disk(error: BaseException) -> int | None:
    """Number of the error if it says that there is no room, be it in the words of a library that wrapped it."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return error.errno
    text = str(error)  # of DuckDB, Arrow, safetensors
    return next((number for number in _FULL if os.strerror(number) in text), None)


@contextlib.contextmanager
def _locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """One writer of a path at a time; BlockingIOError if there is another one and nobody waits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = None if fcntl is None else _acquire(_beside(path, _LOCK), wait=wait)
    try:
        yield
    finally:
        if lock is not None:
            # While it is held: whoever waits for this file will see that its name is gone, and begin anew.
            _beside(path, _LOCK).unlink(missing_ok=True)
            lock.close()


def _acquire(name: Path, *, wait: bool) -> IO[bytes]:
    """The lock file of this name, open and locked."""
    while True:
        try:
            lock = name.open("wb")
        except FileNotFoundError:  # the folder was empty, and somebody has tidied it away
            name.parent.mkdir(parents=True, exist_ok=True)
            continue
        try:
            _flock(lock, wait=wait)
            if _is_named(lock, name):
                return lock
        except BaseException:
            lock.close()
            raise
        lock.close()


def _flock(lock: IO[bytes], *, wait: bool) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise


def _is_named(file: IO[bytes], name: Path) -> bool:
    """Whether an open file still has its name; the holder before may have removed it."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), name.stat())
    except FileNotFoundError:
        return False


def _unfinished(folder: Path) -> set[Path]:
    """The paths in a folder that somebody writes, or wrote when the process died."""
    try:
        names = [Path(name) for name in os.listdir(folder) if name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return set()
    return {folder / name.stem[1:] for name in names if name.suffix in (_PART, _REPLACED, _LOCK)}


def _remove_temporaries(path: Path) -> None:
    for leftover in (_beside(path, _PART), _beside(path, _REPLACED)):
        if leftover.exists():
            logger.info("removing %s, left behind by a run that did not end", leftover.name)
            remove(leftover)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}{suffix}")
