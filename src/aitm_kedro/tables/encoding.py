"""Integer ids for features: the same for training and serving."""

from collections.abc import Sequence

import ibis
import ibis.expr.types as ir
import pandas as pd

from aitm_kedro.errors import InputError
from aitm_kedro.funnel import IMPRESSION_ID, IMPRESSION_TIME, SEGMENT, Funnel, value_column
from aitm_kedro.parameters import Features
from aitm_kedro.tables.sampling import segment_of
from aitm_kedro.tables.values import as_category, as_number
from aitm_kedro.tables.vocabulary import as_table


def encode_examples(
    table: ir.Table, vocabulary: ir.Table | pd.DataFrame, *, funnel: Funnel, features: Features
) -> ir.Table:
    """Encoded impressions in a fixed order: by time and id, or by id alone.

    Returns:
        impression_id, ``_segment`` if the funnel has one, an int8 label for each step, an int32 id for each feature
        of the vocabulary, and for each numeric one its float32 value, which trees split better than bins.

    Raises:
        InputError: a feature of the vocabulary is not in the table.
    """
    segment = {SEGMENT: segment_of(table, funnel)} if funnel.segment else {}
    order = [name for name in (IMPRESSION_TIME, IMPRESSION_ID) if name in table.columns]
    labels = {step: table[step].cast("int8") for step in funnel.steps}
    # Under names of their own, for any of these columns may be a feature as well.
    context = {f"_context_{name}": column for name, column in segment.items()}
    context |= {f"_context_{name}": table[name] for name in order}
    context |= {
        f"_context_{value_column(name)}": as_number(table[name])
        for name in features.numeric
        if name in table.columns  # what is missing is complained of below
    }
    encoded = encode_features(table.mutate(**context), vocabulary, names=features.names, carry=[*context, *labels])
    fields = [name for name in encoded.columns if name not in context and name not in labels]
    numeric = [name for name in fields if name in features.numeric]
    return encoded.order_by([f"_context_{name}" for name in order]).select(
        **{name: encoded[f"_context_{name}"] for name in (IMPRESSION_ID, *segment)},
        **{step: encoded[step].cast("int8") for step in labels},
        **{name: encoded[name] for name in fields},
        **{value_column(name): encoded[f"_context_{value_column(name)}"].cast("float32") for name in numeric},
    )


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
        ``carry`` and then the encoded features.
    """
    words = as_table(vocabulary) if isinstance(vocabulary, pd.DataFrame) else vocabulary
    kinds, edges = _read_small_parts(words)
    fields = [name for name in names if name in kinds]
    missing = [name for name in fields if name not in table.columns]
    if missing:
        raise InputError(f"the vocabulary has features that the table has not: {', '.join(missing)}")
    joined = table.select(
        *carry,
        **{
            name: as_category(table[name])
            if kinds[name] == "categorical"
            else bin_of(as_number(table[name]), edges[name])
            for name in fields
        },
    )
    ids: dict[str, ir.Value] = {}
    for name in fields:
        if kinds[name] == "categorical":
            known = words.filter((words["feature"] == name) & (words["id"] > 0))
            known = known.select(**{f"_value_{name}": known["value"], f"_id_{name}": known["id"]})
            joined = joined.left_join(known, joined[name] == known[f"_value_{name}"])
    for name in fields:
        source = f"_id_{name}" if kinds[name] == "categorical" else name
        ids[name] = joined[source].fill_null(0).cast("int32")
    return joined.select(*carry, **ids)


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
