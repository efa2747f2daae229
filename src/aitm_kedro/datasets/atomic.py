"""Saves that are whole or not there: the mixin under every dataset of the catalog."""

import contextlib
import errno
import os
import shutil
from pathlib import Path
from typing import Any

from kedro.io import DatasetError

from aitm_kedro.core.storage import flush, flush_entry, remove

FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Atomic:
    """Write beside the target, flush to disk, then rename.

    Kedro takes the newest version whose file exists. A file that appears only when it is complete can never be half
    read: a run that is killed, or a disk that fills up, leaves the previous version in force. Put this class before
    a Kedro dataset that writes one local file or folder: ``class JSON(Atomic, JSONDataset)``. A remote object store
    publishes whole objects by itself, so there the save of the library is used as it is.
    """

    # Not a Kedro dataset itself: Kedro wraps the constructor of each of its subclasses, which would hide the one of
    # the class that this is mixed into.
    _temporary: Path | None = None
    _version: Any

    def _get_save_path(self) -> Any:
        path = super()._get_save_path()  # type: ignore[misc]
        return path if self._temporary is None else type(path)(self._temporary)

    def save(self, data: Any) -> None:
        """Save ``data`` under a temporary name, then move it to its own.

        Raises:
            DatasetError: if the file cannot be written; nothing is left behind then.
        """
        if not self._is_local():
            self._write(data)
            return
        target = Path(self._get_save_path())
        _remove_leftovers(target, versioned=bool(self._version))
        self._temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._write(data)
            flush(self._temporary)
            _replace(self._temporary, target)
            flush_entry(target.parent)
        except BaseException as error:
            _remove(self._temporary, versioned=bool(self._version))
            if _is_full_disk(error):
                raise DatasetError(
                    f"The disk is full, or the file too large for it: '{target}' was not saved, the version before "
                    f"stays in force. Make room and run again. ({error})"
                ) from error
            raise
        finally:
            self._temporary = None

    def _write(self, data: Any) -> None:
        """Save as the library does."""
        super().save.__wrapped__(self, data)  # type: ignore[misc]

    def _is_local(self) -> bool:
        return getattr(self, "_protocol", "file") == "file" and not getattr(self, "_fs_prefix", "")


def _is_full_disk(error: BaseException) -> bool:
    """Whether an OSError says so, or the text of a library (DuckDB, Arrow, safetensors) that wrapped one."""
    if isinstance(error, OSError) and error.errno in FULL_DISK:
        return True
    return any(os.strerror(number) in str(error) for number in FULL_DISK)


def _replace(temporary: Path, target: Path) -> None:
    """Give a file or folder its name; an old folder steps aside first, since no folder can take another one's place."""
    if not target.is_dir():
        os.replace(temporary, target)
        return
    aside = target.with_name(f".{target.name}.old.{os.getpid()}.tmp")
    os.replace(target, aside)
    os.replace(temporary, target)
    shutil.rmtree(aside)


def _remove(temporary: Path, *, versioned: bool) -> None:
    remove(temporary)
    if versioned:
        with contextlib.suppress(OSError):  # not empty, or never made
            temporary.parent.rmdir()


def _remove_leftovers(target: Path, *, versioned: bool) -> None:
    """Delete temporary files of this dataset that were left by processes that are no more."""
    folder, pattern = target.parent, f".{target.name}.*.tmp"
    for path in folder.parent.glob(f"*/{pattern}") if versioned else folder.glob(pattern):
        if not _is_running(path.name.split(".")[-2]):
            _remove(path, versioned=versioned)


def _is_running(process: str) -> bool:
    try:
        os.kill(int(process), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        return True
    return True
