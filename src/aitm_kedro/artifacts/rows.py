"""Raw rows, as people have them, as checked Arrow batches: what a predictor reads."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from aitm_kedro.artifacts.bundle import Manifest
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.core.funnel import IMPRESSION_ID

LARGEST = 3.4e38
"""Magnitude of a value or weight; a float32 holds no larger one."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Columns that a model reads.

    Attributes:
        kinds: column -> "categorical", "numeric", "list", or "weights" of a list.
        lists_of: column of weights -> its list.
        segment: column that decides the keep rate, or None.
        rename: name in the raw table -> name here.
    """

    kinds: Mapping[str, str]
    lists_of: Mapping[str, str]
    segment: str | None
    rename: Mapping[str, str]

    @classmethod
    def of(cls, manifest: Manifest, specs: Sequence[FeatureSpec]) -> Self:
        """What a bundle reads."""
        lists_of = {spec.weights: spec.name for spec in specs if spec.weights is not None}
        kinds = {spec.name: str(spec.kind) for spec in specs} | dict.fromkeys(lists_of, "weights")
        by_segment = manifest.funnel.segment if manifest.keep_rates.per_segment else None
        if by_segment is not None:
            kinds.setdefault(by_segment, "categorical")
        return cls(
            kinds=kinds, lists_of=lists_of, segment=by_segment, rename={v: k for k, v in manifest.rename.items()}
        )

    @property
    def columns(self) -> list[str]:
        """Every column that is read, if it is there."""
        return list(dict.fromkeys([IMPRESSION_ID, *self.kinds]))


def as_batches(rows: Any, *, needs: Needs, rows_at_once: int) -> pa.RecordBatchReader:
    """The columns that are needed, and the id, in batches.

    Raises:
        InputError: a column is missing, or rows are of a type that is not read.
    """
    if isinstance(rows, ir.Table):
        table = rows.rename(_renames(rows.columns, needs))
        _check_present(table.columns, needs)
        chosen = table.select([name for name in needs.columns if name in table.columns])
        return chosen.to_pyarrow_batches(chunk_size=rows_at_once)
    arrow = _as_arrow(rows, needs)
    arrow = arrow.rename_columns({there: here for here, there in _renames(arrow.column_names, needs).items()})
    _check_present(arrow.column_names, needs)
    return arrow.select([name for name in needs.columns if name in arrow.column_names]).to_reader(rows_at_once)


def prepare(table: pa.Table, needs: Needs) -> pa.Table:
    """Rows whose types and values can be what they are taken for.

    Raises:
        InputError: a column cannot be read as what the model takes it for, or holds an impossible value.
    """
    for position, name in enumerate(table.column_names):
        kind = needs.kinds.get(name)
        if kind is None:
            continue
        column = _plain(table[name], kind)
        _check_type(name, column.type, kind)
        if kind == "numeric":
            _check_values(name, column)
        if kind == "weights":
            _check_weights(name, column, table[needs.lists_of[name]])
        table = table.set_column(position, name, column)
    return table


def _as_arrow(rows: Any, needs: Needs) -> pa.Table:
    if isinstance(rows, pa.Table):
        return rows
    if isinstance(rows, pd.DataFrame):
        columns = {str(name): rows[name] for name in rows.columns}
    elif isinstance(rows, Sequence) and all(isinstance(row, Mapping) for row in rows):
        names = dict.fromkeys(str(name) for row in rows for name in row)
        columns = {name: [row.get(name) for row in rows] for name in names}
    else:
        raise InputError(
            f"rows to score are {type(rows).__name__}; give a data frame, an Arrow or Ibis table, or a list of "
            "dictionaries"
        )
    known = {*needs.columns, *needs.rename}
    return pa.table({name: _array(name, values) for name, values in columns.items() if name in known})


def _array(name: str, values: Any) -> pa.Array:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise InputError(
            f"column '{name}' mixes types that do not go together ({error}); make them one type"
        ) from error


def _renames(columns: Sequence[str], needs: Needs) -> dict[str, str]:
    """{name here: name in the raw table}, for columns that come under their raw names."""
    return {here: there for there, here in needs.rename.items() if there in columns and here not in columns}


def _check_present(columns: Sequence[str], needs: Needs) -> None:
    missing = [name for name in needs.kinds if name not in columns]
    if not missing:
        return
    hints = [
        f"'{close[0]}' for '{name}'" for name in missing if (close := difflib.get_close_matches(name, columns, n=1))
    ]
    why = f" ('{needs.segment}' decides how predictions are corrected)" if needs.segment in missing else ""
    raise InputError(
        f"rows to score have no column {', '.join(repr(name) for name in missing)}{why}"
        + (f"; did you mean {', '.join(hints)}?" if hints else "; add it, with nulls where nothing is known")
    )


def _plain(column: pa.ChunkedArray, kind: str) -> pa.ChunkedArray:
    """Without dictionaries, and with a type where every value is null."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_null(column.type):
        wanted = {"numeric": pa.float64(), "categorical": pa.string(), "list": pa.list_(pa.string())}
        column = column.cast(wanted.get(kind, pa.list_(pa.float64())))
    return column


def _check_type(name: str, kind: pa.DataType, wanted: str) -> None:
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    of_numbers = is_list and (pa.types.is_integer(kind.value_type) or pa.types.is_floating(kind.value_type))
    fits = {
        "numeric": is_number or pa.types.is_boolean(kind),
        "categorical": not pa.types.is_nested(kind) and not pa.types.is_binary(kind),
        "list": is_list and not pa.types.is_nested(kind.value_type),
        "weights": of_numbers,
    }
    if not fits[wanted]:
        needed = {
            "numeric": "a number",
            "categorical": "one value a row",
            "list": "a list of values in each row",
            "weights": "a list of numbers in each row",
        }
        raise InputError(f"column '{name}' is {kind}, but the model reads it as {needed[wanted]}; convert it")


def _check_values(name: str, column: pa.ChunkedArray) -> None:
    if not pa.types.is_floating(column.type):
        return
    values = column.to_numpy()
    wrong = values[np.abs(values) > LARGEST]
    if len(wrong):
        raise InputError(
            f"column '{name}' holds {wrong[0]} ({len(wrong)} of {len(values)} rows), which is no number that a model "
            "can read; mend it, or leave it null"
        )


def _check_weights(name: str, column: pa.ChunkedArray, lists: pa.ChunkedArray) -> None:
    lengths = [pc.fill_null(pc.list_value_length(part), 0).to_numpy() for part in (column, lists)]
    if not np.array_equal(*lengths):
        row = int(np.flatnonzero(lengths[0] != lengths[1])[0])
        raise InputError(
            f"column '{name}' has {lengths[0][row]} weights for {lengths[1][row]} values in row {row}; mend it"
        )
    values = np.asarray(pc.list_flatten(column).to_numpy(), np.float64)
    wrong = values[~((values >= 0) & (values <= LARGEST))]
    if len(wrong):
        raise InputError(f"column '{name}' holds the weight {wrong[0]}; weights are numbers from 0 to {LARGEST:g}")
