"""The vocabulary: which ids each feature has, by a frequency filter and quantile bins, learnt from train alone."""

import logging
from collections.abc import Collection, Mapping, Sequence

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd
import pyarrow as pa

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.tables.parameters import VocabularyOptions
from aitm_kedro.tables.sentences import join_names, percent
from aitm_kedro.tables.values import as_category, as_number, small_table, without_nan

logger = logging.getLogger(__name__)

SCHEMA = {
    "feature": pa.string(),
    "kind": pa.string(),
    "id": pa.int32(),
    "value": pa.string(),
    "lower": pa.float64(),
    "upper": pa.float64(),
    "count": pa.int64(),
}


NEARLY_UNIQUE = 0.9
"""Share of a feature's values without an id of their own from which on it is warned of; a long tail has some 15 %."""


def learn_vocabulary(table: ir.Table, features: Features, options: VocabularyOptions) -> pd.DataFrame:
    """Learn the ids of every feature, one narrow query a feature.

    Categorical: id 0 is rare, unseen or null; then values by count (descending) and value. List: the same, of all
    values of all rows; id 0 also stands for a row without any. Numeric: id 0 is null; then quantile bins
    [lower, upper) in rising order. Every feature has a row of id 0; constant features have none at all. Warns of
    constant features and of nearly unique ones.

    Args:
        table: counted impressions.
        features: the columns.
        options: threshold and number of bins.

    Returns:
        A frame with the columns of ``SCHEMA``, features in their order, ids rising.

    Raises:
        InputError: a feature is wholly null, or all features are constant.
    """
    rows, known = _count_known(table, features)
    learnt = {}
    for name in features.names:
        if name in features.numeric:
            learnt[name] = _learn_bins(table, name, rows=rows, known=known[name], bins=options.bins)
        else:
            kind = "categorical" if name in features.categorical else "list"
            learnt[name] = _learn_values(table, name, kind=kind, rows=rows, min_count=options.threshold)
    constant = [name for name, part in learnt.items() if (part["count"] > 0).sum() <= 1]
    rare = {name: _share_of_rare(part, nulls=rows - known[name]) for name, part in learnt.items()}
    _warn_of_constant([name for name in constant if rare[name] < NEARLY_UNIQUE], rows=rows)
    _warn_of_nearly_unique(rare, constant, min_count=options.threshold)
    if len(constant) == len(learnt):
        raise InputError(
            f"every feature is constant among the {rows:,} counted train impressions; check the parameter 'features', "
            f"or lower vocabulary.min_count ({options.threshold})"
        )
    return pd.concat([part for name, part in learnt.items() if name not in constant], ignore_index=True)


def _share_of_rare(part: pd.DataFrame, *, nulls: int) -> float:
    """Share of the known values of a feature that have no id of their own, because each occurs too rarely; numeric: 0.

    Args:
        part: ids of the feature.
        nulls: rows without a value, which have id 0 as well.
    """
    without_id = int(part["count"].iloc[0]) - nulls
    return without_id / (without_id + int(part["count"].iloc[1:].sum()))


def _warn_of_constant(names: Sequence[str], *, rows: int) -> None:
    if names:
        logger.warning(
            f"{_features_are([repr(name) for name in names])} constant among the {rows:,} counted train impressions "
            "and therefore left out; check where the values come from, or take them out of features."
        )


def _warn_of_nearly_unique(rare: Mapping[str, float], constant: Collection[str], *, min_count: int) -> None:
    names = [
        f"{name!r} ({percent(share, 1)}{', left out' if name in constant else ''})"
        for name, share in sorted(rare.items(), key=lambda item: -item[1])
        if share >= NEARLY_UNIQUE
    ]
    if names:
        logger.warning(
            f"{_features_are(names)} nearly unique, as ids of requests are: for that share of the counted train "
            f"impressions the value occurs fewer than {min_count} times (vocabulary.min_count), and all such values "
            "have one id together; group them, lower min_count, or take such columns out of features."
        )


def _features_are(names: Sequence[str]) -> str:
    return f"Feature{'s' if len(names) > 1 else ''} {join_names(names)} {'are' if len(names) > 1 else 'is'}"


def _count_known(table: ir.Table, features: Features) -> tuple[int, Mapping[str, int]]:
    """Number of rows, and of those where each feature is not null, and no empty list."""
    present = {
        **{name: without_nan(table[name]).notnull() for name in features.categorical + features.numeric},
        **{feature.name: (table[feature.name].length() > 0).fill_null(False) for feature in features.lists},
    }
    counts = table.aggregate(
        [
            table.count().name("rows"),
            *(table.count(where=known).name(f"known_{name}") for name, known in present.items()),
        ]
    )
    first = counts.to_pandas().iloc[0]
    known = {name: int(first[f"known_{name}"]) for name in present}
    empty = [name for name, count in known.items() if count == 0]
    if empty:
        raise InputError(
            f"feature {', '.join(repr(name) for name in empty)} is null in all {first['rows']:,} counted train "
            "impressions; fill it or take it out of features"
        )
    return int(first["rows"]), known


