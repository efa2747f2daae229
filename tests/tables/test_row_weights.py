"""The weight of a row: what the source must hold, and its way to the encoded examples."""

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.pipelines.ingestion.nodes import ingest_impressions
from aitm_kedro.pipelines.preparation.nodes import check_labels, downsample_negatives, encode_impressions
from aitm_kedro.tables.parameters import Ingestion, Labels, Sampling, Split, VocabularyOptions
from aitm_kedro.tables.vocabulary import as_table, learn_vocabulary

STEPS = ("click", "application", "approval", "activation")


@pytest.fixture
def weighted(funnel) -> Funnel:
    return funnel.model_copy(update={"row_weight": "w"})


@pytest.fixture
def ingest(put, weighted, features):
    def run(frame, funnel=weighted, features=features):
        return ingest_impressions(put(frame), {}, funnel, features, Split(), Ingestion())[0]

    return run


@pytest.mark.parametrize(
    ("weights", "sentence"),
    [
        ([1, -0.5, -2], r"column 'w' must hold numbers from 0 to 3\.4e\+38 \(.*row_weight.*\), but 2 rows .* -2;"),
        ([1, None, 2], "but 1 row holds something else, for example null"),
        ([1, math.inf, 1], "but 1 row holds something else, for example inf"),
        ([1, 1e39, 1], r"but 1 row holds something else, for example 1e\+39"),
        ([0, 0.0, 0], r"column 'w' \(funnel.row_weight names it\) is 0 in all 300 rows"),
        (
            ["a", "b", "c"],
            r"column 'w' must hold numbers from 0 to .*, but 300 rows hold something else, for example c",
        ),
        ([True, False, True], "funnel.row_weight names 'w', which is boolean"),
        ([None] * 3, "but 300 rows hold something else, for example null"),
    ],
)
def test_bad_weights_end_in_a_sentence(ingest, make_log, weights, sentence):
    kind = None if any(isinstance(weight, str | bool) for weight in weights) else float
    frame = make_log(300)
    usual = weights[0] if kind is None or not any(weights) else 1.0
    frame["w"] = pd.Series([*weights, *[usual] * 297], dtype=kind)
    with pytest.raises(InputError, match=sentence):
        ingest(frame)


def test_nan_is_no_weight(con, weighted, features, make_log):
    table = pa.Table.from_pandas(make_log(300), preserve_index=False)
    table = table.append_column("w", pa.array(np.where(np.arange(300) < 2, math.nan, 1.0)))
    with pytest.raises(InputError, match="but 2 rows hold something else, for example null"):
        ingest_impressions(con.create_table("nans", table), {}, weighted, features, Split(), Ingestion())


def test_a_missing_column_and_columns_that_are_no_weights_are_named(ingest, make_log, funnel):
    log = make_log(300).assign(**{f"oracle_{step}": 0.5 for step in STEPS})
    with pytest.raises(InputError, match=r"no column 'w' \(funnel.row_weight names it\)"):
        ingest(log)
    for name in ("impression_id", "impression_time", "click_time", "oracle_click"):
        with pytest.raises(InputError, match=f"funnel.row_weight names '{name}', which is no weight but an id"):
            ingest(log, funnel.model_copy(update={"row_weight": name}))


@pytest.mark.parametrize("kind", ["float64", "float32", "int8", "uint16"])
def test_weights_go_from_the_log_to_the_examples(ingest, make_log, weighted, features, kind):
    """Beside their rows, as float32; downsampling counts rows, whatever they weigh."""
    log = make_log(1500)
    log["w"] = (np.arange(len(log)) % 5).astype(kind)

    def prepare(funnel):
        table, _, labels = check_labels(ingest(log, funnel), funnel, Labels())
        sample, _, _ = downsample_negatives(table, table, labels, funnel, Sampling(positive_share=0.3))
        words = as_table(learn_vocabulary(sample, features, VocabularyOptions()))
        return encode_impressions(sample, words, funnel, features)

    found = prepare(weighted)
    assert list(found.columns)[:4] == ["impression_id", "_segment", "_row_weight", "click"]
    assert str(found.schema()["_row_weight"]) == "float32"
    found, expected = found.to_pandas(), log.set_index("impression_id")["w"].astype("float32")
    assert found["_row_weight"].tolist() == expected[found["impression_id"]].tolist()
    plain = prepare(weighted.model_copy(update={"row_weight": None})).to_pandas()
    pd.testing.assert_frame_equal(found.drop(columns="_row_weight"), plain)


def test_a_weight_may_be_a_feature_as_well(ingest, make_log, weighted):
    log = make_log(300)
    features = Features(numeric=("w", "spend"))
    table = ingest(log.assign(w=np.arange(300) % 3), features=features)
    words = learn_vocabulary(table, features, VocabularyOptions())
    found = encode_impressions(table, as_table(words), weighted, features).to_pandas()
    assert found["_row_weight"].tolist() == found["_value_w"].tolist()
    assert set(found["w"]) == {1, 2, 3}


def test_a_step_may_be_called_weight(put, features):
    frame = pd.DataFrame({"impression_id": range(4), "weight": [0, 1, 1, 0], "w": [1, 2, 3, 4], "x": [1, 2, 3, 4]})
    funnel = Funnel(steps=("weight",), main_steps=("weight",), row_weight="w")
    table, _, report = ingest_impressions(put(frame), {}, funnel, Features(numeric=("x",)), Split(), Ingestion())
    assert set(table.columns) == set(frame.columns)
    assert report.rows_out == 4


def test_a_table_that_was_ingested_without_weights_is_said(put, make_impressions, weighted, features):
    table = put(make_impressions(200))
    words = as_table(learn_vocabulary(table, features, VocabularyOptions()))
    with pytest.raises(InputError, match="names 'w', but the impressions have no such column"):
        encode_impressions(table, words, weighted, features)
