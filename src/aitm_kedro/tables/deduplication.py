"""Deduplication: one row for each impression_id; repeated rows are left out, contradicting outcomes are errors."""

from collections.abc import Sequence
from dataclasses import dataclass

import ibis
import ibis.expr.types as ir
import pyarrow.compute as pc

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import IMPRESSION_ID, IMPRESSION_TIME
from aitm_kedro.tables.sentences import counted

FEW = 200_000
"""Repeated rows that are held in memory."""


@dataclass(frozen=True, kw_only=True)
class Deduplicated:
    """Unique impressions, and how many rows were left out.

    Attributes:
        table: one row for each impression_id.
        exact: rows left out that equal the one kept, or another one left out, in every column.
        other: rows left out that have the same id and outcomes, but other features.
    """

    table: ir.Table
    exact: int
    other: int


def deduplicate(table: ir.Table, *, outcomes: Sequence[str]) -> Deduplicated:
    """Keep the first row of each impression_id, by time and then by every column.

    Only rows whose id is repeated are ever sorted; the rest of the table streams past.

    Args:
        table: typed columns.
        outcomes: label or event time columns, which must agree between rows of one id.

    Raises:
        InputError: rows of one id have different outcomes.
    """
    counts = table.group_by(IMPRESSION_ID).agg(_rows=lambda t: t.count())
    # Fetched (ids alone, of repeated rows alone): else each later query would count the ids of the whole table again.
    found = counts.filter(counts["_rows"] > 1).to_pyarrow()
    if found.num_rows == 0:
        return Deduplicated(table=table, exact=0, other=0)
    rows, repeated = pc.sum(found["_rows"]).as_py(), ibis.memtable(found.select([IMPRESSION_ID]))
    copies = table.semi_join(repeated, IMPRESSION_ID)
    if rows <= FEW:  # fetched as well: else each of the queries below would read the whole table
        copies = ibis.memtable(copies.to_pyarrow(), schema=copies.schema())
    _check_outcomes(copies, outcomes)
    distinct = int(copies.distinct().count().execute())
    order = [name for name in (IMPRESSION_TIME, *table.columns) if name in table.columns]
    place = ibis.row_number().over(ibis.window(group_by=IMPRESSION_ID, order_by=list(dict.fromkeys(order))))
    first = copies.mutate(_place=place).filter(lambda t: t["_place"] == 0).drop("_place")
    singles = table.anti_join(repeated, IMPRESSION_ID)
    return Deduplicated(table=singles.union(first), exact=rows - distinct, other=distinct - found.num_rows)


def _check_outcomes(copies: ir.Table, outcomes: Sequence[str]) -> None:
    differs = [
        (copies[name].min() != copies[name].max()).fill_null(False)
        | ((copies[name].count() > 0) & (copies[name].count() < copies.count()))
        for name in outcomes
    ]
    conflicts = copies.group_by(IMPRESSION_ID).agg(_differs=ibis.or_(*differs)).filter(lambda t: t["_differs"])
    found = conflicts.aggregate(ids=conflicts.count(), example=conflicts[IMPRESSION_ID].min()).to_pandas()
    ids, example = found.iloc[0]
    if ids:
        raise InputError(
            f"column '{IMPRESSION_ID}' has {counted(int(ids), 'value')} in several rows with different outcomes "
            f"({', '.join(outcomes)}), for example {example}; an impression has one outcome, so mend the rows, or give "
            "each its own id"
        )
