"""A table as people have them has the same ids in the pipeline and in the predictor that its bundle becomes."""

from decimal import Decimal

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from aitm_kedro.artifacts.encoder import Encoder
from aitm_kedro.artifacts.rows import Needs, as_batches, prepare
from aitm_kedro.core.example_store import examples_of
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.pipelines.ingestion.nodes import ingest_impressions
from aitm_kedro.tables.encoding import encode_examples
from aitm_kedro.tables.parameters import Ingestion, Split, VocabularyOptions
from aitm_kedro.tables.vocabulary import SCHEMA, learn_vocabulary

ROWS = 400
FUNNEL = Funnel(steps=("click",), main_steps=("click",), segment="bank")
FEATURES = Features(
    categorical=("city", "hour", "code", "price", "member", "day"),
    numeric=("spend", "orders"),
    lists=({"name": "tags", "separator": "|"}, {"name": "words", "weights": "counts"}, "plain"),
)
KINDS = {
    **dict.fromkeys((*FEATURES.categorical, "bank"), "categorical"),
    **dict.fromkeys(FEATURES.numeric, "numeric"),
    "tags": "list",
    "words": "list",
    "counts": "weights",
    "plain": "list",
}


def dirty(seed=0):
    """Rows in which no column is what the models take."""
    draw = np.random.default_rng(seed)

    def pick(*values):
        return [values[place] for place in draw.integers(len(values), size=ROWS)]

    hours = pick(1.0, 2.0, 12.0, None)
    pairs = pick(("[1, 2]", "[0.5, 1]"), ("[2.0]", "[3]"), ("[]", "[]"), ("", None), (None, ""))
    return pa.table(
        {
            "impression_id": range(ROWS),
            "click": pick("yes", "No", " y ", "f"),
            "bank": pick(b"north", "süd".encode(), b" north ", b"\xff\x00", None),
            "city": pick("a", " a", "b ", "", "  ", None, "c" * 5000),
            "hour": pa.array(hours, pa.float64()),
            "code": pick(b"x", b"x ", b"\xfe", "ä".encode(), None),
            "price": pa.array(pick(Decimal("1.00"), Decimal("2.50"), None), pa.decimal128(9, 2)),
            "member": pick(True, False, None),
            "day": pa.array(pick(0, 1, None), pa.int32()).cast(pa.date32()),
            "spend": pick("1.5", " 2", "1e2", "", "nan", None),
            "orders": pick(1.0, 2.0, float("nan"), None),
            "tags": pick("a|b", " a |c|", "", "|", None, "b||a"),
            "words": [pair[0] for pair in pairs],
            "counts": [pair[1] for pair in pairs],
            "plain": pick(["a", " b"], [], None, [None, "c "]),
        }
    )


@pytest.fixture(scope="module", params=[False, True], ids=["as it is", "trimmed"])
def both(request):
    """The vocabulary that the pipeline learns, its examples, and a way to encode rows as a predictor does."""
    trim, connection = request.param, ibis.duckdb.connect(threads=2)
    table = connection.create_table("raw", dirty())
    impressions, _, _ = ingest_impressions(table, {}, FUNNEL, FEATURES, Split(), Ingestion(trim=trim))
    vocabulary = learn_vocabulary(impressions, FEATURES, VocabularyOptions(bins=4, min_count=1))
    encoded = encode_examples(impressions, vocabulary, funnel=FUNNEL, features=FEATURES).to_pyarrow()
    words = pa.Table.from_pandas(vocabulary, schema=pa.schema(SCHEMA), preserve_index=False)
    encoder = Encoder(words, features=FEATURES, segmented_by=FUNNEL, trim=trim, threads=2)
    needs = Needs(kinds=KINDS, weights={"words": "counts"}, segment="bank", rename={})

    def serve(rows):
        batches = as_batches(rows, needs=needs, rows_at_once=ROWS)
        return encoder.encode(prepare(batches.read_all(), needs))

    yield examples_of(encoded), serve, vocabulary
    connection.disconnect()


def assert_same(found, expected):
    assert found.fields == expected.fields
    np.testing.assert_array_equal(found.ids, expected.ids)
    np.testing.assert_array_equal(found.values, expected.values)
    np.testing.assert_array_equal(found.segment, expected.segment)
    for name, lists in expected.lists.items():
        for part in ("offsets", "values", "weights"):
            np.testing.assert_array_equal(getattr(found.lists[name], part), getattr(lists, part))


def test_the_same_raw_rows(both):
    examples, serve, _ = both
    assert_same(serve(dirty()), examples)
    assert_same(serve(ibis.memtable(dirty())), examples)
    assert (examples.ids > 0).any(axis=0).all()


def test_rows_of_a_service(both):
    """As lists of dictionaries, whose columns have the types that Python has."""
    examples, serve, _ = both
    assert_same(serve(dirty().to_pylist()), examples)


def test_a_data_frame(both):
    examples, serve, _ = both
    assert_same(serve(dirty().to_pandas(types_mapper=None)), examples)


def test_the_same_values_in_clean_columns(both):
    """What was text, bytes or floats with nulls in the log may come as what it means."""
    examples, serve, _ = both
    rows, table = dirty().to_pylist(), dirty()
    clean = {
        "hour": pa.array([row["hour"] and int(row["hour"]) for row in rows], pa.int8()),
        "spend": pa.array([float(row["spend"]) if (row["spend"] or "").strip() else None for row in rows]),
        "words": pa.array([{"[1, 2]": [1, 2], "[2.0]": [2], "[]": []}.get(row["words"]) for row in rows]),
        "counts": pa.array([{"[0.5, 1]": [0.5, 1.0], "[3]": [3.0], "[]": []}.get(row["counts"]) for row in rows]),
        "tags": pa.array(
            [[t.strip() for t in row["tags"].split("|") if t.strip()] if row["tags"] else None for row in rows]
        ),
        "price": pa.array([row["price"] and float(row["price"]) for row in rows]),
        "day": pa.array([row["day"] and str(row["day"]) for row in rows]),
    }
    for name, column in clean.items():
        table = table.set_column(table.column_names.index(name), name, column)
    assert_same(serve(table), examples)


def test_one_value_has_one_id(both):
    """Whatever its column's type: 1.0 is 1, and 1.00 is 1."""
    _, _, vocabulary = both
    values = vocabulary.dropna(subset="value").groupby("feature")["value"].agg(set)
    assert values["hour"] == {"1", "2", "12"}
    assert values["price"] == {"1", "2.5"}
    assert values["words"] == {"1", "2"}
    assert values["tags"] == {"a", "b", "c"}
    assert pd.Series(sorted(values["member"])).tolist() == ["false", "true"]
