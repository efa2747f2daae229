"""CSV in one file or many, plain or compressed, of any dialect, opened as one lazy table.

What DuckDB finds out by itself, it finds out once, when the table is opened: the dialect from the first rows, the type
of each column from all of them. Later queries are told both, so that they neither look again nor decide otherwise. Then
every row is parsed once, so that a line that cannot be read ends in a sentence before anything is computed.
"""

import logging
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import ibis.expr.types as ir
import pyarrow as pa

from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets.options import check_options
from aitm_kedro.datasets.parts import warn_of_missing

logger = logging.getLogger(__name__)

EMPTY = "(empty)"
"""What DuckDB calls a quote, an escape or a comment that there is not."""

OTHER_FORMATS = {
    b"BZh": ("bzip2", "unpack it with bunzip2, or pack it with gzip or zstd instead"),
    b"PK\x03\x04": ("a ZIP archive or an Excel file", "unpack it, or save the sheet as CSV"),
    b"\xfd7zXZ": ("xz", "unpack it with unxz, or pack it with gzip or zstd instead"),
    b"7z\xbc\xaf": ("a 7z archive", "unpack it, or pack it with gzip or zstd instead"),
    b"PAR1": ("Parquet", "set 'file_format: parquet' in the catalog"),
}
"""First bytes of what is no CSV: what it is, and what to do."""

SYNONYMS = {"sep": "delim", "column_types": "types", "dtypes": "types", "column_names": "names"}
"""Options that DuckDB knows by two names."""

FORMATS = {"dateformat": ("DateFormat", "DATE"), "timestampformat": ("TimestampFormat", "TIMESTAMP")}
"""Options for the formats of times: what DuckDB calls them when it has found them, and the type of such columns."""

EARLIEST = datetime(1000, 1, 1)
"""Before it DuckDB has taken 01/02/26 10:00 for a day of the year 1."""

LARGEST_INTEGER = 2.0**63
"""From here on DuckDB reads whole numbers as floating-point numbers."""

PACKED = {b"\x1f\x8b": ("gzip", ".gz"), b"\x28\xb5\x2f\xfd": ("zstd", ".zst")}
"""First bytes of compressed files that DuckDB reads: the name of the compression, and the ending of the file."""


def open_csv(backend: Any, parts: Sequence[str], options: dict[str, Any], *, name: str | None = None) -> ir.Table:
    """Open the files as one table.

    Args:
        backend: Ibis on DuckDB.
        parts: the files; those of 0 bytes are left out, with a warning.
        options: of DuckDB's ``read_csv``.
        name: of the table in the engine; default: one of its own.

    Raises:
        InputError: a file is no CSV, cannot be parsed with this dialect or these types, or there are no rows.
    """
    check_options(backend, "read_csv", options)
    options = {SYNONYMS.get(option, option): value for option, value in options.items()}
    parts = _with_content(parts)
    for part in parts:
        _check_format(part, options.get("compression", "auto"))
    try:
        found = {} if _says_all(options) else _find_out(backend.con, parts, options)
        table = backend.read_csv(list(parts), table_name=name, **(options | found))
        rows, misread = _parse_all(table)
        misread = [column for column in misread if column in found.get("types", {})]
        if misread and not options.keys() & {"thousands", "decimal_separator"}:
            found["types"] = found["types"] | dict.fromkeys(misread, "VARCHAR")
            table = backend.read_csv(list(parts), table_name=name, **(options | found))
    except InputError:
        raise
    except (duckdb.Error, ValueError) as error:  # ibis raises what it raises of a type that it cannot parse
        raise InputError(complaint(error, parts)) from error
    _check_columns(parts[0], table.columns)
    if not rows:
        raise InputError(f"{_called(parts)} has column names ({', '.join(table.columns)}) but no rows.")
    return table


