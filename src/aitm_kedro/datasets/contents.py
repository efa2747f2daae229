"""What a stored dataset holds, as a short text that is equal for equal contents."""

import hashlib
from pathlib import Path

import duckdb


def content_of(path: Path) -> str:
    """A text that differs where the content of a file, or of a folder of parts, does.

    The order of the rows of a Parquet table does not count, for engines write it as it comes; anything else is compared
    byte by byte.

    Raises:
        OSError: it cannot be read.
        duckdb.Error: it is a damaged Parquet table.
    """
    if path.suffix == ".parquet":
        return _content_of_table(path)
    files = sorted(part for part in path.rglob("*") if part.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(path).as_posix()} {file.stat().st_size}".encode())
        with file.open("rb") as opened:
            digest.update(hashlib.file_digest(opened, "sha256").digest())
    return digest.hexdigest()


def _content_of_table(path: Path) -> str:
    """Names and types of the columns, the number of rows, and two sums over hashes of rows, in one pass."""
    files = str(path / "**/*.parquet") if path.is_dir() else str(path)
    with duckdb.connect() as engine:
        table = engine.read_parquet(files)
        columns = list(zip(table.columns, map(str, table.types), strict=True))
        hashes = table.query("rows", "SELECT hash(rows) AS h FROM rows")
        sums = hashes.aggregate("count(*), bit_xor(h), sum(h::HUGEINT % 1000000007)").fetchone()
    return repr((columns, sums))
