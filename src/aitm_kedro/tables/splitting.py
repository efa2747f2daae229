"""Splits impressions into train, validation and test: by order of time, by dates, or as the source says."""

from datetime import datetime

import ibis
import ibis.expr.types as ir

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import IMPRESSION_TIME
from aitm_kedro.tables.hashing import in_share, row_hash
from aitm_kedro.tables.parameters import Split
from aitm_kedro.tables.values import naive_utc

PARTS = ("train", "valid", "test")


def split_impressions(table: ir.Table, split: Split, *, aside: str = "") -> dict[str, ir.Table]:
    """The rows of each of 'train', 'valid' and 'test'.

    Args:
        table: impressions.
        split: how they are divided.
        aside: what to add to a complaint about a part without rows, such as where rows have gone before.

    Raises:
        InputError: the split cannot be made, or a part of it is empty.
    """
    parts = _by_column(table, split) if split.by == "column" else _by_time(table, split)
    tables = {name: table.filter(parts[name]) for name in PARTS}
    # Whether there is a row is quick to say; only the complaint counts them.
    empty = [name for name, part in tables.items() if not part.limit(1).count().execute()]
    if empty:
        found = ", ".join(f"{name} {part.count().execute():,}" for name, part in tables.items())
        raise InputError(
            f"the split by {split.by} leaves {' and '.join(empty)} empty (rows: {found}); change the parameter 'split'"
            f"{aside}"
        )
    return tables


def _by_time(table: ir.Table, split: Split) -> dict[str, ir.BooleanValue]:
    if IMPRESSION_TIME not in table.columns:
        raise InputError(
            f"split.by is '{split.by}', but the impressions have no column '{IMPRESSION_TIME}'; "
            "add it, or split by a column"
        )
    if split.by == "dates":
        assert split.valid_from is not None
        assert split.test_from is not None
        valid_from, test_from = naive_utc(split.valid_from), naive_utc(split.test_from)
    else:
        valid_from, test_from = share_cuts(table, [split.train_share, split.train_share + split.valid_share])
    moment = table[IMPRESSION_TIME]
    start, end = ibis.literal(valid_from), ibis.literal(test_from)
    return {"train": moment < start, "valid": (moment >= start) & (moment < end), "test": moment >= end}


def share_cuts(table: ir.Table, shares: list[float]) -> list[datetime]:
    """For each share, the time of the row that stands there in order of time; the row and its equals go behind the cut.

    Days are counted first and only the rows of one day are ordered, so that the log never is.
    """
    per_day = table.group_by(day=table[IMPRESSION_TIME].truncate("D")).agg(rows=lambda t: t.count())
    days = per_day.order_by("day").to_pandas()
    upto = days["rows"].cumsum()
    cuts = []
    for share in shares:
        rank = min(round(share * int(upto.iloc[-1])), int(upto.iloc[-1]) - 1)
        place = int((upto > rank).idxmax())
        before = int(upto[place] - days["rows"][place])
        cuts.append(_time_at(table, days["day"][place].to_pydatetime(), rank - before))
    return cuts


def _time_at(table: ir.Table, day: datetime, rank: int) -> datetime:
    """Time of the row with this 0-based rank among the rows of the day."""
    rows = table.filter(table[IMPRESSION_TIME].truncate("D") == ibis.literal(day))
    counts = rows.group_by(IMPRESSION_TIME).agg(rows=lambda t: t.count())
    upto = counts["rows"].sum().over(ibis.cumulative_window(order_by=IMPRESSION_TIME))
    behind = counts.mutate(upto=upto).filter(lambda t: t["upto"] > rank)
    found: datetime = behind[IMPRESSION_TIME].min().execute().to_pydatetime()
    return found


def _by_column(table: ir.Table, split: Split) -> dict[str, ir.BooleanValue]:
    assert split.column is not None
    if split.column not in table.columns:
        raise InputError(f"split.column names '{split.column}', but the impressions have no such column")
    said = table[split.column].cast("string")
    values = set(table.select(said=said.fill_null("null")).distinct().limit(100).to_pandas()["said"])
    strange = sorted(values.difference(PARTS))
    if strange:
        raise InputError(f"column '{split.column}' must hold train, (valid,) or test, but also holds {strange[0]}")
    if "valid" in values:
        return {name: said == name for name in PARTS}
    hashed = in_share(row_hash(table, purpose="valid", seed=split.seed), split.valid_share)
    train = said == "train"
    return {"train": train & ~hashed, "valid": train & hashed, "test": said == "test"}
