"""Files of one's own must stay as they are while a run reads them, which it does more than once."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ibis.expr.operations as ops
import ibis.expr.types as ir

from aitm_kedro.core.errors import InputError

Signature = tuple[int, int, int] | None
"""Size, time of change and number of a file; None where it is gone."""

_WATCHED: dict[Any, dict[str, Signature]] = {}
"""Expression of each table that was opened, with its files as they were then."""


def watch(table: ir.Table, paths: Iterable[str]) -> None:
    """Remember how the files of a lazy table are."""
    _WATCHED[table.op()] = {path: _signature(path) for path in paths}


def check_unchanged(table: ir.Table) -> None:
    """Check that the files that a lazy table is computed from are as they were when they were opened.

    Rows are counted and checked in one pass and written in another; of a file that another job writes meanwhile, these
    would be different rows.

    Raises:
        InputError: a file was replaced, written to, or cut short.
    """
    for source in table.op().find(ops.PhysicalTable):
        for path, before in _WATCHED.get(source, {}).items():
            now = _signature(path)
            if now != before:
                what = "is gone" if now is None else "changed"
                raise InputError(
                    f"'{path}' {what} while the run was reading it, so nothing that was made of it is saved; run again "
                    "when it is complete. Jobs that export it should write under another name and rename."
                )


def _signature(path: str) -> Signature:
    try:
        found = Path(path).stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino
