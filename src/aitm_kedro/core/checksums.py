"""Checksums of a folder: whoever reads it later knows whether it is as it was written."""

import hashlib
import json
from pathlib import Path

from aitm_kedro.core.errors import InputError

CHECKSUMS = "checksums.json"


def seal(folder: Path) -> None:
    """Write the SHA-256 of every file under a folder into its ``checksums.json``, by relative POSIX path."""
    (folder / CHECKSUMS).write_bytes(_encode(_checksums(folder)))


def verify(folder: Path, *, what: str) -> None:
    """Check that a folder holds the files that ``seal`` saw, no others, and every bit as it was.

    Args:
        folder: the folder.
        what: what it is called in the message, such as "the bundle 'path'".

    Raises:
        InputError: a file is missing, unknown, or changed.
        OSError: a file cannot be read.
    """
    recorded = _recorded(folder, what)
    found = _checksums(folder)
    for name in sorted(recorded.keys() | found.keys()):
        if recorded.get(name) != found.get(name):
            raise _refusal(what, name, _problem(name in recorded, name in found))


def _problem(is_recorded: bool, is_found: bool) -> str:
    if is_recorded and is_found:
        return "is not as it was written"
    return "is missing" if is_recorded else "does not belong there"


def _refusal(what: str, name: str, problem: str) -> InputError:
    return InputError(
        f"{what[:1].upper()}{what[1:]} cannot be trusted: '{name}' {problem}. Copy the folder anew from where it came, "
        "or make it again."
    )


def _checksums(folder: Path) -> dict[str, str]:
    """Of every file under a folder but the list of them."""
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if not path.is_dir()}
    files.pop(CHECKSUMS, None)
    return {name: _sha256(path) for name, path in files.items()}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # which reads in chunks


def _encode(checksums: dict[str, str]) -> bytes:
    return json.dumps(checksums, sort_keys=True, separators=(",", ":")).encode()


def _recorded(folder: Path, what: str) -> dict[str, str]:
    """The checksums as written; JSON of the same meaning in other letters (an escape in capitals) is damage, too."""
    try:
        content = (folder / CHECKSUMS).read_bytes()
    except FileNotFoundError as error:
        raise _refusal(what, CHECKSUMS, "is missing") from error
    try:
        recorded = json.loads(content)
    except ValueError:
        recorded = None
    if not isinstance(recorded, dict) or _encode(recorded) != content:
        raise _refusal(what, CHECKSUMS, "is not as it was written")
    return recorded
