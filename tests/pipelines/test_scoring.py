"""Scoring in a finished project: the audience's probabilities are those of the best run on validation."""

import json
import shutil

import ibis
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.conftest import kedro, make_project, newest

from aitm_kedro.artifacts.bundle import load_bundle
from aitm_kedro.artifacts.parameters import Scoring
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.provenance import Provenance
from aitm_kedro.learning.parameters import Training
from aitm_kedro.pipelines.scoring.nodes import score_audience

STEPS = ["click", "application", "approval", "activation"]


@pytest.fixture(scope="module")
def trained(finished, tmp_path_factory):
    """A copy of what scoring reads."""
    project = make_project(tmp_path_factory.mktemp("scoring"))
    for folder in ("03_primary", "06_models", "07_model_output"):
        shutil.copytree(finished / "data" / folder, project / "data" / folder)
    return project


def best_run(project):
    """By the mean validation AUC of the main steps, as the histories tell it, among those that learnt."""
    scores = {}
    for folder in (project / "data/06_models/test").iterdir():
        history = json.loads(newest(project, f"06_models/test/{folder.name}/seed0/history.json").read_text())
        known = [value for step in ("approval", "activation") if (value := history["valid_auc"][step]) is not None]
        log_losses = [sum(history[name].values()) for name in ("valid_log_loss", "constant_log_loss")]
        scores[folder.name] = (log_losses[0] < log_losses[1], np.mean(known))
    return max(scores, key=scores.get)


def assert_scored_by(run, project):
    found = pd.read_parquet(newest(project, "07_model_output/test/audience_scores.parquet"))
    predictions = pd.read_parquet(newest(project, f"07_model_output/test/{run}/seed0/predictions.parquet"))
    audience = pd.read_parquet(newest(project, "03_primary/test/test_impressions.parquet"))
    assert list(found.columns) == ["impression_id", *STEPS]
    assert found["impression_id"].tolist() == audience["impression_id"].tolist()
    expected = predictions.set_index("impression_id").loc[found["impression_id"], STEPS]
    np.testing.assert_allclose(found[STEPS].to_numpy(), expected.to_numpy(), rtol=0, atol=1e-6)


@pytest.mark.end_to_end
class TestRun:
    def test_the_best_run_on_validation_scores(self, trained):
        result = kedro(trained, "run", "--pipelines=scoring", "--env=test")
        best = best_run(trained)
        assert f"Scoring with '{best}', seed 0" in " ".join(result.stdout.split())
        assert_scored_by(best, trained)

    def test_a_run_that_is_asked_for_scores(self, trained):
        kedro(trained, "run", "--pipelines=scoring", "--env=test", "--params=scoring.run=logistic")
        assert_scored_by("logistic", trained)
        metadata = pq.read_schema(newest(trained, "07_model_output/test/audience_scores.parquet")).metadata
        bundle = load_bundle(newest(trained, "06_models/test/logistic/seed0/bundle"))
        assert json.loads(metadata[b"bundle"]) == {"run": "logistic", "seed": 0, "fingerprint": bundle.fingerprint()}
        made = Provenance.model_validate_json(metadata[b"provenance"])
        assert made.data == bundle.manifest.trained.data | {"weights": bundle.trained.fingerprint()}

    def test_a_run_that_was_not_trained(self, trained):
        shutil.rmtree(trained / "data/06_models/test/lightgbm/seed0/bundle")
        arguments = ("run", "--pipelines=scoring", "--env=test", "--params=scoring.run=lightgbm")
        result = kedro(trained, *arguments, check=False)
        said = " ".join((result.stdout + result.stderr).split())
        assert result.returncode != 0
        assert "there is no bundle of 'lightgbm' with seed 0, " in said
        assert "train it first: kedro run --env=test --pipelines=modelling" in said
        assert "Traceback" not in said

    def test_a_run_that_is_not_known(self, trained):
        result = kedro(trained, "run", "--pipelines=scoring", "--env=test", "--params=scoring.run=atim", check=False)
        said = " ".join((result.stdout + result.stderr).split())
        assert result.returncode != 0
        assert "The parameter scoring.run names the run 'atim', but the runs are lightgbm, " in said
        assert "Traceback" not in said


@pytest.mark.parametrize("audience", [pd.DataFrame({"city": ["a"]}), pa.table({"city": ["a"]})])
def test_an_audience_that_cannot_be_streamed_from(audience):
    with pytest.raises(InputError, match=r"audience is loaded as \w+, but scoring reads Ibis tables; in the catalog"):
        score_audience(audience, Scoring(), Training(), keys=[])


@pytest.mark.end_to_end
def test_an_audience_without_rows_is_told(trained, caplog):
    bundle = load_bundle(newest(trained, "06_models/test/logistic/seed0/bundle"))
    audience = ibis.memtable(pq.read_table(newest(trained, "03_primary/test/test_impressions.parquet")).slice(0, 0))
    scores = score_audience(audience, Scoring(), Training(threads=1), bundle, keys=[("logistic", 0)])
    assert scores.read_all().num_rows == 0
    assert "The audience has no rows" in caplog.text


@pytest.mark.end_to_end
@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda table: table, None),
        (
            lambda table: table.drop(["impression_id"]),
            "The audience has no column 'impression_id', so its scores can be",
        ),
        (
            lambda table: table.set_column(0, "impression_id", pa.array([None, *[7] * (len(table) - 1)])),
            "Among the 200 rows of the audience, 'impression_id' is null in 1, and the others have 1 different value",
        ),
    ],
)
def test_ids_that_do_not_tell_rows_apart_are_told(trained, caplog, change, sentence):
    bundle = load_bundle(newest(trained, "06_models/test/logistic/seed0/bundle"))
    table = pq.read_table(newest(trained, "03_primary/test/test_impressions.parquet")).slice(0, 200)
    assert table.column_names[0] == "impression_id"
    scores = score_audience(
        ibis.memtable(change(table)), Scoring(), Training(threads=1), bundle, keys=[("logistic", 0)]
    )
    assert scores.read_all().num_rows == 200
    assert ("audience" in caplog.text) == (sentence is not None)
    assert (sentence or "") in caplog.text
