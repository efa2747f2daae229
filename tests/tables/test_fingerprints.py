"""The fingerprint of a vocabulary: the same for the same ids, another one for any other."""

import ibis
import numpy as np
import pandas as pd
import pytest

from aitm_kedro.core.features import Features
from aitm_kedro.tables.fingerprints import fingerprint_vocabulary
from aitm_kedro.tables.parameters import VocabularyOptions
from aitm_kedro.tables.vocabulary import as_table, learn_vocabulary


@pytest.fixture
def words() -> pd.DataFrame:
    draw = np.random.default_rng(0)
    frame = pd.DataFrame({"impression_id": range(500), "city": draw.choice(["a", "b", "ü"], 500)})
    frame["age"] = draw.normal(size=500)
    features = Features(categorical=("city",), numeric=("age",))
    return learn_vocabulary(ibis.duckdb.connect().create_table("log", frame), features, VocabularyOptions(min_count=1))


def test_order_engine_and_types_make_no_difference(words: pd.DataFrame, tmp_path) -> None:
    expected = fingerprint_vocabulary(words)
    assert len(expected) == 12
    words.to_parquet(tmp_path / "words.parquet")
    same = {
        "shuffled": words.sample(frac=1, random_state=0),
        "in memory": as_table(words),
        "in a file": ibis.duckdb.connect().read_parquet(tmp_path / "words.parquet"),
        "from a file": pd.read_parquet(tmp_path / "words.parquet"),
        "other types": words.astype({"id": "int64", "count": "int32", "value": "str"}),
        "with other columns": words.assign(note="x"),
    }
    assert {name: fingerprint_vocabulary(table) for name, table in same.items()} == dict.fromkeys(same, expected)


def test_two_engines_agree(words: pd.DataFrame) -> None:
    sqlite = ibis.sqlite.connect().create_table("words", as_table(words).to_pyarrow())
    assert fingerprint_vocabulary(sqlite) == fingerprint_vocabulary(words)


def test_every_part_of_the_meaning_of_an_id_counts(words: pd.DataFrame) -> None:
    first = words.index[words["id"] == 1]
    changed = [words.copy() for _ in range(6)]
    changed[0].loc[first[0], "value"] = "c"
    changed[1].loc[first[1], "lower"] = -1.0
    changed[2].loc[first[0], "id"] = 9
    changed[3].loc[first[0], "count"] += 1
    changed[4]["feature"] = changed[4]["feature"].replace("city", "town")
    changed[5] = words.iloc[:-1]
    found = [fingerprint_vocabulary(table) for table in (words, *changed)]
    assert len(set(found)) == len(found)
