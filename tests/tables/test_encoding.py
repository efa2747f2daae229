import math

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.tables.encoding import encode_examples, encode_rows
from aitm_kedro.tables.fingerprints import fingerprint_vocabulary
from aitm_kedro.tables.parameters import VocabularyOptions
from aitm_kedro.tables.source import check_features
from aitm_kedro.tables.statistics import describe_dataset
from aitm_kedro.tables.vocabulary import as_table, learn_vocabulary

STEPS = ("click", "application", "approval", "activation")


def reference_id(value: object, words: list[dict]) -> int:
    """Look the value up row by row."""
    for word in words:
        if word["id"] == 0 or value is None or pd.isna(value):
            continue
        if word["kind"] == "categorical" and str(value) == word["value"]:
            return word["id"]
        if word["kind"] == "numeric" and word["lower"] <= value < word["upper"]:
            return word["id"]
    return 0


@pytest.fixture
def vocabulary(put, make_impressions, features):
    return learn_vocabulary(put(make_impressions(2000)), features, VocabularyOptions(bins=7, min_count=20))


def test_agrees_with_looking_up(put, make_impressions, vocabulary, funnel, features):
    frame = make_impressions(1500, seed=5)
    frame.loc[:3, "city"] = "never seen"
    frame.loc[:3, "spend"] = [-1e9, 1e9, np.nan, vocabulary.query("feature == 'spend'")["lower"].iloc[3]]
    found = encode_examples(put(frame), vocabulary, funnel=funnel, features=features)
    assert {name: str(kind) for name, kind in found.schema().items()} == {
        "impression_id": "int64",
        "_segment": "string",
        **dict.fromkeys(STEPS, "int8"),
        **dict.fromkeys(features.names, "int32"),
        **{f"_value_{name}": "float32" for name in features.numeric},
        "_vocabulary": "string",
    }
    found = found.to_pandas()
    assert set(found["_vocabulary"]) == {fingerprint_vocabulary(vocabulary)}
    expected = frame.sort_values(["impression_time", "impression_id"])
    assert found["impression_id"].tolist() == expected["impression_id"].tolist()
    assert found["_segment"].tolist() == expected["bank"].tolist()
    for step in STEPS:
        assert found[step].tolist() == expected[step].tolist()
    for name in features.names:
        words = vocabulary[vocabulary["feature"] == name].to_dict("records")
        assert found[name].tolist() == [reference_id(value, words) for value in expected[name]]
    for name in features.numeric:
        np.testing.assert_array_equal(found[f"_value_{name}"], expected[name].astype("float32"))


def test_saved_table_and_frame_encode_alike(put, make_impressions, vocabulary, funnel, features):
    table = put(make_impressions(300))
    frames = [
        encode_examples(table, words, funnel=funnel, features=features).to_pandas()
        for words in (vocabulary, as_table(vocabulary), put(vocabulary.sample(frac=1, random_state=0)))
    ]
    pd.testing.assert_frame_equal(frames[0], frames[1])
    pd.testing.assert_frame_equal(frames[0], frames[2])


def test_without_time_order_is_by_id(put, make_impressions, vocabulary, features):
    frame = make_impressions(300).drop(columns="impression_time")
    funnel = Funnel(steps=STEPS, main_steps=STEPS)
    found = encode_examples(put(frame), vocabulary, funnel=funnel, features=features).to_pandas()
    assert found["impression_id"].tolist() == sorted(frame["impression_id"])
    assert "_segment" not in found.columns


def test_time_may_be_a_feature(put, make_impressions, funnel):
    features = Features(categorical=("impression_time", "hour"))
    table = put(make_impressions(500))
    learnt = learn_vocabulary(table, features, VocabularyOptions(min_count=1))
    found = encode_examples(table, learnt, funnel=funnel, features=features).to_pandas()
    assert found["impression_time"].nunique() == table["impression_time"].nunique().execute()


def test_serving_encodes_rows_without_labels(put, vocabulary, features):
    rows = pd.DataFrame(
        {
            "city": ["c1", None],
            "bank": ["north", "?"],
            "hour": [3.0, math.nan],
            "spend": [math.nan, 5.0],
            "orders": [0, 2],
        }
    )
    found = encode_rows(put(rows), vocabulary, features=features).to_pandas()
    expected = [
        [reference_id(int(value) if name == "hour" and value == value else value, words) for value in rows[name]]
        for name in features.names
        for words in [vocabulary[vocabulary["feature"] == name].to_dict("records")]
    ]
    ids = found[list(features.names)].itertuples(index=False, name=None)
    assert sorted(ids) == sorted(zip(*expected, strict=True))
    assert list(found.columns) == [*features.names, "_value_spend", "_value_orders"]


