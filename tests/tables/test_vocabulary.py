import logging
import math
from collections import Counter

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.pipelines.preparation.nodes import build_vocabulary
from aitm_kedro.tables.parameters import VocabularyOptions
from aitm_kedro.tables.vocabulary import learn_vocabulary

COLUMNS = ["feature", "kind", "id", "value", "lower", "upper", "count"]


@pytest.fixture
def learn(put, funnel, features):
    def run(sample, train=None, valid=None, features=features, **options):
        table = put(sample)
        counted = table if train is None else put(train)
        checked = counted if valid is None else put(valid)
        return build_vocabulary(table, counted, checked, funnel, features, VocabularyOptions(**options)).to_pandas()

    return run


def reference_values(values: pd.Series, min_count: int) -> list[tuple[int, str | None, int]]:
    """Rows (id, value, count)."""
    counts = Counter(str(value) for value in values if not pd.isna(value))
    kept = sorted((-count, value) for value, count in counts.items() if count >= min_count)
    rest = len(values) + sum(count for count, _ in kept)
    return [(0, None, rest), *((place, value, -count) for place, (count, value) in enumerate(kept, 1))]


def reference_bins(values: pd.Series, bins: int) -> list[tuple[int, float, float, int]]:
    """Rows (id, lower, upper, count), by looking at the value at each quantile's first rank."""
    known = sorted(float(value) for value in values if not pd.isna(value))
    ranks = [math.ceil(quantile * len(known) / bins) for quantile in range(1, bins)]
    edges = sorted({known[rank] for rank in ranks if rank < len(known)})
    edges = [edge for edge in edges if edge > known[0]]
    lower, upper = [-math.inf, *edges], [*edges, math.inf]
    rows = [(0, math.nan, math.nan, len(values) - len(known))]
    for place, (low, high) in enumerate(zip(lower, upper, strict=True), 1):
        rows.append((place, low, high, sum(low <= value < high for value in known)))
    return rows


def rows_of(vocabulary: pd.DataFrame, feature: str, columns: list[str]) -> list[tuple]:
    part = vocabulary[vocabulary["feature"] == feature]
    return [
        tuple(None if isinstance(v, float) and math.isnan(v) else v for v in row)
        for row in part[columns].itertuples(index=False)
    ]


def test_agrees_with_counting(learn, make_impressions):
    frame = make_impressions(3000)
    found = learn(frame, min_count=30, bins=8)
    assert list(found.columns) == COLUMNS
    assert list(dict.fromkeys(found["feature"])) == ["city", "bank", "hour", "spend", "orders"]
    for name in ("city", "bank", "hour"):
        assert rows_of(found, name, ["id", "value", "count"]) == reference_values(frame[name], 30)
    for name in ("spend", "orders"):
        expected = [
            tuple(None if math.isnan(value) else value for value in row) for row in reference_bins(frame[name], 8)
        ]
        assert rows_of(found, name, ["id", "lower", "upper", "count"]) == expected
    assert set(found["kind"][found["feature"].isin(["spend", "orders"])]) == {"numeric"}
    assert found.groupby("feature")["count"].sum().eq(len(frame)).all()


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.none() | st.integers(-3, 12) | st.floats(-1e6, 1e6, allow_nan=False), min_size=1, max_size=80),
    st.integers(2, 12),
)
def test_bins_of_any_numbers(values, bins):
    values = [None if value is None else float(value) for value in values]
    values += [1e7, -1e7]
    table = ibis.memtable(pa.table({"x": pa.array(values, pa.float64())}))
    found = learn_vocabulary(table, Features(numeric=("x",)), VocabularyOptions(bins=bins))
    expected = reference_bins(pd.Series(values, dtype=float), bins)
    np.testing.assert_array_equal(found[["id", "lower", "upper", "count"]].to_numpy(float), np.array(expected, float))


def test_bins_hold_about_equally_many(learn, make_impressions):
    frame = make_impressions(5000)
    found = learn(frame, bins=10, features=Features(numeric=("spend",)))
    counts = found["count"][found["id"] > 0]
    assert len(counts) == 10
    assert counts.max() - counts.min() < 40


def test_counts_the_sample_or_the_whole_train(learn, make_impressions):
    train = make_impressions(3000)
    sample = train.iloc[:1000]
    assert learn(sample, train, count_on="sample").groupby("feature")["count"].sum().eq(1000).all()
    assert learn(sample, train, count_on="train").groupby("feature")["count"].sum().eq(3000).all()


def test_whole_floats_read_as_integers(learn, make_impressions):
    frame = make_impressions(1000)
    frame["hour"] = frame["hour"].where(frame.index % 7 > 0)  # floats with NaN
    hours = learn(frame).query("feature == 'hour' and id > 0")["value"]
    assert set(hours) == {str(hour) for hour in range(24)}


