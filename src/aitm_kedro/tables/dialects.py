"""What Ibis does not say alike for every engine: functions that turn text, bytes and numbers into something else.

Each gives null, never an error, for what cannot be read.
"""

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

# Functions of the engines: name, and the types of arguments and result. They have no body here.

# DuckDB
_or_null = ibis.udf.scalar.builtin(lambda text: ..., name="try", signature=((dt.string,), dt.string))
_decode = ibis.udf.scalar.builtin(lambda data: ..., name="decode", signature=((dt.binary,), dt.string))
_try_strptime = ibis.udf.scalar.builtin(
    lambda text, form: ..., name="try_strptime", signature=((dt.string, dt.string), dt.timestamp)
)
_make_timestamp = ibis.udf.scalar.builtin(
    lambda microseconds: ..., name="make_timestamp", signature=((dt.int64,), dt.timestamp)
)

# Spark
_timestamp_micros = ibis.udf.scalar.builtin(
    lambda microseconds: ..., name="timestamp_micros", signature=((dt.int64,), dt.timestamp)
)
_from_json = ibis.udf.scalar.builtin(
    lambda text, schema: ..., name="from_json", signature=((dt.string, dt.string), dt.Array(dt.string))
)

# both
_hex = ibis.udf.scalar.builtin(lambda data: ..., name="hex", signature=((dt.binary,), dt.string))


def _is_duckdb(column: ir.Value) -> bool:
    return str(column.get_backend().name) == "duckdb"


def utf8(column: ir.BinaryValue) -> ir.StringValue:
    """Bytes as the text that they spell in UTF-8; null if they spell none."""
    if _is_duckdb(column):
        return _or_null(_decode(column))
    text = column.cast("string")
    return (text.cast("binary") == column).ifelse(text, ibis.null("string"))


def hexadecimal(column: ir.BinaryValue) -> ir.StringValue:
    """Bytes as hexadecimal digits, two each."""
    return _hex(column).lower()


def moment_of(text: ir.StringValue, form: str) -> ir.TimestampValue:
    """The moment that a text says in a format of strptime."""
    return _try_strptime(text, form) if _is_duckdb(text) else text.as_timestamp(form)


def moment_after(microseconds: ir.IntegerValue) -> ir.TimestampValue:
    """The moment that many microseconds after 1970 (UTC)."""
    return _make_timestamp(microseconds) if _is_duckdb(microseconds) else _timestamp_micros(microseconds)


def json_elements(text: ir.StringValue) -> ir.ArrayValue:
    """Elements of a JSON array as text, arrays and objects among them as JSON; null if the text is no such array."""
    if not _is_duckdb(text):
        return _from_json(text, "array<string>")
    elements = text.try_cast("json").array
    return elements.map(lambda one: ibis.coalesce(one.unwrap_as("string"), _plain_number(one.cast("string"))))


def _plain_number(text: ir.StringValue) -> ir.StringValue:
    """A whole number without the ``.0`` that some writers of JSON give it."""
    return text.re_replace(r"^(-?\d+)\.0+$", r"\1")
