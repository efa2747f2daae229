"""Parquet in one file or many parts, opened as one lazy table."""

import logging
from collections.abc import Sequence
from typing import Any

import ibis.expr.types as ir
import pyarrow as pa
import pyarrow.parquet as pq

from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets.options import check_options
from aitm_kedro.datasets.parts import refuse_empty, warn_of_missing

logger = logging.getLogger(__name__)


def open_parquet(backend: Any, parts: Sequence[str], options: dict[str, Any], *, name: str | None = None) -> ir.Table:
    """Open the parts as one table; columns are matched by name, and ``key=value`` in their folders becomes a column.

    Args:
        backend: Ibis on DuckDB.
        parts: the files.
        options: of DuckDB's ``read_parquet``.
        name: of the table in the engine; default: one of its own.

    Raises:
        InputError: a part is empty or no Parquet, or an option does not exist.
    """
    check_options(backend, "read_parquet", options)
    refuse_empty(parts)
    if len(parts) == 1:
        return backend.read_parquet(parts[0], table_name=name, **options)
    if "schema" not in options:
        _compare([(part, _schema(part)) for part in parts])
        options = {"union_by_name": True} | options
    return backend.read_parquet(list(parts), table_name=name, **options)


def _schema(part: str) -> pa.Schema:
    try:
        return pq.read_schema(part)
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"'{part}' cannot be read as parquet: it is cut short, damaged, or of another format; write it again, or "
            f"take it away. ({str(error).splitlines()[0]})"
        ) from error


def _compare(schemas: Sequence[tuple[str, pa.Schema]]) -> None:
    """Warn of columns that some parts lack, and of columns that are numbers in one part and text in another."""
    texts: dict[str, str] = {}
    others: dict[str, str] = {}
    for part, schema in schemas:
        for field in schema:
            is_text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
            (texts if is_text else others).setdefault(field.name, part)
    for name in sorted(texts.keys() & others.keys()):
        logger.warning(
            "Column '%s' is text in '%s' but not in '%s'; all of it is read as text.", name, texts[name], others[name]
        )
    warn_of_missing([(part, schema.names) for part, schema in schemas])
