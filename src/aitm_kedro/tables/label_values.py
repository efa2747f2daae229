"""Reads label columns: 0 and 1, truth values, yes and no in the usual spellings, or those that a parameter lists."""

from collections.abc import Collection

import ibis
import ibis.expr.types as ir

from aitm_kedro.core.errors import InputError
from aitm_kedro.tables.parameters import LabelValues
from aitm_kedro.tables.requirements import Requirement
from aitm_kedro.tables.values import as_category, as_number, not_blank, without_nan

POSITIVE, NEGATIVE = ("1", "1.0", "true", "t", "yes", "y"), ("0", "0.0", "false", "f", "no", "n")
"""What text says in labels, whether in upper or lower case."""


def read_label(column: ir.Column, values: LabelValues | None) -> ir.IntegerColumn:
    """The labels as int8: 1, 0, or null where they are not known (null, NaN, nothing but spaces).

    Args:
        column: numbers, truth values, or text.
        values: the parameter ``ingestion.label_values``; None: the usual ones.
    """
    if values is None and not column.type().is_string():
        return without_nan(column).cast("int8")
    text, (positive, negative) = _text(column), _spellings(values)
    return ibis.cases((text.isin(positive), 1), (text.isin(negative), 0)).cast("int8")


def require_label(name: str, column: ir.Column, values: LabelValues | None) -> Requirement:
    """That a column holds labels.

    Raises:
        InputError: no value of its type can be a label.
    """
    kind = column.type()
    if not (kind.is_numeric() or kind.is_boolean() or kind.is_null() or kind.is_string()):
        raise InputError(
            f"label column '{name}' is {kind}; it must hold 0, 1 or null"
            + (f" (a time is read from a column '{name}_time', see ingestion.rename)" if kind.is_timestamp() else "")
        )
    if values is None and not kind.is_string():
        wrong, holds = ~as_number(column).isin([0.0, 1.0]), "0, 1 or null"
    else:
        text, (positive, negative) = _text(column), _spellings(values)
        wrong = ~text.isin([*positive, *negative])
        holds = f"one of {', '.join(positive)} (positive) or {', '.join(negative)} (negative), or null"
    return Requirement(
        column=name,
        holds=holds,
        wrong=wrong,
        shown=as_category(column),
        advice="say by ingestion.label_values: {positive: [...], negative: [...]} what other values mean",
    )


def _text(column: ir.Column) -> ir.StringColumn:
    return not_blank(as_category(column)).lower()


def _spellings(values: LabelValues | None) -> tuple[Collection[str], Collection[str]]:
    """Text of positive and of negative labels, in lower case."""
    return (POSITIVE, NEGATIVE) if values is None else (values.positive, values.negative)
