"""Encoding: features become integer ids by the vocabulary, in the same way for training, test and new rows."""

from collections.abc import Mapping, Sequence

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir
import pandas as pd

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import (
    IMPRESSION_ID,
    IMPRESSION_TIME,
    ROW_WEIGHT,
    SEGMENT,
    Funnel,
    value_column,
    weights_column,
)
from aitm_kedro.core.ragged import LARGEST_WEIGHT as LARGEST
from aitm_kedro.tables.fingerprints import fingerprint_vocabulary, with_vocabulary
from aitm_kedro.tables.sampling import segment_of
from aitm_kedro.tables.values import as_category, as_number
from aitm_kedro.tables.vocabulary import as_table, read_kinds_and_edges


def encode_examples(
    table: ir.Table, vocabulary: ir.Table | pd.DataFrame, *, funnel: Funnel, features: Features
) -> ir.Table:
    """Encoded impressions in a fixed order: by time and id, or by id alone.

    Returns:
        impression_id, ``_segment`` and ``_row_weight`` (float32) if the funnel names columns for them, an int8 label
        for each step, then what ``encode_rows`` gives, and ``_vocabulary``, the fingerprint of the vocabulary.

    Raises:
        InputError: the table has not a column that the funnel, the features or the vocabulary name.
    """
    order = [name for name in (IMPRESSION_TIME, IMPRESSION_ID) if name in table.columns]
    known = {IMPRESSION_ID: table[IMPRESSION_ID], **_segments(table, funnel), **_row_weights(table, funnel)}
    # Under names of their own, for any of these columns may be a feature as well.
    context = {f"_context_{name}": column for name, column in known.items()}
    context |= {f"_context_{name}": table[name] for name in order}
    labels = {step: table[step].cast("int8") for step in funnel.steps}
    carry = [*context, *labels]
    encoded = encode_rows(table.mutate(**context, **labels), vocabulary, features=features, carry=carry)
    ordered = encoded.order_by([f"_context_{name}" for name in order]).select(
        **{name: encoded[f"_context_{name}"] for name in known},
        **{name: encoded[name] for name in encoded.columns if name not in context},
    )
    return with_vocabulary(ordered, fingerprint_vocabulary(vocabulary))


def _segments(table: ir.Table, funnel: Funnel) -> dict[str, ir.Value]:
    return {SEGMENT: segment_of(table, funnel)} if funnel.segment else {}


def _row_weights(table: ir.Table, funnel: Funnel) -> dict[str, ir.Value]:
    if funnel.row_weight is None:
        return {}
    if funnel.row_weight not in table.columns:
        raise InputError(
            f"funnel.row_weight names '{funnel.row_weight}', but the impressions have no such column; "
            "run ingestion again, which keeps it"
        )
    return {ROW_WEIGHT: as_number(table[funnel.row_weight]).cast("float32")}


def encode_rows(
    table: ir.Table, vocabulary: ir.Table | pd.DataFrame, *, features: Features, carry: Sequence[str] = ()
) -> ir.Table:
    """Features as models take them, row for row, in no particular order of rows.

    Args:
        table: features as they come, as training has seen them or as a service sends them; no labels are needed.
        vocabulary: what ``learn_vocabulary`` returned, or its table.
        features: the columns; those that the vocabulary has not (constant in train) may be missing.
        carry: columns of the table to hand on as they are, under names that no feature has.

    Returns:
        ``carry``, then the fields: an int32 id for each feature of the vocabulary, in the order of ``features``, or a
        list of ids for a list (the one id 0 if it is empty or null). Then, beside the ids, the float32 value of each
        numeric feature, which trees split better than bins, and the float32 weights of each list that has some.

    Raises:
        InputError: a feature of the vocabulary, or the weights of one, are not in the table.
    """
    words = as_table(vocabulary)
    kinds, edges = read_kinds_and_edges(words)
    fields = [name for name in features.names if name in kinds]
    _check_columns(table, features, fields)
    beside = _beside(table, features, kinds)
    keys = {name: _key(table[name], kinds[name]) for name in fields}
    found = _look_up(table.select(*carry, **keys, **beside), table, words, {name: kinds[name] for name in fields})
    ids = {
        "numeric": lambda name: bin_of(found[name], edges[name]),
        "categorical": lambda name: found[f"_id_{name}"].fill_null(0).cast("int32"),
        "list": lambda name: found[f"_id_{name}"].fill_null(ibis.array([0]).cast("array<int32>")),
    }
    return found.select(*carry, **{name: ids[kinds[name]](name) for name in fields}, **{n: found[n] for n in beside})


def _check_columns(table: ir.Table, features: Features, fields: Sequence[str]) -> None:
    missing = [name for name in fields if name not in table.columns]
    if missing:
        raise InputError(f"the vocabulary has features that the table has not: {', '.join(missing)}")
    weights = [feature.weights for feature in features.lists if feature.name in fields and feature.weights]
    missing = [name for name in weights if name not in table.columns]
    if missing:
        raise InputError(f"features.lists names weights that the table has not: {', '.join(missing)}")


def _beside(table: ir.Table, features: Features, kinds: Mapping[str, str]) -> dict[str, ir.Value]:
    """What stands beside the ids: values of numbers, weights of lists."""
    values = {value_column(name): _as_float32(table[name]) for name in features.numeric if name in kinds}
    weights = {
        weights_column(feature.name): _weights_of(table[feature.weights])
        for feature in features.lists
        if feature.weights is not None and feature.name in kinds
    }
    return values | weights


def _as_float32(column: ir.Column) -> ir.FloatingColumn:
    """The column as float32; what is too large for one, on which a cast would fail, becomes the largest."""
    number = as_number(column)
    bounded = ibis.cases((number > LARGEST, LARGEST), (number < -LARGEST, -LARGEST), else_=number)
    return bounded.cast("float32")


def _weights_of(column: ir.ArrayColumn) -> ir.ArrayColumn:
    """Weights of a list; a list without any value has the one id 0, of weight 1."""
    is_filled = (column.length() > 0).fill_null(False)
    return is_filled.ifelse(column.cast("array<float32>"), ibis.array([1.0]).cast("array<float32>"))


def _look_up(keys: ir.Table, table: ir.Table, words: ir.Table, kinds: Mapping[str, str]) -> ir.Table:
    """Join the ids of categorical features and lists to their keys, as ``_id_<name>``; null for what is not known."""
    for name, kind in kinds.items():
        if kind == "numeric":
            continue
        coded = _encode_lists(table, words, name) if kind == "list" else _words_of(words, name, keys[name].type())
        coded = coded.select(**{f"_key_{name}": coded["key"], f"_id_{name}": coded["id"]})
        keys = keys.left_join(coded, keys[name] == coded[f"_key_{name}"])
    return keys


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


def bin_of(value: ir.FloatingColumn, edges: Sequence[float]) -> ir.IntegerValue:
    """Id of the bin of each value: 0 for null, else 1 and one more for each edge that is not above the value.

    Args:
        value: numbers, no NaN.
        edges: where a new bin begins, rising.
    """

    def search(low: int, high: int) -> ir.IntegerValue:
        """Find the id among low .. high by halving them: five comparisons a row for 32 bins."""
        if low == high:
            return ibis.literal(low, "int32")
        middle = (low + high + 1) // 2  # the bin that begins at edges[middle - 2]
        return (value < ibis.literal(float(edges[middle - 2]))).ifelse(search(low, middle - 1), search(middle, high))

    return value.isnull().ifelse(ibis.literal(0, "int32"), search(1, len(edges) + 1))
