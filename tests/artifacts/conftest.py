"""A small log with every kind of column, models trained on it, and their bundles."""

from dataclasses import dataclass
from functools import cache

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from aitm_kedro.artifacts.bundle import Bundle, Manifest
from aitm_kedro.artifacts.correction import correct, row_keep_rates
from aitm_kedro.artifacts.predictor import Predictor
from aitm_kedro.core.example_store import examples_of
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Provenance
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.registry import build
from aitm_kedro.tables.encoding import encode_examples
from aitm_kedro.tables.feature_specs import describe_features
from aitm_kedro.tables.parameters import VocabularyOptions
from aitm_kedro.tables.reports import KeepRates
from aitm_kedro.tables.vocabulary import SCHEMA, learn_vocabulary

STEPS = ("click", "buy")
FUNNEL = Funnel(steps=STEPS, main_steps=STEPS, segment="bank")
FEATURES = Features(
    categorical=("city", "bank", "hour", "member", "same"),
    numeric=("spend", "orders"),
    lists=("tags", {"name": "words", "weights": "counts"}),
)
RATES = KeepRates(overall=0.3)
TRAINING = Training(max_epochs=1, batch_size=500, device="cpu", threads=1)
OPTIONS = {
    "logistic": {"inverse_l2": [0.1], "max_iterations": 20},
    "lightgbm": {"max_rounds": 5, "threads": 1},
    "aitm": {"tower": {"layers": [8, 4, 4]}},
}


def log(rows=1000, seed=1):
    """Raw rows with labels: text, whole numbers, truth values, numbers, lists; nulls wherever they can be."""
    draw = np.random.default_rng(seed)
    lengths = draw.integers(0, 4, rows)
    frame = pd.DataFrame({"impression_id": draw.permutation(rows) + 10**12})
    frame["city"] = [None if draw.random() < 0.1 else f"c{int(30 * draw.random() ** 3)}" for _ in range(rows)]
    frame["bank"] = draw.choice(["north", "south"], rows, p=[0.7, 0.3])
    frame["hour"] = draw.integers(0, 24, rows)
    frame["member"] = draw.random(rows) < 0.4
    frame["same"] = "one value"
    frame["spend"] = np.where(draw.random(rows) < 0.1, np.nan, draw.exponential(50, rows).round(1))
    frame["orders"] = draw.poisson(0.7, rows)
    frame["tags"] = [None if length == 3 else [f"t{t}" for t in draw.integers(0, 9, length)] for length in lengths]
    frame["words"] = [draw.integers(0, 9, length).tolist() for length in lengths]
    frame["counts"] = [draw.random(length).round(2).tolist() for length in lengths]
    happened = draw.random(rows) < 0.1 + 0.02 * frame["hour"]
    for step in STEPS:
        frame[step] = happened.astype(np.int8)
        happened = happened & (draw.random(rows) < 0.5)
    return frame


def as_arrow(frame):
    return frame if isinstance(frame, pa.Table) else pa.Table.from_pandas(frame, preserve_index=False)


@dataclass(frozen=True)
class World:
    """What a run of the pipeline knows when it ends."""

    vocabulary: pd.DataFrame
    specs: tuple
    trained: object
    funnel: Funnel

    def encode(self, frame, *, funnel=None):
        """Examples of the rows as the pipeline makes them, in order of impression_id."""
        connection = ibis.duckdb.connect(threads=2)
        table = connection.create_table("log", as_arrow(frame))
        encoded = encode_examples(table, self.vocabulary, funnel=funnel or self.funnel, features=FEATURES).to_pyarrow()
        connection.disconnect()
        return examples_of(encoded)

    def bundle(self, *, rates=RATES, **facts):
        provenance = Provenance.now(data={"train": "0"}, parameters={"seed": 0})
        known = {
            "run": self.trained.spec.model,
            "model": self.trained.spec.model,
            "seed": 0,
            "funnel": self.funnel,
            "features": FEATURES,
            "keep_rates": rates,
            "weights": self.trained.fingerprint(),
            "valid_auc": {"click": 0.7, "buy": 0.6},
            "test": None,
            "trained": provenance,
            "judged": provenance,
        }
        words = pa.Table.from_pandas(self.vocabulary, schema=pa.schema(SCHEMA), preserve_index=False)
        return Bundle(Manifest(**known | facts), self.trained, words)

    def predictor(self, **facts):
        return Predictor(self.bundle(**facts), threads=2)

    def expected(self, frame, rates=RATES):
        """What the pipeline predicts, one row for each of the frame, in its order."""
        examples = self.encode(frame)
        corrected = correct(self.trained.predict(examples), row_keep_rates(rates, examples.segment))
        found = pd.DataFrame(corrected, columns=list(STEPS))
        return found.iloc[np.argsort(np.argsort(frame["impression_id"].to_numpy()))].reset_index(drop=True)


@cache
def train(model):
    connection = ibis.duckdb.connect(threads=2)
    table = connection.create_table("log", as_arrow(log(3000, seed=0)))
    vocabulary = learn_vocabulary(table, FEATURES, VocabularyOptions(bins=7, min_count=5))
    specs = describe_features(vocabulary, table, FEATURES).features
    connection.disconnect()
    world = World(vocabulary, specs, None, FUNNEL)
    learner = build(model, options=OPTIONS[model], training=TRAINING)
    trained = learner.fit(
        world.encode(log(3000, seed=0)), world.encode(log(600, seed=9)), features=specs, funnel=FUNNEL, seed=0
    )
    return World(vocabulary, specs, trained.place(device="cpu", threads=1), FUNNEL)


@pytest.fixture(params=["logistic", "lightgbm", "aitm"])
def every(request):
    """What each kind of model knows."""
    return train(request.param)


@pytest.fixture
def world():
    """What the quickest kind of model knows."""
    return train("logistic")


@pytest.fixture
def make_log():
    return log


@pytest.fixture
def connection():
    made = ibis.duckdb.connect(threads=2)
    yield made
    made.disconnect()
