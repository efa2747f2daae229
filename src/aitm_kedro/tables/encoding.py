"""Integer ids for features: the same for training and serving."""

from collections.abc import Sequence

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandas as pd

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import IMPRESSION_ID, IMPRESSION_TIME, SEGMENT, Funnel, value_column, weights_column
from aitm_kedro.tables.sampling import segment_of
from aitm_kedro.tables.values import as_category, as_number
from aitm_kedro.tables.vocabulary import as_table


def encode_examples(
    table: ir.Table, vocabulary: ir.Table | pd.DataFrame, *, funnel: Funnel, features: Features
) -> ir.Table:
    """Encoded impressions in a fixed order: by time and id, or by id alone.

    Returns:
        impression_id, ``_segment`` if the funnel has one, an int8 label for each step, an int32 id (a list of them for
        a list feature) for each feature of the vocabulary, for each numeric one its float32 value, which trees split
        better than bins, and for each list with weights these as float32, as many as ids.

    Raises:
        InputError: a feature of the vocabulary is not in the table.
    """
    segment = {SEGMENT: segment_of(table, funnel)} if funnel.segment else {}
    order = [name for name in (IMPRESSION_TIME, IMPRESSION_ID) if name in table.columns]
    labels = {step: table[step].cast("int8") for step in funnel.steps}
    beside = _beside(table, features)
    # Under names of their own, for any of these columns may be a feature as well.
    context = {f"_context_{name}": column for name, column in (segment | beside).items()}
    context |= {f"_context_{name}": table[name] for name in order}
    encoded = encode_features(table.mutate(**context), vocabulary, names=features.names, carry=[*context, *labels])
    fields = [name for name in encoded.columns if name not in context and name not in labels]
    kept = [name for field in fields for name in (value_column(field), weights_column(field)) if name in beside]
    return encoded.order_by([f"_context_{name}" for name in order]).select(
        **{name: encoded[f"_context_{name}"] for name in (IMPRESSION_ID, *segment)},
        **{step: encoded[step].cast("int8") for step in labels},
        **{name: encoded[name] for name in fields},
        **{name: encoded[f"_context_{name}"] for name in kept},
    )


def _beside(table: ir.Table, features: Features) -> dict[str, ir.Value]:
    """What stands beside the ids: values of numbers, weights of lists. Features that are missing are named later."""
    missing = [name for name in features.weights if name not in table.columns]
    if missing:
        raise InputError(f"features.lists names weights that the table has not: {', '.join(missing)}")
    values = {
        value_column(name): as_number(table[name]).cast("float32") for name in features.numeric if name in table.columns
    }
    weights = {
        weights_column(feature.name): (table[feature.weights].length() > 0)
        .fill_null(False)
        .ifelse(table[feature.weights].cast("array<float32>"), ibis.array([1.0]).cast("array<float32>"))
        for feature in features.lists
        if feature.weights is not None
    }
    return values | weights


def encode_features(
    table: ir.Table, vocabulary: ir.Table | pd.DataFrame, *, names: Sequence[str], carry: Sequence[str] = ()
) -> ir.Table:
    """Replace features by their int32 ids, row for row.

    Args:
        table: features as they come.
        vocabulary: what ``learn_vocabulary`` returned, or its table.
        names: the features, in the order wanted; those that the vocabulary has not are left out.
        carry: columns to hand on as they are.

    Returns:
        ``carry`` and then the encoded features; a row without any value in a list has the one id 0.
    """
    words = as_table(vocabulary) if isinstance(vocabulary, pd.DataFrame) else vocabulary
    kinds, edges = _read_small_parts(words)
    fields = [name for name in names if name in kinds]
    missing = [name for name in fields if name not in table.columns]
    if missing:
        raise InputError(f"the vocabulary has features that the table has not: {', '.join(missing)}")
    joined = table.select(*carry, **{name: _key(table[name], kinds[name]) for name in fields})
    for name in fields:
        if kinds[name] == "numeric":
            continue
        lists = kinds[name] == "list"
        coded = _encode_lists(table, words, name) if lists else _words_of(words, name, joined[name].type())
        coded = coded.select(**{f"_key_{name}": coded["key"], f"_id_{name}": coded["id"]})
        joined = joined.left_join(coded, joined[name] == coded[f"_key_{name}"])
    ids = {
        "numeric": lambda name: bin_of(joined[name], edges[name]),
        "categorical": lambda name: joined[f"_id_{name}"].fill_null(0).cast("int32"),
        "list": lambda name: joined[f"_id_{name}"].fill_null(ibis.array([0]).cast("array<int32>")),
    }
    return joined.select(*carry, **{name: ids[kinds[name]](name) for name in fields})


