"""Files and folders that appear under their name only when they are complete and on the disk."""

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows: two runs that write the same file at the same time are then not kept apart
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)

_PART = ".part"


def ensure(path: Path, write: Callable[[Path], None]) -> Path:
    """Have ``path`` written unless it is there.

    Whoever needs something of the same folder at the same time waits; what killed runs left behind is removed.

    Args:
        path: file or folder wanted.
        write: creates it, complete, under the temporary name that it is given.

    Returns:
        ``path``, which is there now.

    Raises:
        OSError: it cannot be written.
    """
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path.parent):
        if not path.exists():
            _remove_leftovers(path.parent)
            _write(path, write)
    return path


def sweep(folder: Path) -> None:
    """Remove what killed runs left behind in a folder, unless somebody is writing there now."""
    if any(folder.glob(f".*{_PART}")):
        with contextlib.suppress(BlockingIOError), _alone(folder, wait=False):
            _remove_leftovers(folder)


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
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def reason_of(error: OSError) -> str:
    """Why something cannot be written, in the system's words; Arrow's end with "[errno 28] No space ..."."""
    return (error.strerror or str(error)).rpartition("] ")[2]


def _write(path: Path, write: Callable[[Path], None]) -> None:
    part = path.with_name(f".{path.name}{_PART}")
    try:
        write(part)
        flush(part)
        os.replace(part, path)
        flush_entry(path.parent)
    finally:
        remove(part)


@contextlib.contextmanager
def _alone(folder: Path, *, wait: bool = True) -> Iterator[None]:
    """One writer a folder at a time; the system takes the lock from a process that dies."""
    with (folder / ".writing").open("w") as lock:
        if fcntl is not None:
            fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def _remove_leftovers(folder: Path) -> None:
    for leftover in folder.glob(f".*{_PART}"):
        logger.info("removing %s, left behind by a run that did not end", leftover.name)
        remove(leftover)