def _with_content(parts: Sequence[str]) -> list[str]:
    full = [part for part in parts if Path(part).stat().st_size]
    if not full:
        raise InputError(f"{_called(parts)} is empty (0 bytes); put a file with column names and rows there.")
    if len(full) < len(parts):
        empty = next(part for part in parts if part not in full)
        logger.warning(
            "%d of %d CSV files are empty, such as '%s'; they are left out.", len(parts) - len(full), len(parts), empty
        )
    return full


def _check_format(part: str, compression: str) -> None:
    """Refuse other formats, and compressed files that are not whole, of which DuckDB reads what there is."""
    with Path(part).open("rb") as file:
        start = file.read(8)
    for magic, (what, remedy) in OTHER_FORMATS.items():
        if start.startswith(magic):
            raise InputError(f"'{part}' is {what}, which cannot be read as csv; {remedy}.")
    kind = next((kind for magic, kind in PACKED.items() if start.startswith(magic)), None)
    if kind is None:
        return
    if compression == "auto" and not part.endswith(kind[1]):
        raise InputError(
            f"'{part}' is compressed with {kind[0]}; let its name end in {kind[1]}, or set 'compression: {kind[0]}' in "
            "'load_args' of the catalog."
        )
    try:
        with pa.input_stream(part, compression=kind[0]) as stream:
            while stream.read(1 << 20):
                pass
    except OSError as error:
        raise InputError(
            f"'{part}' is cut short or damaged: it cannot be unpacked; fetch it again. ({error})"
        ) from error


def _says_all(options: dict[str, Any]) -> bool:
    """Whether the options name every column with its type, so that there is nothing to find out."""
    return "columns" in options or options.get("auto_detect") is False


def _find_out(connection: duckdb.DuckDBPyConnection, parts: Sequence[str], options: dict[str, Any]) -> dict[str, Any]:
    """Options that say all: the dialect of the first file, the formats of its times, and the types of all columns.

    What the options say already stays. The dialect is found first, in the first rows alone: over all rows, a single
    line that does not fit would make DuckDB think of another dialect.
    """
    known = {"header": True} | options
    found = _sniff(connection, parts[0], known)
    skipped = found["SkipRows"]
    if skipped and "skip" not in known:  # DuckDB would leave them out without a word
        raise InputError(
            f"'{parts[0]}' seems to begin at line {skipped + 1}: the lines above have another number of values. Mend "
            f"them, or set 'skip: {skipped}' (or 'comment') in 'load_args' of the catalog to leave them out."
        )
    known = {"skip": 0} | _dialect(found) | known
    thorough = {"sample_size": -1} | known
    if len(parts) == 1:
        sniffed = {parts[0]: _sniff(connection, parts[0], thorough)}
        types = sniffed[parts[0]]["Columns"]
    else:
        # By name: otherwise DuckDB joins the types of columns that stand at the same place in different files.
        known = {"union_by_name": True} | known
        warn_of_missing([(part, _sniff(connection, part, {"sample_size": 1} | known)["Columns"]) for part in parts])
        types = _types(connection, parts, thorough)
        has_times = any(kind in types.values() for _, kind in FORMATS.values())
        sniffed = {part: _sniff(connection, part, thorough) for part in parts} if has_times else {}
    formats, unclear = _find_formats(connection, sniffed, thorough)
    known = formats | known
    return known | {"types": _with_text(connection, parts, known, types, unclear)}


def _find_formats(
    connection: duckdb.DuckDBPyConnection, sniffed: Mapping[str, dict[str, Any]], options: dict[str, Any]
) -> tuple[dict[str, str], set[str]]:
    """Formats of times other than ISO, as options; and the types of those that remain unclear, so that nobody guesses.

    A format is unclear where files have different ones, where all rows allow day and month the other way round, and
    where the year has two digits.

    Args:
        connection: to the engine.
        sniffed: what was found out of each file.
        options: by which that was.
    """
    formats: dict[str, str] = {}
    unclear: set[str] = set()
    for option, (column, kind) in FORMATS.items():
        of_part = {part: found[column] for part, found in sniffed.items() if kind in found["Columns"].values()}
        if option in options or not any(of_part.values()):
            continue
        form = next(iter(of_part.values()))
        is_clear = len(set(of_part.values())) == 1 and "%y" not in form
        if is_clear and not form.startswith("%Y"):
            swapped = options | {option: form.translate(str.maketrans("dm", "md"))}
            is_clear = any(kind not in _sniff(connection, part, swapped)["Columns"].values() for part in of_part)
        if is_clear:
            formats[option] = form
        else:
            unclear.add(kind)
    return formats, unclear