def test_constant_features_are_left_out_and_missing_ones_named(put, make_impressions, vocabulary, features):
    table = put(make_impressions(50))
    some = vocabulary[vocabulary["feature"] != "bank"]
    fields = ["city", "hour", "spend", "orders", "_value_spend", "_value_orders"]
    assert list(encode_rows(table.drop("bank"), some, features=features).columns) == fields
    some = vocabulary[vocabulary["feature"] != "spend"]
    fields = ["impression_id", "city", "bank", "hour", "orders", "_value_orders"]
    assert list(encode_rows(table.drop("spend"), some, features=features, carry=["impression_id"]).columns) == fields
    with pytest.raises(InputError, match="the vocabulary has features that the table has not: spend"):
        encode_rows(table.drop("spend"), vocabulary, features=features)


def test_statistics_are_those_of_the_examples(put, make_impressions, vocabulary, funnel, features):
    frames = {"train": make_impressions(300), "test": make_impressions(200, seed=1)}
    tables = {
        name: encode_examples(put(frame), vocabulary, funnel=funnel, features=features)
        for name, frame in frames.items()
    }
    found = describe_dataset(tables, as_table(vocabulary), funnel)
    assert found["split"].tolist() == ["train", "test"]
    assert found["rows"].tolist() == [300, 200]
    assert found["positive_click_%"].tolist() == [
        pytest.approx(100 * frame["click"].mean()) for frame in frames.values()
    ]
    assert set(found["fields"]) == {5}
    assert set(found["vocabulary_rows"]) == {len(vocabulary)}
    assert set(found["tasks"]) == {4}


@pytest.mark.parametrize("kind", ["int8", "int16", "int32", "int64", "uint32", "uint64"])
def test_integers_are_looked_up_as_their_text(put, kind):
    """The same ids as by text: "007" and "+7" are no 7, and what the type cannot hold stands in no row."""
    values = ["7", "007", "+7", "12", "-3", "1000", "9999999999", "7.0", "x", "0"]
    words = pd.DataFrame(
        {"feature": "n", "kind": "categorical", "id": range(len(values) + 1), "value": [None, *values]}
    ).assign(lower=np.nan, upper=np.nan, count=1)
    held = [int(value) for value in (7, 12, 0, 5, -3, 1000, 9999999999)]
    held = [value for value in held if np.iinfo(kind).min <= value <= np.iinfo(kind).max]
    table = put(pd.DataFrame({"row": range(len(held)), "n": np.array(held, kind)}))
    as_text = table.mutate(n=table["n"].cast("string"))
    found, expected = (
        encode_rows(rows, words, features=Features(categorical=("n",)), carry=["row"]).order_by("row").to_pandas()
        for rows in (table, as_text)
    )
    assert found["n"].tolist() == expected["n"].tolist()
    assert found["n"].tolist() == [1 + values.index(str(n)) if str(n) in values else 0 for n in held]


def test_integers_with_nulls_are_looked_up(put):
    words = pd.DataFrame({"feature": "n", "kind": "categorical", "id": [0, 1], "value": [None, "7"], "lower": 0.0})
    table = put(pd.DataFrame({"row": range(3), "n": pd.array([7, None, 8], "Int64")}))
    found = encode_rows(table, words.assign(upper=0.0, count=1), features=Features(categorical=("n",)), carry=["row"])
    assert found.order_by("row").to_pandas()["n"].tolist() == [1, 0, 0]


def test_rows_are_encoded_alike_with_and_without_labels(put, make_impressions, vocabulary, funnel, features):
    """A service has a few rows, in an order of its own, as a table in memory; their ids are those of the examples."""
    frame = make_impressions(300, seed=5)
    expected = encode_examples(put(frame), vocabulary, funnel=funnel, features=features).to_pandas()
    rows = frame[[*features.names]].assign(request=frame["impression_id"]).iloc[::-1]
    table = ibis.memtable(pa.Table.from_pandas(rows, preserve_index=False))
    check_features(table, features, funnel)
    found = encode_rows(table, vocabulary, features=features, carry=["request"]).to_pandas()
    assert list(found.columns) == ["request", *features.names, "_value_spend", "_value_orders"]
    found = found.set_index("request").loc[expected["impression_id"]].reset_index(drop=True)
    pd.testing.assert_frame_equal(found, expected[list(found.columns)])


def test_numbers_that_no_float32_holds_become_the_largest(put, vocabulary, features):
    rows = pd.DataFrame({"city": "c1", "bank": "north", "hour": 3, "orders": 0, "spend": [1e300, -np.inf, np.nan]})
    found = encode_rows(put(rows.reset_index()), vocabulary, features=features, carry=["index"]).order_by("index")
    values = found.to_pandas()["_value_spend"]
    np.testing.assert_array_equal(values, np.array([3.4e38, -3.4e38, np.nan], np.float32))


@pytest.mark.parametrize("value", [np.inf, 1e39, -1e300])
def test_categories_may_be_floats_of_any_size(put, value):
    table = put(pd.DataFrame({"x": [value, 2.0, 2.5, 2.0, value]}))
    features = Features(categorical=("x",))
    words = learn_vocabulary(table, features, VocabularyOptions(min_count=2))
    assert set(words["value"].dropna()) == {"2", str(value)}
    assert sorted(encode_rows(table, words, features=features).to_pandas()["x"]) == [0, 1, 1, 2, 2]