@pytest.mark.parametrize("kind", ["one value", "all rare", "one number"])
def test_constant_features_are_dropped_with_a_warning(learn, make_impressions, caplog, kind):
    frame = make_impressions(500)
    name = "orders" if kind == "one number" else "city"
    frame[name] = {"one value": "here", "all rare": frame.index.astype(str), "one number": 3}[kind]
    with caplog.at_level(logging.WARNING):
        found = learn(frame)
    assert name not in set(found["feature"])
    (record,) = caplog.records
    if kind == "all rare":
        assert record.getMessage().startswith("Feature 'city' (100.0 %, left out) is nearly unique")
    else:
        assert record.getMessage().startswith(f"Feature '{name}' is constant among the 500 counted train impressions")


def test_many_constant_features_are_one_warning(learn, make_impressions, caplog):
    frame = make_impressions(500).assign(**{f"x{place}": 1 for place in range(7)})
    features = Features(categorical=("hour", *(f"x{place}" for place in range(6))), numeric=("x6",))
    with caplog.at_level(logging.WARNING):
        learn(frame, features=features)
    (record,) = caplog.records
    assert record.getMessage().startswith("Features 'x0', 'x1', 'x2', 'x3', 'x4' and 2 more are constant")


@pytest.mark.parametrize(("frequent", "warns"), [(0.08, True), (0.12, False)])
def test_nearly_unique_features_are_warned_of(learn, make_impressions, caplog, frequent, warns):
    """Nulls are no values: half of the rows here."""
    frame = make_impressions(2000)
    known = frame.index % 2 == 0
    order = np.where(frame.index < 2000 * frequent, "often", "o" + frame.index.astype(str))
    frame["order"] = pd.Series(order).where(known)
    with caplog.at_level(logging.WARNING):
        found = learn(frame, features=Features(categorical=("order", "city"), numeric=("spend",)))
    assert "order" in set(found["feature"])
    texts = [record.getMessage() for record in caplog.records]
    assert len(texts) == warns
    assert all("Feature 'order' (92.0 %) is nearly unique" in text and "fewer than 10 times" in text for text in texts)


def test_one_value_and_nulls_are_not_constant(learn, make_impressions):
    frame = make_impressions(500)
    frame["city"] = np.where(frame.index % 2 == 0, "here", None)
    frame["spend"] = np.where(frame.index % 2 == 0, 1.0, np.nan)
    assert {"city", "spend"} <= set(learn(frame)["feature"])


def test_bad_features_end_in_a_sentence(learn, make_impressions):
    frame = make_impressions(300)
    with pytest.raises(InputError, match="feature 'spend' is null in all 300 counted train impressions"):
        learn(frame.assign(spend=np.nan))
    with pytest.raises(InputError, match="feature 'city' is null"):
        learn(frame.assign(city=pd.Series([None] * 300, dtype="str")))
    with pytest.raises(InputError, match="every feature is constant"):
        learn(frame.assign(spend=1.0), features=Features(numeric=("spend",)))
    with pytest.raises(InputError, match=r"no column 'spends'.*did you mean 'spend'"):
        learn(frame, features=Features(numeric=("spends",)))
    with pytest.raises(InputError, match="'click', which is a label"):
        learn(frame, features=Features(categorical=("click",)))


@pytest.mark.parametrize(
    ("given", "threshold", "counted"),
    [
        ({}, 10, "sample"),
        ({"preset": "paper"}, 10, "sample"),
        ({"preset": "released"}, 12, "train_and_valid"),
        ({"preset": "released", "min_count": 3}, 3, "train_and_valid"),
        ({"preset": "released", "count_on": "train"}, 12, "train"),
        ({"min_count": 3, "count_on": "train_and_valid"}, 3, "train_and_valid"),
    ],
)
def test_a_preset_says_what_is_not_said(given, threshold, counted):
    options = VocabularyOptions(**given)
    assert (options.threshold, options.counted) == (threshold, counted)


def test_an_unknown_preset_is_refused():
    with pytest.raises(ValidationError, match="Input should be 'paper' or 'released'"):
        VocabularyOptions(preset="release")


@pytest.mark.parametrize(("preset", "kept"), [("paper", ["ten", "eleven", "twelve"]), ("released", ["twelve"])])
def test_presets_keep_what_occurs_often_enough(learn, preset, kept):
    words = ["nine"] * 9 + ["ten"] * 10 + ["eleven"] * 11 + ["twelve"] * 12 + ["often"] * 50
    frame = pd.DataFrame({"city": words, "impression_id": range(len(words))})
    half = frame.iloc[::2]
    found = learn(
        sample=frame if preset == "paper" else half,
        train=half,
        valid=frame.iloc[1::2],
        features=Features(categorical=("city",)),
        preset=preset,
    )
    assert set(found["value"].dropna()) == {"often", *kept}
    assert found["count"].sum() == len(frame)


def test_counts_validation_beside_train(learn, make_impressions):
    frame = make_impressions(3000)
    train, valid = frame.iloc[:2000], frame.iloc[2000:]
    found = learn(train.iloc[:500], train, valid, count_on="train_and_valid", min_count=30)
    assert rows_of(found, "city", ["id", "value", "count"]) == reference_values(frame["city"], 30)
    assert found.groupby("feature")["count"].sum().eq(3000).all()
