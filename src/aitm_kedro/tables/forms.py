"""Reads feature columns in the forms that people have them in, for the raw table and for new rows alike.

Numbers may be text, lists may be text with a separator or JSON, categories may be bytes; what a model takes is the same
whichever it was. Nothing is guessed from values, so that one new row is read as the whole table was.
"""

from typing import Literal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from aitm_kedro.core.features import Features, ListFeature
from aitm_kedro.core.ragged import LARGEST_WEIGHT as LARGEST
from aitm_kedro.tables.dialects import json_elements
from aitm_kedro.tables.requirements import Requirement
from aitm_kedro.tables.values import as_category, as_number, not_blank, without_nan

Kind = Literal["categorical", "numeric", "list", "weights"]


def can_read(kind: Kind, given: dt.DataType) -> bool:
    """Whether a column of a type can be what the features call it; text may turn out to be something else."""
    if kind in ("list", "weights") and given.is_array():
        inside = given.value_type
        return _is_number(inside) if kind == "weights" else not (inside.is_nested() or inside.is_binary())
    if kind == "numeric":
        return _is_number(given) or given.is_boolean() or given.is_string()
    return not given.is_nested() if kind == "categorical" else given.is_string()


def _is_number(given: dt.DataType) -> bool:
    return bool((given.is_numeric() and not given.is_boolean()) or given.is_null())


def read_features(table: ir.Table, features: Features, *, trim: bool) -> dict[str, ir.Column]:
    """Every feature, and the weights of lists, as preparation and models work with them.

    Columns that are so already stay what they are. ``trim``: see ``tables.parameters.Ingestion``.
    """
    lists = {feature.name: read_list(table[feature.name], feature, trim=trim) for feature in features.lists}
    return {
        **{name: read_category(table[name], trim=trim) for name in features.categorical},
        **{name: read_number(table[name]) for name in features.numeric},
        **lists,
        **{each.weights: _read_weights(table[each.weights], each) for each in features.lists if each.weights},
    }


def read_category(column: ir.Column, *, trim: bool) -> ir.Column:
    """A column with one value a row; bytes become text."""
    if column.type().is_binary():
        column = as_category(column)
    return not_blank(column) if trim and column.type().is_string() else without_nan(column)


def read_number(column: ir.Column) -> ir.Column:
    """A column of numbers; text becomes numbers, and null where it is blank or none."""
    return as_number(column) if column.type().is_string() else without_nan(column)


def read_list(column: ir.Column, feature: ListFeature, *, trim: bool) -> ir.Column:
    """A column of lists; text is taken apart at the separator, or read as JSON."""
    if column.type().is_string():
        column = _elements(column, feature)
    return column.map(not_blank) if trim and column.type().value_type.is_string() else column


def _read_weights(column: ir.Column, feature: ListFeature) -> ir.Column:
    if not column.type().is_string():
        return column
    return _elements(column, feature).map(lambda one: one.try_cast("float64"))


def _elements(column: ir.StringColumn, feature: ListFeature) -> ir.ArrayColumn:
    text = not_blank(column)
    if feature.separator is None:
        return json_elements(text)
    return text.split(feature.separator).map(lambda one: one.strip()).filter(lambda one: one != "")


def require_features(table: ir.Table, features: Features) -> list[Requirement]:
    """What the values of features must be; columns of a type all of whose values will do have no part in it."""
    numbers = [require_number(name, table[name]) for name in features.numeric if _may_be_wrong(table[name].type())]
    return numbers + [one for feature in features.lists for one in _require_list(table, feature)]


def _may_be_wrong(given: dt.DataType) -> bool:
    return bool(given.is_string() or given.is_floating())


def require_number(
    name: str, column: ir.Column, *, least: float = -LARGEST, is_null_wrong: bool = False
) -> Requirement:
    """That a column holds numbers that a float32 can hold, as text or not."""
    is_text = column.type().is_string()
    wrong = _is_beyond(column, least)
    if is_null_wrong:
        wrong = wrong | as_number(column).isnull()
    if is_text:
        wrong = wrong.fill_null(False) | (not_blank(column).notnull() & column.try_cast("float64").isnull())
    advice = (
        f"; if it is text, '{name}' belongs under features.categorical; decimal commas are an option of CSV "
        "(load_args: {decimal_separator: ','})"
        if is_text
        else ""
    )
    return Requirement(
        column=name,
        holds=f"numbers from {least:g} to {LARGEST:g}{'' if is_null_wrong else ', or null'}",
        wrong=wrong,
        shown=as_category(column),
        advice="mend those rows" + ("" if is_null_wrong else ", or make them null") + advice,
    )


def _is_beyond(column: ir.Column, least: float) -> ir.BooleanColumn:
    """Whether a number is too large for a float32, or too small; null for null, false for NaN."""
    if isinstance(column.type(), dt.Float32) and least == -LARGEST:
        return column.isinf()  # quick, for the millions of rows that are as they should be
    number = column.try_cast("float64") if column.type().is_string() else column.cast("float64")
    beyond = number.abs() > LARGEST if least == -LARGEST else (number < least) | (number > LARGEST)
    return beyond & ~number.isnan()


def _require_list(table: ir.Table, feature: ListFeature) -> list[Requirement]:
    columns = [table[name] for name in (feature.name, feature.weights) if name is not None]
    text = [_require_text(column, feature) for column in columns if column.type().is_string()]
    return text + (_require_weights(table, feature) if feature.weights else [])


def _require_text(column: ir.StringColumn, feature: ListFeature) -> Requirement:
    """That text holds lists: JSON if no separator is given, and no JSON if there is one."""
    text, is_json = not_blank(column), json_elements(not_blank(column)).notnull()
    if feature.separator is None:
        return Requirement(
            column=column.get_name(),
            holds='lists in JSON, such as ["a", "b"], or null',
            wrong=~is_json & text.notnull(),
            shown=text,
            advice="if something else stands between the values, name it: "
            f"features.lists: [{{name: {feature.name}, separator: '|'}}]",
        )
    return Requirement(
        column=column.get_name(),
        holds=f"values with '{feature.separator}' between them, or null",
        wrong=is_json,
        shown=text,
        advice="that is JSON: take the separator out of features.lists",
    )


def _require_weights(table: ir.Table, feature: ListFeature) -> list[Requirement]:
    name, column = str(feature.weights), table[feature.weights]
    values, weights = read_list(table[feature.name], feature, trim=False), _read_weights(column, feature)
    bad = weights.filter(lambda one: (one.isnull() | ~(one.cast("float64") <= LARGEST) | (one < 0)).fill_null(True))
    shown = weights.map(lambda one: one.cast("string").fill_null("null")).join(", ")
    count = _length(values)
    return [
        Requirement(
            column=name,
            holds=f"one weight for each value of '{feature.name}'",
            wrong=count != _length(weights),
            shown=ibis.literal("[") + shown.fill_null("") + "] for " + count.cast("string") + " values",
            advice="mend those rows",
        ),
        Requirement(
            column=name,
            holds=f"weights from 0 to {LARGEST:g}",
            wrong=(_length(bad) > 0),
            shown=shown,
            advice="mend those rows",
        ),
    ]


def _length(lists: ir.ArrayColumn) -> ir.IntegerValue:
    """Number of values; 0 for null, of which some engines say that it is null and others that it is -1."""
    return ibis.greatest(lists.length().fill_null(0), 0)