def _learn_values(table: ir.Table, name: str, *, kind: str, rows: int, min_count: int) -> pd.DataFrame:
    """Values that occur often enough; all other ids of the rows are 0."""
    counts = count_values(table, name)
    # A list has as many ids as values, and one if it is empty or null.
    lengths = ibis.greatest(table[name].length().fill_null(0), 1) if kind == "list" else None
    ids = rows if lengths is None else int(lengths.sum().execute())
    kept = counts.filter((counts["count"] >= min_count) & counts["value"].notnull())
    frame = kept.order_by([ibis.desc("count"), "value"]).to_pandas()
    return _frame(
        name,
        kind,
        value=[None, *frame["value"]],
        lower=np.nan,
        upper=np.nan,
        count=[ids - int(frame["count"].sum()), *frame["count"]],
    )


def count_values(table: ir.Table, name: str) -> ir.Table:
    """How often each value occurs, in all lists if the column holds lists: value (text, or null), count."""
    column = table[name]
    values = table.select(value=column.unnest() if column.type().is_array() else column)
    if not values["value"].type().is_integer():
        values = values.select(value=as_category(values["value"]))
    counts = values.group_by("value").agg(count=lambda t: t.count())
    return counts.select(value=as_category(counts["value"]), count=counts["count"])  # text of few values, not of all


def count_ids(table: ir.Table, name: str, *, min_count: int) -> int:
    """Ids that a categorical feature would have, id 0 included."""
    counts = count_values(table, name)
    return 1 + int(counts.filter((counts["count"] >= min_count) & counts["value"].notnull()).count().execute())


def _learn_bins(table: ir.Table, name: str, *, rows: int, known: int, bins: int) -> pd.DataFrame:
    """Bins of about equal size. Equal values share a bin: edges that fall on one value count once.

    The row of rank r (from 0, in order of value) lies in quantile floor(r * bins / known); a bin starts at each value
    with which a new quantile begins.
    """
    values = table.select(value=as_number(table[name])).filter(lambda t: t["value"].notnull())
    counts = values.group_by("value").agg(rows=lambda t: t.count())
    running = ibis.cumulative_window(order_by="value")
    counts = counts.mutate(upto=counts["rows"].sum().over(running))
    starts = ((counts["upto"] - 1) * bins) // known > ((counts["upto"] - counts["rows"] - 1) * bins) // known
    counts = counts.mutate(starts=starts.cast("int64"))
    counts = counts.mutate(bin=counts["starts"].sum().over(running))
    found = counts.group_by("bin").agg(lower=lambda t: t["value"].min(), rows=lambda t: t["rows"].sum())
    frame = found.order_by("bin").to_pandas()
    lower = [-np.inf, *frame["lower"].iloc[1:]]  # a value below all those seen belongs to the first bin
    return _frame(
        name,
        "numeric",
        value=None,
        lower=[np.nan, *lower],
        upper=[np.nan, *lower[1:], np.inf],
        count=[rows - known, *frame["rows"]],
    )


def _frame(name: str, kind: str, **columns: object) -> pd.DataFrame:
    frame = pd.DataFrame({"feature": name, "kind": kind, "id": 0, **columns})
    frame["id"] = np.arange(len(frame), dtype=np.int32)
    return frame.astype({"value": object, "lower": float, "upper": float, "count": "int64"})[list(SCHEMA)]


def as_table(vocabulary: ir.Table | pd.DataFrame) -> ir.Table:
    """The vocabulary as a table that the catalog can save; one that is a table already stays as it is."""
    return small_table(vocabulary, SCHEMA) if isinstance(vocabulary, pd.DataFrame) else vocabulary


def read_kinds_and_edges(vocabulary: ir.Table) -> tuple[dict[str, str], dict[str, tuple[float, ...]]]:
    """Kind of each feature, and where the bins of the numeric ones begin, from the second bin on.

    The engine filters before anything is fetched: of other features, whose values may be millions, one row each.
    """
    small = vocabulary.filter((vocabulary["id"] == 0) | (vocabulary["kind"] == "numeric"))
    frame = small.select("feature", "kind", "id", "lower").order_by(["feature", "id"]).to_pandas()
    kinds = dict(zip(frame["feature"], frame["kind"], strict=True))
    bins = frame[frame["id"] > 0]
    return kinds, {str(name): tuple(part["lower"].iloc[1:].tolist()) for name, part in bins.groupby("feature")}