def _key(column: ir.Column, kind: str) -> ir.Column:
    """What the id of a value is found by."""
    if kind == "numeric":
        return as_number(column)
    return _list_key(column) if kind == "list" else _as_key(column)


def _as_key(column: ir.Column) -> ir.Column:
    """What is looked up: integers as they are, which are quick to compare, all others as text."""
    return column if column.type().is_integer() else as_category(column)


def _words_of(words: ir.Table, name: str, kind: dt.DataType) -> ir.Table:
    """The values of a feature as keys of this type, with their ids."""
    known = words.filter((words["feature"] == name) & (words["id"] > 0))
    if kind.is_string():
        return known.select(key=known["value"], id=known["id"])
    keys = known.select(key=known["value"].try_cast(kind), id=known["id"], value=known["value"])
    # "007" is a value of text, not the number 7.
    return keys.filter(keys["key"].cast("string") == keys["value"]).select("key", "id")


def _list_key(column: ir.ArrayColumn) -> ir.StringColumn:
    """The same for equal lists alone, and short; null for an empty list."""
    texts = column.map(lambda value: _as_text(value).fill_null("-"))
    return (column.length() > 0).ifelse(texts.join(",").hexdigest("md5"), ibis.null("string"))


def _as_text(value: ir.Value) -> ir.StringValue:
    """An element, in a way that tells where it ends."""
    text = as_category(value)
    return text if value.type().is_integer() else text.length().cast("string") + ":" + text


def _encode_lists(table: ir.Table, words: ir.Table, name: str) -> ir.Table:
    """Ids of every different list, in the order of its values; lists that many rows share are taken apart once."""
    lists = table.select(key=_list_key(table[name]), elements=table[name])
    lists = lists.filter(lists["key"].notnull()).group_by("key").agg(elements=lambda t: t["elements"].arbitrary())
    each = lists.unnest("elements", offset="place")
    each = each.select("key", "place", element=_as_key(each["elements"]))
    known = _words_of(words, name, each["element"].type()).rename(_key="key", _id="id")
    found = each.left_join(known, each["element"] == known["_key"])
    placed = found.select(
        "key", one=ibis.struct({"place": found["place"], "id": found["_id"].fill_null(0).cast("int32")})
    )
    coded = placed.group_by("key").agg(ids=placed["one"].collect())
    return coded.select("key", id=coded["ids"].sort().map(lambda one: one["id"]))


def bin_of(value: ir.FloatingColumn, lower: Sequence[float]) -> ir.IntegerValue:
    """Id of the bin of each value: 0 for null, k where lower[k-1] <= value < lower[k].

    Args:
        value: numbers, no NaN.
        lower: rising lower edges of the bins; the first is taken as minus infinity.
    """

    def search(low: int, high: int) -> ir.IntegerValue:
        """Halve bins low..high (from 1, both included): five comparisons a row for 32 bins."""
        if low == high:
            return ibis.literal(low, "int32")
        middle = (low + high + 1) // 2
        return (value < ibis.literal(float(lower[middle - 1]))).ifelse(search(low, middle - 1), search(middle, high))

    return value.isnull().ifelse(ibis.literal(0, "int32"), search(1, len(lower)))


def _read_small_parts(words: ir.Table) -> tuple[dict[str, str], dict[str, list[float]]]:
    """Kind of each feature, and the lower edges of the numeric ones."""
    small = words.filter((words["id"] == 0) | (words["kind"] == "numeric")).order_by(["feature", "id"]).to_pandas()
    kinds = dict(zip(small["feature"], small["kind"], strict=True))
    bins = small[small["id"] > 0]
    return kinds, {str(name): part["lower"].tolist() for name, part in bins.groupby("feature")}