def _with_text(
    connection: duckdb.DuckDBPyConnection,
    parts: Sequence[str],
    options: dict[str, Any],
    types: dict[str, str],
    unclear: Collection[str],
) -> dict[str, str]:
    """The types, with text for those that are unclear, and for truth values that are not written true and false.

    As text, a category "yes" is the same as in a row that is not read from CSV.
    """
    given = options.get("types", {})
    truths = [name for name, kind in types.items() if kind == "BOOLEAN" and not (given and name in given)]
    found = {name: "VARCHAR" if kind in unclear else kind for name, kind in types.items()}
    if not truths:
        return found
    options = options | {"types": found | dict.fromkeys(truths, "VARCHAR")}
    columns = ", ".join(f"bool_and(lower(trim({_quoted(name)})) IN ('true', 'false'))" for name in truths)
    query = f"SELECT {columns} FROM read_csv(?{_arguments(options)})"
    plain = connection.execute(query, [list(parts), *options.values()]).fetchall()[0]
    return found | {name: "VARCHAR" for name, is_plain in zip(truths, plain, strict=True) if is_plain is False}


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sniff(connection: duckdb.DuckDBPyConnection, part: str, options: dict[str, Any]) -> dict[str, Any]:
    """What DuckDB finds out about one file; "Columns" are {name: type}."""
    cursor = connection.execute(f"SELECT * FROM sniff_csv(?{_arguments(options)})", [part, *options.values()])
    names = [column[0] for column in cursor.description]
    found = dict(zip(names, cursor.fetchall()[0], strict=True))
    found["Columns"] = {column["name"]: column["type"] for column in found["Columns"]}
    return found


def _types(connection: duckdb.DuckDBPyConnection, parts: Sequence[str], options: dict[str, Any]) -> dict[str, str]:
    """{name: type} of the columns of many files, without those that are made of the files' names."""
    options = options | {"files_to_sniff": -1, "union_by_name": True, "hive_partitioning": False, "filename": False}
    query = f"DESCRIBE SELECT * FROM read_csv(?{_arguments(options)})"
    rows = connection.execute(query, [list(parts), *options.values()]).fetchall()
    return {name: kind for name, kind, *_ in rows}


def _arguments(options: dict[str, Any]) -> str:
    return "".join(f", {name} = ?" for name in options)


def _dialect(sniffed: dict[str, Any]) -> dict[str, Any]:
    """Delimiter, quote and comment; a quote of its own where the first rows have none.

    Rows further down may well be quoted, so the quote is then the one of the standard.
    """
    quote = '"' if sniffed["Quote"] == EMPTY else sniffed["Quote"]
    escape = quote if sniffed["Escape"] == EMPTY else sniffed["Escape"]
    dialect = {"delim": sniffed["Delimiter"], "quote": quote, "escape": escape}
    if sniffed["Comment"] != EMPTY:
        dialect["comment"] = sniffed["Comment"]
    return dialect


