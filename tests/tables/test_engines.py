"""The same expressions on every engine, and the same bytes whatever the number of threads."""

import hashlib
from pathlib import Path

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from ibis.backends.duckdb import Backend
from ibis.config import Config
from kedro.io import DataCatalog, MemoryDataset
from kedro.runner import SequentialRunner

from aitm_kedro.core.features import ListFeature
from aitm_kedro.core.published import Published
from aitm_kedro.pipelines import ingestion, preparation
from aitm_kedro.tables.parameters import Ingestion, Labels, Sampling, Split, VocabularyOptions


class _Kept(MemoryDataset):
    """Stays readable after the run."""

    def _release(self) -> None:
        pass


class _SparkOptions(Config):
    treat_nan_as_null: bool = False


@pytest.fixture
def parameters(funnel, features):
    lists = (ListFeature(name="tags", weights="tag_weights"), ListFeature(name="shops"))
    return {
        "funnel": funnel.model_copy(update={"row_weight": "w"}),
        "features": features.model_copy(update={"lists": lists}),
        "ingestion": Ingestion(),
        "published": Published(),
        "split": Split(),
        "labels": Labels(),
        "sampling": Sampling(positive_share=0.3),
        "vocabulary": VocabularyOptions(),
    }


def run_stages(con: Backend, log: pd.DataFrame, parameters: dict) -> dict[str, object]:
    """Both stages as Kedro runs them, everything in memory; returns every data set."""
    pipeline = ingestion.create_pipeline() + preparation.create_pipeline()
    pipeline -= pipeline.only_nodes("check_features")  # reads arrays, which this catalog does not have
    raw = con.create_table(ibis.util.gen_name("raw"), pa.Table.from_pandas(log, preserve_index=False))
    catalog = DataCatalog({name: _Kept(copy_mode="assign") for name in pipeline.datasets()})
    catalog["raw_impressions"] = raw
    catalog["source_report"] = {}
    for name, value in parameters.items():
        catalog[f"params:{name}"] = value
    SequentialRunner().run(pipeline, catalog)
    return {name: catalog[name].load() for name in pipeline.all_outputs()}


def noisy(make_log) -> pd.DataFrame:
    log, draw = make_log(3000), np.random.default_rng(9)
    lengths = draw.integers(0, 4, len(log))
    log["tags"] = [[f"t,{tag}" for tag in draw.integers(9, size=length)] if length < 3 else None for length in lengths]
    log["tag_weights"] = [draw.random(length).tolist() if length < 3 else None for length in lengths]
    log["w"] = draw.exponential(size=len(log))
    log["shops"] = [draw.integers(9, size=length).tolist() for length in lengths]
    return pd.concat([log, log.iloc[:50], log.iloc[50:60].assign(spend=0.0)], ignore_index=True)


def test_threads_do_not_matter(tmp_path: Path, make_log, parameters):
    log, digests = noisy(make_log), []
    for threads in (1, 2):
        con = ibis.duckdb.connect(threads=threads)
        outputs = run_stages(con, log.sample(frac=1, random_state=threads), parameters)
        folder = tmp_path / str(threads)
        folder.mkdir()
        for split in ("train", "valid", "test"):
            con.to_parquet(outputs[f"{split}_examples@table"], folder / f"{split}.parquet")
        con.to_parquet(outputs["vocabulary@table"], folder / "vocabulary.parquet")
        digests.append([hashlib.md5(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())])
        con.disconnect()
    assert digests[0] == digests[1]


def test_rows_are_accounted_for_from_end_to_end(con, make_log, parameters, features):
    outputs = run_stages(con, noisy(make_log), parameters | {"features": features})
    rows = {name: table.count().execute() for name, table in outputs.items() if isinstance(table, ibis.Table)}
    assert rows["impressions"] == outputs["ingestion_report"].rows_out == outputs["label_report"].rows_in
    assert rows["impressions"] == rows["legal_impressions"] + rows["illegal_impressions"]
    assert rows["legal_impressions"] == sum(rows[f"{split}_impressions"] for split in ("train", "valid", "test"))
    assert rows["train_sample"] == rows["train_examples@table"] < rows["train_impressions"]
    assert rows["test_impressions"] == rows["test_examples@table"]
    fields = [spec.name for spec in outputs["feature_specs"].features]
    assert fields == [name for name in outputs["train_examples@table"].columns if name in features.names]
    assert outputs["dataset_statistics"]["rows"].tolist() == [
        rows[f"{split}_examples@table"] for split in ("train", "valid", "test")
    ]


def test_every_query_compiles_for_spark(con, make_log, parameters, monkeypatch):
    """Whatever the stages ask of the database, and whatever they hand on, can be asked of Spark."""
    monkeypatch.setattr(ibis.options, "pyspark", _SparkOptions())
    asked = []
    monkeypatch.setattr(Backend, "_to_duckdb_relation", _spy(Backend._to_duckdb_relation, asked))
    outputs = run_stages(con, noisy(make_log), parameters)
    asked += [table for table in outputs.values() if isinstance(table, ibis.Table)]
    assert len(asked) > 30
    for expression in asked:
        assert "SELECT" in ibis.to_sql(expression, dialect="pyspark")


def _spy(method, asked):
    def remember(self, expression, **options):
        asked.append(expression)
        return method(self, expression, **options)

    return remember
