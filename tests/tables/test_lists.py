"""Features with several values a row: what a source must hold, their vocabulary, and their ids."""

import math
from collections import Counter

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features, ListFeature
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.pipelines.ingestion.nodes import ingest_impressions
from aitm_kedro.tables.encoding import encode_examples, encode_rows
from aitm_kedro.tables.parameters import Ingestion, Split, VocabularyOptions
from aitm_kedro.tables.vocabulary import learn_vocabulary

FUNNEL = Funnel(steps=("click",), main_steps=("click",))
WEIGHTED = Features(lists=({"name": "tags", "weights": "w"},))
BARE = Features(lists=("tags",))


@pytest.fixture
def put_lists(con):
    """Hand columns to the database: lists of a type, or of that which Arrow finds."""

    def create(**columns):
        rows = len(next(iter(columns.values())))
        given = {"impression_id": range(rows), "click": [0, 1] * (rows // 2) + [0] * (rows % 2), **columns}
        return con.create_table(ibis.util.gen_name("lists"), pa.table(given))

    return create


@pytest.fixture
def ingest(put_lists):
    def run(features, **columns):
        return ingest_impressions(put_lists(**columns), {}, FUNNEL, features, Split(), Ingestion())[0]

    return run


def texts(rows=400, seed=0):
    """Lists of text with commas, colons, nulls and nothing in them; some empty, some null, many alike."""
    draw = np.random.default_rng(seed)
    known = ["a", "b", "1", "2", "1,2", "2:1", "", "-", "1:-", "ä, ö", None, "c", "d", "rare"]
    shares = np.array([9, 8, 7, 7, 7, 5, 5, 5, 4, 4, 4, 3, 3, 0.3])
    shares = shares / shares.sum()
    lists = [[known[place] for place in draw.choice(len(known), draw.integers(5), p=shares)] for _ in range(rows - 8)]
    lists += [["1,2"], ["1", "2"], ["-"], [None], [], None, [""], ["b"] * 5 + ["a"] * 7]
    return pa.array([lists[place] for place in draw.permutation(rows)], pa.list_(pa.string()))


def whole_numbers(rows=400, seed=0, kind=None):
    kind = kind or pa.int64()
    draw = np.random.default_rng(seed)
    lists = [
        None if draw.random() < 0.1 else [None if x == 8 else int(x - 3) for x in draw.poisson(3, draw.integers(14))]
        for _ in range(rows)
    ]
    return pa.array(lists, pa.list_(kind))


def fractions(rows=400, seed=0):
    """Floats, some of them whole, some not numbers."""
    halves = whole_numbers(rows, seed).to_pylist()
    lists = [row and [math.nan if x == 4 else None if x is None else x / 2 for x in row] for row in halves]
    return pa.array(lists, pa.list_(pa.float64()))


KINDS = pytest.mark.parametrize(
    "lists",
    [texts(), whole_numbers(), whole_numbers(kind=pa.int16()), fractions()],
    ids=["text", "int64", "int16", "float64"],
)


def as_text(value):
    """How a value reads: None for what is none; whole floats as integers."""
    if value is None or value != value:
        return None
    return str(int(value)) if isinstance(value, float) and value == int(value) else str(value)


# What a source must hold.


@pytest.mark.parametrize(
    ("features", "columns", "sentence"),
    [
        (BARE, {"tags": ["a", "b"]}, r"'tags' must hold lists in JSON, .* for example b; if something"),
        (BARE, {"tags": [1.5, 2]}, "features.lists names 'tags', which is float64"),
        (
            Features(categorical=("tags",)),
            {"tags": [["a"], ["b"]]},
            "features.categorical names 'tags', which is array<string>; list it under features.lists",
        ),
        (
            Features(numeric=("tags",)),
            {"tags": [[1], [2]]},
            "features.numeric names 'tags', which is array<int64>; list it under features.lists",
        ),
        (BARE, {"tags": [[[1]], [[2]]]}, "which is array<array<int64>>; its lists must hold text or numbers"),
        (BARE, {"tags": [[{"a": 1}], []]}, "which is array<struct<.*>>; its lists must hold text or numbers"),
        (BARE, {"tags": [[b"a"], []]}, "which is array<binary>; its lists must hold text or numbers"),
        (
            WEIGHTED,
            {"tags": [["a"], ["b"]], "w": [0.5, 1]},
            "features.lists names 'w' as weights of 'tags', but it is float64; it must hold a list of numbers in each",
        ),
        (WEIGHTED, {"tags": [["a"], ["b"]], "w": [["1"], ["2"]]}, "but it is array<string>; it must hold a list of nu"),
        (WEIGHTED, {"tags": [["a"], ["b"]]}, r"no column 'w' \(features.lists names it\)"),
        (BARE, {"tag": [["a"], ["b"]]}, r"no column 'tags' \(features names it\); did you mean 'tag' for 'tags'"),
        (
            WEIGHTED,
            {"tags": [["a"], ["b", "c"], ["d"], None], "w": [[1], [1], None, []]},
            "'w' must hold one weight for each value of 'tags', but 2 rows hold something else, for example",
        ),
        (
            WEIGHTED,
            {"tags": [["a", "b"], ["c"]], "w": [[1, -0.5], [2]]},
            r"'w' must hold weights from 0 to 3.4e\+38, but 1 row holds something else, for example 1.0, -0.5; mend",
        ),
        (
            WEIGHTED,
            {"tags": [["a", "b"]], "w": [[math.nan, None]]},
            "1 row holds something else, for example nan, null; me",
        ),
        (
            WEIGHTED,
            {"tags": [["a", "b"]], "w": [[math.inf, 1e39]]},
            r"1 row holds something else, for example inf, 1e\+39",
        ),
    ],
)
def test_bad_lists_end_in_a_sentence(ingest, features, columns, sentence):
    with pytest.raises(InputError, match=sentence):
        ingest(features, **columns)


def test_a_label_hides_neither_under_lists_nor_under_their_weights():
    for features in (Features(lists=("click",)), Features(lists=({"name": "tags", "weights": "click_time"},))):
        with pytest.raises(ValueError, match=r"features names 'click.*', which is a label"):
            features.forbid_labels(FUNNEL)
    with pytest.raises(ValueError, match=r"features names \['tags'\] more than once"):
        Features(categorical=("tags",), lists=("tags",))


def test_names_and_weights_of_features():
    features = Features(categorical=("a",), numeric=("b",), lists=("c", {"name": "d", "weights": "e"}))
    assert features.names == ("a", "b", "c", "d")
    assert features.weights == ("e",)
    assert features.lists[0] == ListFeature(name="c")


@pytest.mark.parametrize("kind", [pa.float64(), pa.int8(), pa.float32()])
def test_lists_and_their_weights_go_through_ingestion(ingest, kind):
    tags, weights = [["a", "b"], [], None, [None], None], [[0, 3], [], None, [1], []]
    found = ingest(WEIGHTED, tags=tags, w=pa.array(weights, pa.list_(kind)), unused=[1] * 5).to_pyarrow()
    assert found.column_names == ["impression_id", "click", "tags", "w"]
    assert found["tags"].to_pylist() == tags
    assert found["w"].to_pylist() == weights


# Their vocabulary.


@KINDS
@pytest.mark.parametrize("min_count", [1, 12])
def test_the_vocabulary_agrees_with_counting(put_lists, lists, min_count):
    found = learn_vocabulary(put_lists(tags=lists), BARE, VocabularyOptions(min_count=min_count))
    rows = lists.to_pylist()
    counts = Counter(as_text(value) for row in rows for value in row or [])
    kept = sorted((-count, value) for value, count in counts.items() if value is not None and count >= min_count)
    ids = sum(max(len(row or []), 1) for row in rows)  # a row without any value has an id as well
    expected = [(0, None, ids + sum(count for count, _ in kept))]
    expected += [(place, value, -count) for place, (count, value) in enumerate(kept, 1)]
    values = [None if pd.isna(value) else value for value in found["value"]]
    assert list(zip(found["id"], values, found["count"], strict=True)) == expected
    assert set(found["kind"]) == {"list"}
    assert found[["lower", "upper"]].isna().all(axis=None)


def test_lists_without_any_value_and_constant_ones(put_lists, caplog):
    options = VocabularyOptions(min_count=1)
    empty = pa.array([[], None, []], pa.list_(pa.string()))
    with pytest.raises(InputError, match="feature 'tags' is null in all 3 counted train impressions"):
        learn_vocabulary(put_lists(tags=empty), BARE, options)
    table = put_lists(tags=[["a"], ["a", "a"], ["a"]], shops=[["a"], [], ["a"]], n=[1, 2, 3])
    found = learn_vocabulary(table, Features(categorical=("n",), lists=("tags", "shops")), options)
    assert list(dict.fromkeys(found["feature"])) == ["n", "shops"]
    assert "Feature 'tags' is constant" in caplog.text


def test_a_table_without_rows_is_said_in_a_sentence(put_lists):
    with pytest.raises(InputError, match="feature 'tags' is null in all 0 counted"):
        learn_vocabulary(put_lists(tags=texts()).limit(0), BARE, VocabularyOptions())


# Their ids.


@KINDS
@pytest.mark.parametrize("min_count", [1, 12])
def test_ids_agree_with_looking_up(put_lists, lists, min_count):
    """Every id in its place; rare and null 0; nothing is the one id 0 of weight 1."""
    rows = lists.to_pylist()
    draw = np.random.default_rng(1)
    weights = [None if row is None else draw.integers(5, size=len(row)).tolist() for row in rows]
    table = put_lists(tags=lists, w=pa.array(weights, pa.list_(pa.float64())))
    words = learn_vocabulary(table, WEIGHTED, VocabularyOptions(min_count=min_count))
    found = encode_examples(table, words, funnel=FUNNEL, features=WEIGHTED)
    assert {name: str(kind) for name, kind in found.schema().items()} == {
        "impression_id": "int64",
        "click": "int8",
        "tags": "array<int32>",
        "_weights_tags": "array<float32>",
        "_vocabulary": "string",
    }
    ids = dict(zip(words["value"], words["id"], strict=True)) | {None: 0}
    found = found.to_pyarrow()
    assert found["impression_id"].to_pylist() == list(range(len(rows)))
    assert found["tags"].to_pylist() == [[ids.get(as_text(value), 0) for value in row or [None]] for row in rows]
    assert found["_weights_tags"].to_pylist() == [row or [1.0] for row in weights]


def test_lists_that_look_alike_are_kept_apart(put_lists):
    rows = [["1,2"], ["1", "2"], ["1", "2", ""], ["1", "2", None], ["-"], [None], ["1:1", "2"], ["1", "1:2"], ["12"]]
    rows += [["2", "1"], ["1:1,1:2"], ["1"] * 12 + ["2"]]
    table = put_lists(tags=pa.array(rows, pa.list_(pa.string())))
    words = learn_vocabulary(table, BARE, VocabularyOptions(min_count=1))
    values = dict(zip(words["id"], words["value"], strict=True))
    found = encode_examples(table, words, funnel=FUNNEL, features=BARE).to_pyarrow()["tags"].to_pylist()
    assert [[values[one] if one else None for one in row] for row in found] == rows


def test_values_never_seen_and_columns_of_another_type(put_lists):
    """Serving may bring new values, and numbers where training had text."""
    words = learn_vocabulary(put_lists(tags=[["1", "2", "007"], ["1"]]), BARE, VocabularyOptions(min_count=1))
    ids = dict(zip(words["value"], words["id"], strict=True))
    for rows in ([[1, 2, 7, 9]], [[1.0, 2.0, 7.0, 9.5]], [["1", "2", "7", "?"]]):
        found = encode_rows(put_lists(tags=rows), words, features=BARE).to_pyarrow()["tags"].to_pylist()
        assert found == [[ids["1"], ids["2"], 0, 0]]


def test_lists_stand_beside_other_features_and_keep_their_rows(put_lists):
    features = Features(categorical=("city",), numeric=("age",), lists=("shops", {"name": "tags", "weights": "w"}))
    columns = {
        "city": ["x", "y", None, "x"],
        "age": [1.5, None, 3, 4],
        "tags": [["a"], ["b", "a"], [], ["a"]],
        "w": [[1], [2, 3], [], [0]],
        "shops": [[5, 6], None, [6], [5, 6]],
    }
    table = put_lists(**columns)
    words = learn_vocabulary(table, features, VocabularyOptions(min_count=1, bins=2))
    found = encode_examples(table, words, funnel=FUNNEL, features=features).to_pyarrow()
    assert found.column_names == [
        *("impression_id", "click", "city", "age", "shops", "tags"),
        *("_value_age", "_weights_tags", "_vocabulary"),
    ]
    assert found["shops"].to_pylist() == [[2, 1], [0], [1], [2, 1]]
    assert found["tags"].to_pylist() == [[1], [2, 1], [0], [1]]
    assert found["_weights_tags"].to_pylist() == [[1], [2, 3], [1], [0]]
    some = words[words["feature"] != "tags"]  # constant in train: left out, and its weights with it
    assert "_weights_tags" not in encode_examples(table, some, funnel=FUNNEL, features=features).columns


def test_weights_that_the_table_has_not_are_named(put_lists):
    lists = {"tags": [["a"], ["b"]], "shops": [[1], [2]], "shops2": [[1], [2]]}
    table = put_lists(**lists, v=[[1], [2]])
    features = Features(
        lists=({"name": "tags", "weights": "w"}, {"name": "shops", "weights": "v"}, {"name": "shops2", "weights": "x"})
    )
    words = learn_vocabulary(table, Features(lists=tuple(lists)), VocabularyOptions(min_count=1))
    with pytest.raises(InputError, match=r"^features.lists names weights that the table has not: w, x$"):
        encode_examples(table, words, funnel=FUNNEL, features=features)
    some = words[words["feature"] == "shops"]  # the others were constant in train: neither they nor weights are needed
    found = encode_rows(table.drop("tags", "shops2"), some, features=features, carry=["impression_id"])
    assert list(found.columns) == ["impression_id", "shops", "_weights_shops"]


@KINDS
def test_lists_of_any_type_compile_for_spark(put_lists, lists, monkeypatch):
    class Options(ibis.config.Config):
        treat_nan_as_null: bool = False

    monkeypatch.setattr(ibis.options, "pyspark", Options())
    table = put_lists(tags=lists)
    words = learn_vocabulary(table, BARE, VocabularyOptions(min_count=1))
    assert "POSEXPLODE" in ibis.to_sql(encode_rows(table, words, features=BARE), dialect="pyspark")
