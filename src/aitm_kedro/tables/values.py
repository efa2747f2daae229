"""Reads single values: as a category or a number, for training and for new rows alike."""

from collections.abc import Mapping
from datetime import UTC, datetime

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from aitm_kedro.tables.dialects import hexadecimal, utf8

# Up to here a float holds every whole number exactly.
_WHOLE = 2.0**53


def without_nan(column: ir.Column) -> ir.Column:
    """The column with NaN as null; other types are left as they are."""
    if not column.type().is_floating():
        return column
    return column.isnan().ifelse(ibis.null(column.type()), column)


def as_category(column: ir.Column) -> ir.StringColumn:
    """The column as text, null where it is null or NaN.

    Whole floats and decimals are written as integers, so that a column of integers reads the same whether or not nulls
    (or a JSON parser, or a database) made another type of it; 0.1 is the same in single and in double precision. Times
    are UTC, with a zone or without. Bytes are the text that they spell in UTF-8, and hexadecimal digits where they
    spell none.
    """
    kind = column.type()
    if kind.is_binary():
        return ibis.coalesce(utf8(column), hexadecimal(column))
    if kind.is_decimal():
        text = column.cast("string")
        return text.contains(".").ifelse(text.re_replace(r"\.?0+$", ""), text)
    if kind.is_timestamp():
        return column.cast("timestamp").cast("string")
    if not kind.is_floating():
        return column.cast("string")
    known = without_nan(column.cast("float64"))
    integer = known.try_cast("int64")  # null for what is too large, such as infinity
    whole = (known == integer.cast("float64")) & (known.abs() < _WHOLE)
    return whole.ifelse(integer.cast("string"), without_nan(column).cast("string"))


def as_number(column: ir.Column) -> ir.FloatingColumn:
    """The column as float64, null where it is null or NaN, or text that is no number."""
    number = column.try_cast("float64") if column.type().is_string() else column.cast("float64")
    return without_nan(number)


def not_blank(text: ir.StringValue) -> ir.StringValue:
    """The text without spaces around it; null if nothing is left."""
    return text.strip().nullif("")


def naive_utc(moment: datetime) -> datetime:
    """The moment as the tables hold it: UTC without zone."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def small_table(frame: pd.DataFrame, schema: Mapping[str, pa.DataType]) -> ir.Table:
    """A frame as a table that can be saved, or joined with tables of any engine."""
    return ibis.memtable(pa.Table.from_pandas(frame, schema=pa.schema(schema), preserve_index=False))
