"""Record batches of a database as one Parquet file, in bounded memory, whatever the first rows look like."""

import logging
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.progress import Progress

logger = logging.getLogger(__name__)


def write_batches(read: Callable[[], Iterable[pa.RecordBatch]], path: Path, *, name: str) -> int:
    """Write what a query gives to one Parquet file.

    A column that is null, or holds whole numbers, in the first batches may turn out to hold something else. Then the
    query begins anew, with the type that goes with both.

    Args:
        read: begins the query; its batches have the same columns.
        path: the file.
        name: of the source, for messages.

    Returns:
        The number of rows.

    Raises:
        InputError: a column has two types that do not go together, or one that Parquet has not.
    """
    schema: pa.Schema | None = None
    while True:
        progress = Progress(what=f"reading {name}", unit="rows")
        try:
            _write(_with_schema(read(), schema, name), path, progress)
            return int(progress.done)
        except _WidenedError as wider:
            logger.info("%s: values further down have other types than the first ones; reading it again", name)
            schema = wider.schema


class _WidenedError(Exception):
    """A batch does not fit into the schema, but another schema holds both."""

    def __init__(self, schema: pa.Schema) -> None:
        super().__init__()
        self.schema = schema


def _with_schema(batches: Iterable[pa.RecordBatch], schema: pa.Schema | None, name: str) -> Iterator[pa.RecordBatch]:
    """The batches with the types of ``schema``, or of the first of them."""
    for batch in batches:
        plain = _plain(batch)
        schema = plain.schema if schema is None else schema
        wider = _unify(schema, plain.schema, name)
        if wider != schema:
            raise _WidenedError(wider)
        yield _fit(plain, schema, name)


def _fit(batch: pa.RecordBatch, schema: pa.Schema, name: str) -> pa.RecordBatch:
    try:
        return batch.cast(schema)
    except pa.ArrowException as error:  # a large whole number is no floating-point number
        changed = [(field, other) for field, other in zip(batch.schema, schema, strict=True) if field != other]
        field, other = changed[0]
        raise mixed(field.name, name, f"{field.type}, and elsewhere {other.type}; {error}") from error


def _unify(schema: pa.Schema, found: pa.Schema, name: str) -> pa.Schema:
    for field, other in zip(schema, found, strict=True):
        try:
            pa.unify_schemas([pa.schema([field]), pa.schema([other])], promote_options="permissive")
        except pa.ArrowException as error:
            raise mixed(field.name, name, f"{field.type}, and further down {other.type}") from error
    return pa.unify_schemas([schema, found], promote_options="permissive")


def mixed(column: str, name: str, types: str) -> InputError:
    """The error about a column whose values do not go together."""
    return InputError(
        f"Column '{column}' of the {name} holds values of two types ({types}); make one of them in 'query' of the "
        f"catalog, for example with CAST({column} AS TEXT), or mend the values."
    )


def _write(batches: Iterator[pa.RecordBatch], path: Path, progress: Progress) -> None:
    """Write each batch as a row group, so that no more than one is in memory."""
    writer: pq.ParquetWriter | None = None
    try:
        for batch in batches:
            writer = writer or pq.ParquetWriter(path, batch.schema, compression="zstd", compression_level=1)
            if batch.num_rows:
                writer.write_batch(batch)
                progress.advance(batch.num_rows)
    finally:
        if writer is not None:
            writer.close()


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch in types that Parquet and every engine know; the driver's notes on columns are left out."""
    columns = [_plain_column(column, field) for column, field in zip(batch.columns, batch.schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _plain_column(column: pa.Array, field: pa.Field) -> pa.Array:
    """Numbers of any size as decimals, or as floating-point numbers if their size is not declared; UUIDs as text."""
    kind = column.type
    if pa.types.is_list(kind):
        values = _plain_column(column.values, kind.value_field)
        return pa.ListArray.from_arrays(column.offsets, values, mask=column.is_null())
    if isinstance(kind, pa.UuidType):
        return pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    if isinstance(kind, pa.OpaqueType) and kind.type_name == "numeric":
        return _cast(column.storage, _numeric(field), field.name)
    if isinstance(kind, pa.JsonType) or (isinstance(kind, pa.OpaqueType) and pa.types.is_string(kind.storage_type)):
        return column.storage.cast(pa.string())
    if isinstance(kind, pa.BaseExtensionType) or pa.types.is_interval(kind):
        declared = kind.type_name if isinstance(kind, pa.OpaqueType) else kind
        raise InputError(
            f"Column '{field.name}' has the type {declared} in the database, which cannot be read; in 'query' of the "
            f"catalog, leave it out or make text of it: CAST({field.name} AS TEXT)."
        )
    return column


def _cast(column: pa.Array, kind: pa.DataType, name: str) -> pa.Array:
    try:
        return column.cast(kind)
    except pa.ArrowException as error:
        raise InputError(
            f"Column '{name}' of the database holds numbers that are no {kind} ({error}); in 'query' of the catalog, "
            f"make others of them, for example CAST({name} AS DOUBLE PRECISION)."
        ) from error


def _numeric(field: pa.Field) -> pa.DataType:
    """The type of PostgreSQL's numeric: ``numeric(10, 2)`` is a decimal; without a size, it may be any number."""
    modifier = int((field.metadata or {}).get(b"POSTGRESQL:typmod", b"-1")) - 4
    precision, scale = modifier >> 16 & 0xFFFF, modifier & 0x7FF
    return pa.decimal128(precision, scale) if modifier >= 0 and precision <= 38 and scale <= precision else pa.float64()
