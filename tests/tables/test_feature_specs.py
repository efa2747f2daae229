"""What models are told of each feature: it agrees with the encoded examples, and with numpy."""

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ibis.backends.duckdb import Backend

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features, FeatureSpecs
from aitm_kedro.pipelines.preparation.nodes import describe_features as node
from aitm_kedro.tables.encoding import encode_examples, encode_rows
from aitm_kedro.tables.feature_specs import describe_features
from aitm_kedro.tables.parameters import VocabularyOptions
from aitm_kedro.tables.vocabulary import as_table, learn_vocabulary

OPTIONS = VocabularyOptions(min_count=20, bins=7)


@pytest.fixture
def frame(make_impressions):
    frame = make_impressions(2000)
    frame["tags"] = [[f"t{tag}" for tag in range(row % 4)] for row in range(2000)]
    frame["counts"] = [[1.0] * (row % 4) for row in range(2000)]
    return frame.assign(always=1)


@pytest.fixture
def listed(features):
    lists = ({"name": "tags", "weights": "counts"},)
    categorical = (*features.categorical, "always")
    return Features(categorical=categorical, numeric=features.numeric, lists=lists)


def test_specs_are_in_the_order_of_the_examples_and_count_their_ids(put, frame, listed, funnel):
    table = put(frame)
    words = learn_vocabulary(table, listed, OPTIONS)
    shuffled = put(words.sample(frac=1, random_state=0))
    specs = describe_features(shuffled, table, listed)
    assert specs == describe_features(words, table, listed) == node(table, as_table(words), listed)
    assert FeatureSpecs.model_validate_json(specs.model_dump_json()) == specs
    encoded = encode_examples(table, words, funnel=funnel, features=listed).to_pyarrow()
    fields = [spec.name for spec in specs.features]
    assert fields == ["city", "bank", "hour", "spend", "orders", "tags"]  # 'always' is constant
    assert fields == [name for name in encoded.column_names if name in listed.names]
    assert [spec.kind for spec in specs.features] == ["categorical"] * 3 + ["numeric"] * 2 + ["list"]
    assert [spec.weights for spec in specs.features] == [None] * 5 + ["counts"]
    for spec in specs.features:
        ids = encoded[spec.name].combine_chunks()
        ids = np.asarray(ids.flatten() if spec.kind == "list" else ids)
        assert spec.ids == (words["feature"] == spec.name).sum() == ids.max() + 1


def test_edges_give_the_ids_of_the_encoding(put, frame, features):
    table = put(frame)
    words = learn_vocabulary(table, features, OPTIONS)
    new = pd.DataFrame({"spend": [np.nan, -1e9, 1e9, 0.0, *words["lower"].dropna().iloc[1:]]}).assign(orders=1.0)
    new = put(new[np.isfinite(new["spend"]) | new["spend"].isna()].assign(city="?", bank="north", hour=3))
    for rows in (table, new):
        found = encode_rows(rows, words, features=features, carry=[]).to_pandas()
        for spec in describe_features(words, table, features).features:
            if spec.kind == "numeric":
                assert len(spec.edges) == spec.ids - 2
                assert np.isfinite(spec.edges).all()
                values = rows.select(x=rows[spec.name].cast("float64")).to_pandas()["x"].to_numpy()
                ids = np.where(np.isnan(values), 0, np.searchsorted(spec.edges, values, side="right") + 1)
                assert sorted(found[spec.name]) == sorted(ids)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.none() | st.integers(-3, 12) | st.floats(-1e6, 1e6), min_size=1, max_size=60), st.integers(2, 12))