def _parse_all(table: ir.Table) -> tuple[int, list[str]]:
    """Parse every value of every row, which raises what DuckDB has to complain of.

    Returns:
        The number of rows; columns that are better read as text: whole numbers that no 64 bits hold, such as hashes,
        of which different ones would become the same floating-point number, and times in the first centuries.
    """
    found = {"rows": table.count()}
    for place, name in enumerate(table.columns):
        column = table[name]
        found[f"known_{place}"] = column.count()
        if column.type().is_floating():
            is_whole = (column % 1 == 0).all()
            found[f"misread_{place}"] = is_whole & (column.abs().max() >= LARGEST_INTEGER)
        elif column.type().is_timestamp():
            found[f"misread_{place}"] = column.cast("timestamp").min() < EARLIEST
    facts = table.aggregate(**found).to_pyarrow().to_pylist()[0]
    return facts["rows"], [name for place, name in enumerate(table.columns) if facts.get(f"misread_{place}")]


def _check_columns(part: str, columns: Sequence[str]) -> None:
    """Raise InputError if a whole line was taken for one column."""
    if len(columns) == 1 and (found := re.search(r"[,;|\t]", columns[0])):
        raise InputError(
            f"'{part}' is read as one column, named '{columns[0]}': either 'delim: {found[0]!r}' is missing in "
            "'load_args' of the catalog, or its first lines do not all have as many values as the first one."
        )


def _called(parts: Sequence[str]) -> str:
    return f"'{parts[0]}'" + (f" (as the {len(parts) - 1} files beside it)" if len(parts) > 1 else "")


REMEDIES = {
    "Invalid unicode": "set 'encoding' in 'load_args' of the catalog to latin-1 or utf-16, whichever it is, or save "
    "the file as UTF-8",
    "does not support the encoding": "there are utf-8, latin-1 and utf-16; convert the file to UTF-8, for example with "
    "'iconv -f {encoding} -t utf-8'",
    "Expected Number of Columns": "mend the line, or set 'delim' or 'quote' in 'load_args' of the catalog, "
    "'null_padding: true' for lines that are too short, or 'ignore_errors: true' to leave such lines out",
    "Could not convert": "mend the value, or correct 'types', 'nullstr' or 'sample_size' in 'load_args' of the catalog",
    "do not exist in the CSV File": "correct 'types' in 'load_args' of the catalog",
    "sniffing file": "set 'delim', 'quote', 'skip', 'comment', 'names' or 'encoding' in 'load_args' of the catalog "
    "('quote' to an empty text if quotes are part of the values)",
    "quote": "mend the line, or set 'quote' in 'load_args' of the catalog (to an empty text if quotes are part of the "
    "values)",
    "GZIP": "it is not compressed: take .gz off its name",
    "Unknown frame": "it is not compressed: take .zst off its name",
    "": "correct 'load_args' in the catalog",
}
"""What to do, by a part of what DuckDB says; the first one that fits."""


def complaint(error: Exception, parts: Sequence[str]) -> str:
    """One sentence of what DuckDB says in twenty lines: file, line, what is wrong, what to do."""
    text = str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    file = re.search(r"^ *file = (.+)$", text, re.MULTILINE)
    number = re.search(r"CSV Error on Line: (\d+)", text)
    original = re.search(r"^Original Line: *(.*)$", text, re.MULTILINE)
    place = f"'{file[1].strip() if file else parts[0]}'"
    if number:
        place += f", line {number[1]}" + (f" ({_shortened(original[1])})," if original else ",")
    remedy = next(remedy for word, remedy in REMEDIES.items() if word in text)
    encoding = re.search(r'the encoding: "(.+)"', text)
    return (
        f"{place} cannot be read as csv: {_reason(lines)}; {remedy.format(encoding=encoding[1] if encoding else '')}."
    )


def _reason(lines: Sequence[str]) -> str:
    """The line in which DuckDB says what is wrong."""
    if "sniffing" in lines[0]:
        return "its lines do not fit together in any dialect"
    reasons = [line for line in lines if not line.startswith("Original Line:") and "CSV Error on Line" not in line]
    return re.sub(r"^(\w+ )+Error: ", "", reasons[0]).rstrip(".") if reasons else "it is damaged"


def _shortened(line: str, most: int = 80) -> str:
    return line if len(line) <= most else f"{line[:most]} ..."
