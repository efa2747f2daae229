"""Saves that are whole or not there: the mixin under every dataset of the catalog."""

from pathlib import Path
from typing import Any

from kedro.io import DatasetError

from aitm_kedro.core.storage import DiskFullError, remove_if_empty, replacing, sweep_versions


class Atomic:
    """Save under a temporary name, flush to disk, then rename (:mod:`aitm_kedro.core.storage`).

    Kedro takes the newest version whose file exists. A file that appears only when it is complete can never be half
    read: a run that is killed, or a disk that fills up, leaves the previous version in force. Put this class before
    a Kedro dataset that writes one local file or folder: ``class JSON(Atomic, JSONDataset)``; a dataset that has no
    ``save`` of its own creates what ``_get_save_path()`` names in ``_write``. A remote object store publishes whole
    objects by itself, so there the save of the library is used as it is.
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
        if self._version:
            sweep_versions(target.parents[1])
        try:
            with replacing(target) as self._temporary:
                self._write(data)
        except DiskFullError as error:
            raise DatasetError(
                f"The disk is full, or the file too large for it: '{target}' was not saved, the version before "
                f"stays in force. Make room and run again. ({error.__cause__})"
            ) from error
        finally:
            self._temporary = None
            if self._version:
                remove_if_empty(target.parent)  # which it is if the save failed

    def _write(self, data: Any) -> None:
        """Save as the library does."""
        super().save.__wrapped__(self, data)  # type: ignore[misc]

    def _is_local(self) -> bool:
        return getattr(self, "_protocol", "file") == "file" and not getattr(self, "_fs_prefix", "")