def test_edges_and_statistics_of_any_numbers(values, bins):
    values = [None if value is None else float(value) for value in [*values, 1e7, -1e7]]
    table = ibis.memtable(pa.table({"row": range(len(values)), "x": pa.array(values, pa.float64())}))
    features = Features(numeric=("x",))
    words = learn_vocabulary(table, features, VocabularyOptions(bins=bins))
    (spec,) = describe_features(words, table, features).features
    found = encode_rows(table, words, features=features, carry=["row"]).order_by("row").to_pandas()
    expected = [0 if value is None else np.searchsorted(spec.edges, value, side="right") + 1 for value in values]
    assert found["x"].tolist() == expected
    known = np.array([value for value in values if value is not None])
    assert spec.statistics.mean == pytest.approx(known.mean(), abs=1e-6)
    assert spec.statistics.std == pytest.approx(known.std())
    assert (spec.statistics.minimum, spec.statistics.maximum) == (known.min(), known.max())
    assert spec.statistics.null_share == pytest.approx(1 - len(known) / len(values))


def test_statistics_are_of_the_sample_and_take_nan_for_null(put, frame, features):
    words = learn_vocabulary(put(frame), features, OPTIONS)
    frame.loc[:9, "orders"] = 7
    specs = {spec.name: spec for spec in describe_features(words, put(frame), features).features}
    for name in ("spend", "orders"):
        found, values = specs[name].statistics, frame[name]
        assert found.mean == pytest.approx(values.mean())
        assert found.std == pytest.approx(values.std(ddof=0))
        assert (found.minimum, found.maximum) == (values.min(), values.max())
        assert found.null_share == pytest.approx(values.isna().mean())
    assert specs["city"].statistics is None


def test_one_value_and_nulls(put):
    frame = pd.DataFrame({"x": [3.0, np.nan, 3.0, np.nan]})
    features = Features(numeric=("x",))
    (spec,) = describe_features(learn_vocabulary(put(frame), features, OPTIONS), put(frame), features).features
    assert (spec.ids, spec.edges) == (2, ())
    assert spec.statistics.model_dump() == {"mean": 3, "std": 0, "minimum": 3, "maximum": 3, "null_share": 0.5}


def test_features_of_any_name(put):
    frame = pd.DataFrame({"rows": [1.0, 2, 3], "mean_0": [1, 2, 4]})
    features = Features(numeric=tuple(frame.columns))
    found = describe_features(learn_vocabulary(put(frame), features, OPTIONS), put(frame), features)
    assert [spec.statistics.mean for spec in found.features] == [2, pytest.approx(7 / 3)]


def test_numbers_that_models_cannot_take_end_in_a_sentence(put, frame, features):
    words = learn_vocabulary(put(frame), features, OPTIONS)
    for value in (np.inf, -np.inf, 1e39, 1e300):
        with pytest.raises(
            InputError, match=r"feature 'spend' has values beyond 3.4e\+38 in 1 of the 2000 rows of the"
        ):
            describe_features(words, put(frame.assign(spend=frame["spend"].where(frame.index > 0, value))), features)
    with pytest.raises(InputError, match="feature 'spend' is null in all 2000 rows of the train sample"):
        describe_features(words, put(frame.assign(spend=np.nan)), features)
    words.loc[words.query("feature == 'orders'").index[-1], "lower"] = np.inf
    with pytest.raises(InputError, match=r"feature 'orders' has values beyond .* among the counted train impressions"):
        describe_features(words, put(frame), features)


def test_the_engine_aggregates_and_the_table_is_read_once(put, frame, listed, monkeypatch):
    table = put(frame)
    words = put(learn_vocabulary(table, listed, VocabularyOptions(min_count=1, bins=7)))
    asked, plain = [], Backend._to_duckdb_relation

    def remember(self, expression, **options):
        asked.append(expression)
        return plain(self, expression, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Backend, "_to_duckdb_relation", remember)
        describe_features(words, table, listed)
    assert sum(table.op().name in ibis.to_sql(expression) for expression in asked) == 1
    # The bins, and a row of each feature, however many values there are; only the fingerprint is of all of them.
    *others, whole = sorted(expression.count().execute() for expression in asked)
    assert max(others) <= 2 * 8 + 4 < whole == words.count().execute()
