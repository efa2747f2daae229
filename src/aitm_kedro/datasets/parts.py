"""The local files that one 'filepath' of the catalog stands for: a file, a folder of parts, or a pattern."""

import difflib
import logging
from collections.abc import Collection, Sequence
from glob import glob, has_magic
from pathlib import Path

from aitm_kedro.core.errors import InputError

logger = logging.getLogger(__name__)

SUFFIXES = {
    "parquet": (".parquet", ".parq", ".pq"),
    "csv": (".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst"),
}
"""How the parts in a folder end, by format; what ends otherwise is left alone."""


def find_parts(path: str, file_format: str) -> list[str]:
    """The files of a table, in order of their names.

    In a folder, and among what a pattern matches, files and folders whose names begin with ``_`` or ``.``
    (``_SUCCESS``, ``_temporary``, ``.crc``) are left out, as every engine does; a partition (``_day=2026-09-01``) may.

    Args:
        path: a file, a folder (folders in it are read as well), or a pattern with ``*``, ``?``, ``[...]`` or ``**``.
        file_format: "parquet" or "csv".

    Raises:
        InputError: there is no such file, or nothing to read in the folder.
    """
    root = Path(path)
    if root.is_dir():
        parts = [str(found) for found in root.rglob("*") if _is_part(found.relative_to(root), SUFFIXES[file_format])]
        reason = f"The folder '{path}' holds no {file_format} file ({', '.join(SUFFIXES[file_format])})"
    elif has_magic(path) and not root.exists():
        named = root.parts  # a folder that the pattern names is wanted, whatever its name
        parts = [
            found
            for found in glob(path, recursive=True)
            if not any(_is_hidden(part) and part not in named for part in Path(found).parts)
        ]
        reason = f"No file matches '{path}'"
    else:
        parts = [path] if root.exists() else []
        reason = f"There is no file '{path}'{_nearest(root)}"
    parts = sorted(part for part in parts if Path(part).is_file())
    if not parts:
        raise InputError(f"{reason}. Put it there, or correct 'filepath' in the catalog.")
    return parts


def refuse_empty(parts: Sequence[str]) -> None:
    """Raise InputError if a part has no bytes: whoever wrote it did not finish."""
    empty = [part for part in parts if Path(part).stat().st_size == 0]
    if empty:
        more = f" (and {len(empty) - 1} more)" if len(empty) > 1 else ""
        raise InputError(
            f"'{empty[0]}'{more} cannot be read as parquet: it is empty (0 bytes), so whoever wrote it did not finish; "
            "write it again, or take it away."
        )


def warn_of_missing(columns: Sequence[tuple[str, Collection[str]]]) -> None:
    """Warn of columns that some parts have and others have not; for the engine, upper and lower case are alike.

    Args:
        columns: each part with the names of its columns.
    """
    lowered = [(part, {name.lower() for name in names}) for part, names in columns]
    spellings: dict[str, str] = {}
    for name in (name for _, names in columns for name in names):
        spellings.setdefault(name.lower(), name)
    for name in spellings.values():
        without = [part for part, names in lowered if name.lower() not in names]
        if without:
            logger.warning(
                "Column '%s' is missing from %d of %d files, such as '%s'; it is null in their rows.",
                name,
                len(without),
                len(columns),
                without[0],
            )


def _is_part(path: Path, suffixes: tuple[str, ...]) -> bool:
    return path.name.lower().endswith(suffixes) and not any(map(_is_hidden, path.parts))


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or (name.startswith("_") and "=" not in name)


def _nearest(path: Path) -> str:
    """A file with nearly that name in the same folder, as a question."""
    beside = [found.name for found in path.parent.iterdir()] if path.parent.is_dir() else []
    close = difflib.get_close_matches(path.name, beside, n=1)
    return f" (did you mean '{close[0]}'?)" if close else ""
