"""What columns must hold, and the sentence if one does not; for the raw table and for new rows alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ibis.expr.types as ir

from aitm_kedro.core.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Requirement:
    """What a column must hold.

    Attributes:
        column: its name.
        holds: what it must hold, behind "must hold".
        wrong: true in rows where it does not; false or null elsewhere.
        shown: the value as text, for an example.
        advice: what to do, behind a semicolon.
    """

    column: str
    holds: str
    wrong: ir.BooleanColumn
    shown: ir.StringColumn
    advice: str


def measure(requirements: Sequence[Requirement]) -> dict[str, ir.Value]:
    """Aggregates, of one query, that say whether each requirement is broken."""
    return {f"wrong_{place}": each.wrong.any() for place, each in enumerate(requirements)}


def enforce(table: ir.Table, requirements: Sequence[Requirement], found: Mapping[str, Any]) -> None:
    """Raise InputError for the first requirement that is broken, with the number of rows and an example.

    Args:
        table: whose columns the requirements are of.
        requirements: of its columns.
        found: what ``measure`` asked for.
    """
    for place, each in enumerate(requirements):
        if found[f"wrong_{place}"]:
            wrong = table.aggregate(rows=each.wrong.sum(), example=each.wrong.ifelse(each.shown, None).max())
            rows, example = wrong.to_pyarrow().to_pylist()[0].values()
            held = f"{rows:,} {'row holds' if rows == 1 else 'rows hold'} something else"
            raise InputError(
                f"column '{each.column}' must hold {each.holds}, but {held}, for example {_short(example)}; "
                f"{each.advice}"
            )


def _short(example: str | None, limit: int = 80) -> str:
    text = "null" if example is None else example
    return text if len(text) <= limit else text[:limit] + "..."
