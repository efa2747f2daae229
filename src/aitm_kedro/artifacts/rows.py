"""Raw rows, as people have them, as checked Arrow batches: what a predictor reads."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from aitm_kedro.artifacts.bundle import Manifest
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.core.funnel import IMPRESSION_ID
from aitm_kedro.tables.column_names import nearest_names
from aitm_kedro.tables.forms import Kind, can_read

Rows: TypeAlias = pd.DataFrame | pa.Table | ir.Table | Sequence[Mapping[str, Any]]
"""What a predictor takes."""

MEANING: Mapping[Kind, str] = {
    "categorical": "one value a row",
    "numeric": "a number",
    "list": "a list of values in each row",
    "weights": "a list of numbers in each row",
}

IF_NULL: Mapping[Kind, pa.DataType] = {
    "categorical": pa.string(),
    "numeric": pa.float64(),
    "list": pa.list_(pa.string()),
    "weights": pa.list_(pa.float64()),
}
"""Types of columns in which every value is null."""


@dataclass(frozen=True, kw_only=True)
class Needs:
    """Columns that a model reads.

    Attributes:
        kinds: column -> what the model takes it for.
        weights: list -> column of its weights.
        segment: column that decides the keep rate, or None.
        rename: name here -> name in the raw table.
    """

    kinds: Mapping[str, Kind]
    weights: Mapping[str, str]
    segment: str | None
    rename: Mapping[str, str]

    @classmethod
    def of(cls, manifest: Manifest, specs: Sequence[FeatureSpec]) -> Self:
        """What a bundle reads."""
        weights = {spec.name: spec.weights for spec in specs if spec.weights is not None}
        kinds: dict[str, Kind] = {spec.name: spec.kind for spec in specs}
        kinds |= dict.fromkeys(weights.values(), "weights")
        segment = manifest.funnel.segment if manifest.keep_rates.per_segment else None
        if segment is not None:
            kinds.setdefault(segment, "categorical")
        return cls(kinds=kinds, weights=weights, segment=segment, rename=manifest.rename)

    def find_in(self, columns: Sequence[str]) -> dict[str, str]:
        """{name here: name there} of every column that is read, and of the id if it is there.

        Rows come under the names of the project, or under the raw ones that ``ingestion.rename`` gives.

        Raises:
            InputError: a column is missing, or is there twice.
        """
        wanted = (IMPRESSION_ID, *self.kinds)
        raw = {here: there for here, there in self.rename.items() if here in wanted and there in columns}
        if all(here in columns for here in raw):
            raw = {}
        own = [name for name in columns if name not in raw.values()]
        found = {name: name if name in own else raw[name] for name in wanted if name in own or name in raw}
        self._check_present(found, columns)
        twice = sorted({there for there in found.values() if list(columns).count(there) > 1})
        if twice:
            raise InputError(f"rows to score have the column '{twice[0]}' more than once; keep one of them")
        return found

    def _check_present(self, found: Mapping[str, str], columns: Sequence[str]) -> None:
        missing = [name for name in self.kinds if name not in found]
        if not missing:
            return
        named = ", ".join(
            f"'{name}'" + (f" (or '{self.rename[name]}')" if name in self.rename else "") for name in missing
        )
        hints = [f"'{near}' for '{name}'" for name, near in nearest_names(missing, columns).items()]
        why = f" ('{self.segment}' decides how predictions are corrected)" if self.segment in missing else ""
        advice = f"did you mean {', '.join(hints)}?" if hints else "add it, with nulls where nothing is known"
        raise InputError(f"rows to score have no column {named}{why}; {advice}")


def as_batches(rows: Rows, *, needs: Needs, rows_at_once: int) -> pa.RecordBatchReader:
    """The columns that are needed, and the id, under the names of the project, in batches.

    Raises:
        InputError: a column is missing, mixes types, or rows are of a type that is not read.
    """
    if isinstance(rows, ir.Table):
        found = needs.find_in(rows.columns)
        chosen = rows.select(**{here: rows[there] for here, there in found.items()})
        return chosen.to_pyarrow_batches(chunk_size=rows_at_once)
    if isinstance(rows, pa.Table):
        found = needs.find_in(rows.column_names)
        table = pa.table({here: rows[there] for here, there in found.items()})
    else:
        table = _as_arrow(rows, needs)
    return table.to_reader(max_chunksize=rows_at_once)


def _as_arrow(rows: Any, needs: Needs) -> pa.Table:
    if isinstance(rows, pd.DataFrame):
        found = needs.find_in([str(name) for name in rows.columns])
        columns = {str(name): place for place, name in enumerate(rows.columns)}
        return pa.table({here: _array(there, rows.iloc[:, columns[there]]) for here, there in found.items()})
    if isinstance(rows, Sequence) and all(isinstance(row, Mapping) for row in rows):
        names = list(dict.fromkeys(name for row in rows for name in row)) if rows else list(needs.kinds)
        found = needs.find_in(names)
        return pa.table({here: _array(there, [row.get(there) for row in rows]) for here, there in found.items()})
    raise InputError(
        f"rows to score are {type(rows).__name__}; give a data frame, an Arrow or Ibis table, or a list of dictionaries"
    )


def _array(name: str, values: Any) -> pa.Array | pa.ChunkedArray:
    try:
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise InputError(
            f"column '{name}' holds values that do not go together in one type ({error}); make them one type"
        ) from error


def prepare(rows: pa.Table, needs: Needs) -> pa.Table:
    """The columns that the model reads, of types that can be what they are taken for; the encoder checks their values.

    Raises:
        InputError: a column is of another type.
    """
    columns = {name: _plain(rows[name], kind) for name, kind in needs.kinds.items()}
    for name, kind in needs.kinds.items():
        given = columns[name].type
        if not can_read(kind, ibis.dtype(given)):
            raise InputError(f"column '{name}' is {given}, but the model reads it as {MEANING[kind]}; convert it")
    return pa.table(columns)


def _plain(column: pa.ChunkedArray, kind: Kind) -> pa.ChunkedArray:
    """The column without types that mean the same: dictionaries, lists of other layouts, nulls of whatever type."""
    if column.null_count == len(column):  # an engine gives a column of nulls any type
        return pa.chunked_array([pa.nulls(len(column), IF_NULL[kind])])
    plain = _plain_type(column.type, kind)
    return column if column.type == plain else column.cast(plain)


def _plain_type(given: pa.DataType, kind: Kind) -> pa.DataType:
    if pa.types.is_dictionary(given):
        return _plain_type(given.value_type, kind)
    if pa.types.is_list(given) or pa.types.is_large_list(given) or pa.types.is_fixed_size_list(given):
        inside = given.value_type
        if pa.types.is_null(inside):  # every list is empty
            return IF_NULL[kind] if pa.types.is_list(IF_NULL[kind]) else given
        return pa.list_(inside.value_type if pa.types.is_dictionary(inside) else inside)
    if pa.types.is_fixed_size_binary(given):
        return pa.binary()
    return pa.float32() if pa.types.is_float16(given) else given
