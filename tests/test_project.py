"""The project as its users meet it: whole runs, single stages, a table of one's own, bad input, and SIGKILL."""

import json
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project

from tests.conftest import kedro, newest

SCORES = "08_reporting/test/comparison.csv"
RUNS = ("mlp", "shared_bottom", "esmm", "omoe", "mmoe", "ple", "aitm", "logistic")


@pytest.mark.end_to_end
class TestFullRun:
    def test_everything_is_where_the_readme_says(self, finished):
        for name in ("funnel.png", "tsne.png", "transfer_weights.png", "learning_curves.png", "comparison.png"):
            assert newest(finished, f"08_reporting/test/{name}").read_bytes().startswith(b"\x89PNG")
        assert (
            newest(finished, "06_models/test/aitm/seed0/weights").joinpath("weights.safetensors").stat().st_size > 1000
        )
        table = newest(finished, "08_reporting/test/comparison_table.md").read_text()
        assert table.index("| lightgbm (reference) |") < table.index("| ple") < table.index("| aitm")
        for row in (*RUNS, "lightgbm (reference)", "oracle (upper bound)"):
            assert f"| {row}" in table
        assert newest(finished, "06_models/test/lightgbm/seed0/weights").joinpath("approval.txt").read_text()
        manifest = json.loads(
            newest(finished, "06_models/test/aitm/seed0/bundle").joinpath("manifest.json").read_text()
        )
        assert (manifest["run"], manifest["seed"]) == ("aitm", 0)

    def test_every_raw_row_is_accounted_for(self, finished):
        ingestion = json.loads(newest(finished, "08_reporting/test/ingestion_report.json").read_text())
        labels = json.loads(newest(finished, "08_reporting/test/label_report.json").read_text())
        assert ingestion["rows_in"] == ingestion["rows_out"] + sum(ingestion["rows_aside"].values())
        assert labels["rows_in"] == ingestion["rows_out"]
        parts = [
            newest(finished, f"03_primary/test/{split}_impressions.parquet") for split in ("train", "valid", "test")
        ]
        assert sum(len(pd.read_parquet(part, columns=["impression_id"])) for part in parts) == labels["rows_out"]

    def test_predictions_are_legal_probabilities_of_every_test_row(self, finished):
        predictions = pd.read_parquet(newest(finished, "07_model_output/test/aitm/seed0/predictions.parquet"))
        examples = pd.read_parquet(newest(finished, "05_model_input/test/test_examples.parquet"))
        np.testing.assert_array_equal(predictions["impression_id"], examples["impression_id"])
        values = predictions.drop(columns="impression_id").to_numpy()
        assert np.isfinite(values).all()
        assert ((values >= 0) & (values <= 1)).all()

    def test_the_truth_is_the_upper_bound_and_no_feature(self, finished):
        scores = pd.read_csv(newest(finished, SCORES))
        auc = scores[scores["metric"] == "auc"].set_index(["run", "step"])["value"]
        for step in ("click", "application", "approval"):
            assert auc["oracle", step] > max(auc["aitm", step], auc["logistic", step])
        vocabulary = pd.read_parquet(newest(finished, "04_feature/test/vocabulary.parquet"))
        assert not vocabulary["feature"].str.startswith("oracle").any()

    def test_the_record_of_the_run_names_parameters_versions_and_times(self, finished):
        record = json.loads(newest(finished, "08_reporting/test/run_record.json").read_text())
        assert record["parameters"]["training"]["max_epochs"] == 2
        assert record["libraries"]["torch"]
        assert record["datasets"]["aitm.seed0.weights"]
        assert record["nodes"]["ingest_impressions"]["seconds"] > 0

    def test_single_stages_and_earlier_versions_run_again(self, used):
        project = used
        weights = newest(project, "06_models/test/aitm/seed0/weights").parent.name
        kedro(project, "run", "--pipelines=comparison", "--env=test")
        kedro(
            project,
            "run",
            "--env=test",
            "--nodes=aitm.seed0.predict_test",
            f"--load-versions=aitm.seed0.weights:{weights}",
        )
        kedro(project, "run", "--env=test", "--from-nodes=draw_tsne")
        kedro(project, "run", "--env=test", "--from-nodes=aitm.seed0.train")
        kedro(project, "run", "--env=test", "--pipeline=preparation")
        kedro(project, "run", "--env=test", "--namespaces=logistic.seed0", "--pipeline=modelling")

    def test_without_an_environment_the_package_runs_as_a_module(self, used):
        command = [sys.executable, "-m", "aitm_kedro", "--pipeline=comparison", "--env=test"]
        result = subprocess.run(command, cwd=used, capture_output=True, text=True, timeout=120, check=False)
        assert result.returncode == 0, result.stderr


@pytest.mark.end_to_end
def test_a_benchmark_goes_on_after_a_kill_and_repeats_nothing_that_is_finished(used):
    project = used
    command = [sys.executable, "-m", "kedro", "run", "--pipeline=benchmark", "--env=test"]
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    last = project / "data/06_models/test/esmm/seed1/bundle"  # what `evaluate` saves after metrics and placements
    deadline = time.monotonic() + 120
    while not list(last.glob("*/bundle")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    finished_runs = ("aitm/seed0", "ple/seed0", "lightgbm/seed0", "aitm/seed1", "esmm/seed1")
    before = [sorted((project / f"data/07_model_output/test/{run}").rglob("*.json")) for run in finished_runs]
    kedro(project, "run", "--pipeline=benchmark", "--env=test")
    after = [sorted((project / f"data/07_model_output/test/{run}").rglob("*.json")) for run in finished_runs]
    assert before == after
    table = newest(project, "08_reporting/test/comparison_table.md").read_text()
    assert "p over seeds" in table
    assert "No results" not in table
    summary = pd.read_csv(newest(project, "08_reporting/test/comparison_summary.csv"))
    assert summary.loc[summary["run"] == "ple", "p_seeds"].notna().all()
    shutil.rmtree(project / "data/07_model_output/test/mmoe/seed2/metrics.json")
    kedro(project, "run", "--pipeline=comparison", "--env=test")
    table = newest(project, "08_reporting/test/comparison_table.md").read_text()
    assert "- No results of mmoe with seed 2: not in the comparison." in table
    assert "| mmoe" in table


# A table of one's own.


def cascade(rows=6000, seed=0):
    """A small three-step cascade of ratings, in order of time."""
    rng = np.random.default_rng(seed)
    user, item, age = rng.integers(40, size=rows), rng.integers(60, size=rows), rng.normal(35, 9, rows).round()
    taste = rng.normal(size=40)[user] + rng.normal(size=60)[item] + (age - 35) / 20 + rng.normal(size=rows)
    return pd.DataFrame(
        {
            "impression_id": np.arange(rows),
            "impression_time": pd.Timestamp("2024-01-01") + pd.to_timedelta(np.arange(rows), unit="min"),
            "user": [f"u{u}" for u in user],
            "item": [f"i{i}" for i in item],
            "age": np.where(rng.random(rows) < 0.1, np.nan, age),
            **{f"liked{k}": (taste > k - 3).astype("int8") for k in (3, 4, 5)},
        }
    )


OWN = {
    "catalog.yml": {
        "raw_impressions": {
            "type": "ibis.FileDataset",
            "filepath": "data/01_raw/ratings.parquet",
            "connection": "${globals:connection}",
        }
    },
    "parameters.yml": {
        "funnel": {"steps": ["liked3", "liked4", "liked5"], "main_steps": ["liked4", "liked5"]},
        "features": {"categorical": ["user", "item"], "numeric": ["age"]},
        "sampling": {"positive_share": None},
        "runs": {"lightgbm": {}, "aitm": {}, "logistic": {}},  # not all, which takes a while
        "training": {"batch_size": 100, "max_epochs": 3},
        "lightgbm": {"max_rounds": 5},
        "logistic": {"inverse_l2": [0.1]},
        "reporting": {"tsne_rows": 20, "transfer_rows": 40},
    },
}


def own_project(project, table=None, catalog=None, **parameters):
    """Add the environment ``mine`` to the project, as the README describes it."""
    folder = project / "conf/mine"
    folder.mkdir()
    entry = OWN["catalog.yml"] | {"raw_impressions": OWN["catalog.yml"]["raw_impressions"] | (catalog or {})}
    (folder / "catalog.yml").write_text(yaml.safe_dump(entry))
    (folder / "parameters.yml").write_text(yaml.safe_dump(OWN["parameters.yml"] | parameters))
    raw = project / "data/01_raw"
    raw.mkdir(parents=True)
    if table is not None:
        table.to_parquet(raw / "ratings.parquet")
        table.to_csv(raw / "ratings.csv", index=False)
    return project


def run_here(project, monkeypatch, *arguments):
    """``kedro run`` in this process, which is faster than one of its own."""
    monkeypatch.chdir(project)
    bootstrap_project(project)
    from aitm_kedro.cli import run

    return CliRunner().invoke(run, ["--env=mine", *arguments])


@pytest.mark.parametrize(
    "catalog",
    [
        {},
        {"type": "aitm_kedro.datasets.Table"},
        {"filepath": "data/01_raw/ratings.csv", "file_format": "csv"},
    ],
    ids=["ibis", "table", "csv"],
)
def test_a_table_of_ones_own_needs_no_python(project, monkeypatch, catalog):
    result = run_here(own_project(project, cascade(), catalog), monkeypatch, "--pipelines=full")
    assert result.exit_code == 0, result.output
    table = newest(project, "08_reporting/mine/comparison_table.md").read_text()
    assert "| aitm |" in table
    assert "oracle" not in table


def test_an_ablation_by_configuration_alone_stands_beside_the_others_with_significance(project, monkeypatch):
    runs = {
        "lightgbm": {},
        "aitm": {},
        "aitm_no_calibrator": {"model": "aitm", "options": {"preset": "paper", "alpha": 0}},
    }
    own_project(project, cascade(), runs=runs, seeds={"full": [0, 1]})
    result = run_here(project, monkeypatch, "--pipelines=full", "--params=runs.aitm_no_calibrator.options.tower=nfm")
    assert result.exit_code == 0, result.output
    table = newest(project, "08_reporting/mine/comparison_table.md").read_text()
    assert "aitm_no_calibrator alpha 0.0" in table
    assert "aitm_no_calibrator tower" in table
    summary = pd.read_csv(newest(project, "08_reporting/mine/comparison_summary.csv"))
    assert set(summary["run"]) == set(runs)
    lead = summary[(summary["run"] == "aitm_no_calibrator") & (summary["step"] == "liked5")].iloc[0]
    assert 0 <= lead["p_rows"] <= 1
    assert 0 <= lead["p_seeds"] <= 1
    history = json.loads(newest(project, "06_models/mine/aitm_no_calibrator/seed1/history.json").read_text())
    assert history["provenance"]["parameters"]["options"]["alpha"] == 0


BLENDED = {
    **{name: {} for name in ("lightgbm", "aitm", "logistic")},
    "ensemble": {"options": {"members": ["aitm", "lightgbm", "logistic"]}},
}


def test_what_harms_is_left_out_of_all_runs_and_an_ensemble_scores_without_it(project, monkeypatch):
    rng = np.random.default_rng(1)
    table = cascade()
    sides = np.where(rng.random(6000) < 0.8, table["liked4"], 1 - table["liked4"])
    turned = np.where(np.arange(6000) < 3600, sides, 1 - sides)  # after train it means the opposite
    table["mood"] = np.where(turned == 1, "high", "low")
    own_project(project, table, runs=BLENDED, features=FEATURES | {"categorical": ["user", "item", "mood"]})
    result = run_here(project, monkeypatch, "--pipelines=full")
    assert result.exit_code == 0, result.output
    assert "'mood' (+0." in result.output
    assert "is left out of all runs (feature_check: drop)" in " ".join(result.output.split())
    report = newest(project, "08_reporting/mine/comparison_table.md").read_text()
    assert "'mood' (+0." in report
    assert "| ensemble |" in report
    for run in BLENDED:
        manifest = json.loads((newest(project, f"06_models/mine/{run}/seed0/bundle") / "manifest.json").read_text())
        assert set(manifest["unknown_shares"]) == {"user", "item", "age"}

    blend = json.loads((newest(project, "06_models/mine/ensemble/seed0/bundle") / "model/blend.json").read_text())
    assert blend["members"] == ["aitm.seed0", "lightgbm.seed0", "logistic.seed0"]
    shutil.rmtree(project / "data/06_models/mine/aitm")  # the bundle of an ensemble needs no other
    assert run_here(project, monkeypatch, "--pipelines=scoring", "--params=scoring.run=ensemble").exit_code == 0
    scores = pd.read_parquet(newest(project, "07_model_output/mine/audience_scores.parquet"))
    assert len(scores) == 1800
    assert (scores["liked3"] >= scores["liked4"]).all()
    assert (scores["liked4"] >= scores["liked5"]).all()
    predictions = pd.read_parquet(newest(project, "07_model_output/mine/ensemble/seed0/predictions.parquet"))
    both = predictions.merge(scores, on="impression_id", suffixes=("", "_scored"))
    assert np.allclose(both["liked5"], both["liked5_scored"], atol=1e-6)


def test_an_ensemble_without_a_member_says_how_to_train_it(project, monkeypatch):
    own_project(project, cascade(), runs=BLENDED)
    assert run_here(project, monkeypatch, "--pipelines=ingestion,preparation").exit_code == 0
    result = run_here(project, monkeypatch, "--pipelines=modelling", "--namespaces=ensemble.seed0")
    assert result.exit_code == 1
    sentence = " ".join(result.output.split())
    assert "'aitm.seed0.weights', 'lightgbm.seed0.weights' and 'logistic.seed0.weights' are not there yet" in sentence
    assert "Make them first: kedro run --pipelines=modelling --env=mine" in sentence


def test_runs_are_compared_in_several_windows(project, monkeypatch):
    own_project(project, cascade(), runs={"lightgbm": {}, "logistic": {}, "esmm": {}}, explain=None)
    result = run_here(project, monkeypatch, "--pipelines=ingestion,preparation,rolling")
    assert result.exit_code == 0, result.output
    scores = pd.read_csv(newest(project, "08_reporting/mine/rolling_scores.csv"))
    assert scores.groupby("run").size().to_dict() == {"lightgbm": 9, "logistic": 9, "esmm": 9}
    assert list(scores["train_rows"].unique()) == [2400, 3000, 3600]
    assert newest(project, "08_reporting/mine/rolling_table.md").read_text().startswith("# Rolling validation")


def test_weights_of_rows_and_tasks_reach_loss_and_metrics(project, monkeypatch):
    table = cascade().assign(worth=lambda t: np.where(t["item"] < "i3", 5.0, 0.5))
    funnel = OWN["parameters.yml"]["funnel"] | {"row_weight": "worth"}
    training = OWN["parameters.yml"]["training"] | {"task_weights": {"liked5": 3}}
    own_project(project, table, funnel=funnel, training=training)
    assert run_here(project, monkeypatch, "--pipelines=full").exit_code == 0
    weighted = newest(project, "07_model_output/mine/logistic/seed0/metrics.json").read_text()
    own = OWN["parameters.yml"] | {"training": training}
    (project / "conf/mine/parameters.yml").write_text(yaml.safe_dump(own))
    assert run_here(project, monkeypatch, "--pipelines=full").exit_code == 0
    alike = newest(project, "07_model_output/mine/logistic/seed0/metrics.json").read_text()
    aucs = [json.loads(text)["test"]["steps"]["liked5"]["auc"] for text in (weighted, alike)]
    assert aucs[0] != aucs[1]


def test_old_versions_are_pruned_if_so_asked(project, monkeypatch):
    own_project(project, cascade(), runs={"lightgbm": {}, "logistic": {}}, explain=None, keep_versions=1)
    for _ in range(2):
        assert run_here(project, monkeypatch, "--pipelines=full").exit_code == 0
    assert len(list((project / "data/05_model_input/mine/train_examples.parquet").iterdir())) == 1
    assert len(list((project / "data/06_models/mine/logistic/seed0/bundle").iterdir())) == 1
    assert run_here(project, monkeypatch, "--pipelines=preparation").exit_code == 0
    # The bundles were made from the examples of before, which stay as long as they do.
    assert len(list((project / "data/05_model_input/mine/train_examples.parquet").iterdir())) == 2


@pytest.mark.end_to_end
class TestRunsOfAnEnvironment:
    """Whoever opens the project sees the runs of the environment that was asked for."""

    def test_kedro_registry_list_reads_base_and_no_torch(self, project):
        code = (
            "import sys; from kedro.framework.cli.cli import main\n"
            "for arguments in (['list'], ['describe', 'full']):\n"
            "    sys.argv = ['kedro', 'registry', *arguments]\n"
            "    try: main()\n"
            "    except SystemExit as end: assert not end.code, end.code\n"
            "assert 'torch' not in sys.modules"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=project, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "- scoring" in done.stdout

    def test_comparing_needs_no_torch(self, used):
        code = (
            "import sys; from kedro.framework.cli.cli import main\n"
            "sys.argv = ['kedro', 'run', '--pipelines=comparison', '--env=test']\n"
            "try: main()\nexcept SystemExit as end: assert not end.code, end.code\nassert 'torch' not in sys.modules"
        )
        done = subprocess.run([sys.executable, "-c", code], cwd=used, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr

    def test_the_package_run_as_a_module_sees_them_too(self, project, monkeypatch, capsys):
        from aitm_kedro.__main__ import main

        own_project(project, cascade(), runs={"ours": {"model": "aitm"}}, reference="ours", explain="ours")
        monkeypatch.chdir(project)
        with pytest.raises(SystemExit):
            main(["--env=mine", "--pipelines=modelling", "--nodes=ours.seed0.train"])
        assert "are not there yet, but this run read" in capsys.readouterr().err  # the node is there

    def test_a_session_and_kedro_viz_see_the_runs_of_their_environment(self, project, monkeypatch):
        from kedro.framework.project import pipelines
        from kedro.framework.session import KedroSession
        from kedro_viz.integrations.kedro.data_loader import load_data

        own_project(project, cascade(), runs={"ours": {"model": "aitm"}}, reference="ours", explain="ours")
        monkeypatch.chdir(project)
        bootstrap_project(project)
        for environment, run in (("mine", "ours"), ("test", "ple"), ("mine", "ours")):
            with KedroSession.create(project_path=project, env=environment) as session:
                session.load_context()
                names = {node.namespace for node in pipelines["full"].nodes}
            assert f"{run}.seed0" in names
            assert ("ours.seed0" in names) == (environment == "mine")
            _, registered, _ = load_data(project, env=environment)
            assert f"{run}.seed0.train" in {node.name for node in registered["full"].nodes}
        # An environment without the key takes one value of --params into what base says.
        for environment in (None, "test"):
            given = {"runs": {"two": {"model": "ple"}, "aitm": {"options": {"alpha": 0}}}}
            with KedroSession.create(project_path=project, env=environment, runtime_params=given) as session:
                session.load_context()
                nodes = {node.name: node for node in pipelines["full"].nodes}
            assert {"two.seed0.train", "esmm.seed0.train"} <= set(nodes)
            assert nodes["aitm.seed0.train"].func.keywords["run"].options.alpha == 0


def test_a_funnel_of_one_step_one_segment_column_and_lists_runs_to_the_end(project, monkeypatch):
    funnel = {"steps": ["liked4"], "main_steps": ["liked4"], "segment": "item"}
    rng = np.random.default_rng(0)
    table = cascade().assign(tags=[[f"t{n}" for n in rng.integers(9, size=rng.integers(4))] for _ in range(6000)])
    table["counts"] = [rng.random(len(row)).tolist() for row in table["tags"]]
    features = FEATURES | {"lists": [{"name": "tags", "weights": "counts"}]}
    sampling = {"positive_share": 0.5, "per_segment": True}
    runs = {name: {} for name in ("lightgbm", *RUNS)}
    own_project(project, table, funnel=funnel, sampling=sampling, features=features, runs=runs)
    result = run_here(project, monkeypatch, "--pipelines=full")
    assert result.exit_code == 0, result.output
    examples = newest(project, "05_model_input/mine/train_examples.parquet")
    assert {"tags", "_weights_tags"} <= set(pd.read_parquet(examples).columns)
    assert [path.is_dir() for path in examples.parent.glob("train_examples-*.arrays")] == [True]
    metrics = json.loads(newest(project, "07_model_output/mine/aitm/seed0/metrics.json").read_text())
    assert len(metrics["test"]["segments"]) == 60


def spoil(column, row, value):
    def change(table):
        table = table.astype({column: object} if isinstance(value, str) else {column: float})
        table.loc[row, column] = value
        return table

    return change


def same_id(table):
    table.loc[1, "impression_id"] = 0
    table.loc[0, "liked3"], table.loc[1, "liked3"] = 0, 1
    table.loc[[0, 1], ["liked4", "liked5"]] = 0
    return table


FEATURES = OWN["parameters.yml"]["features"]
BAD = {
    "a column that is not there": (
        None,
        {"features": {"categorical": ["user", "itme"], "numeric": ["age"]}},
        "itme",
    ),
    "a step that is not there": (
        None,
        {"funnel": {"steps": ["liked3", "liked9"], "main_steps": ["liked9"]}},
        "liked9",
    ),
    "a label of 2": (spoil("liked4", 7, 2), {}, "liked4"),
    "an id with two answers": (same_id, {}, "different"),
    "no positives": (lambda table: table.assign(liked5=0), {}, "liked5"),
    "no scorable validation": (
        lambda table: table.assign(
            **{f"liked{k}": table[f"liked{k}"].where(~table.index.isin(range(3600, 4200)), 0) for k in (4, 5)}
        ),
        {},
        "valid",
    ),
    "an empty split": (
        None,
        {"split": {"by": "dates", "valid_from": "2030-01-01", "test_from": "2031-01-01"}},
        "valid",
    ),
    "a feature that is all null": (lambda table: table.assign(age=np.nan), {}, "age"),
    "a device that is not there": (None, {"training": {"device": "mps"}}, "mps"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_ends_in_a_sentence(project, monkeypatch, case):
    change, parameters, word = BAD[case]
    table = cascade() if change is None else change(cascade())
    before = table.copy()
    result = run_here(own_project(project, table, **parameters), monkeypatch, "--pipelines=full")
    assert result.exit_code == 1, result.output
    assert isinstance(result.exception, SystemExit), result.exception
    message = result.output[result.output.rindex("Error: ") :]
    assert word in message
    assert "Traceback" not in message
    pd.testing.assert_frame_equal(pd.read_parquet(project / "data/01_raw/ratings.parquet"), before)


@pytest.mark.parametrize("content", [None, b"", b"these are no columns", "cut"])
def test_a_raw_file_that_is_missing_or_broken_ends_in_a_sentence(project, monkeypatch, content):
    own_project(project, cascade() if content == "cut" else None, {"type": "aitm_kedro.datasets.Table"})
    path = project / "data/01_raw/ratings.parquet"
    if content == "cut":
        path.write_bytes(path.read_bytes()[:-100])
    elif content is not None:
        path.write_bytes(content)
    result = run_here(project, monkeypatch, "--pipelines=ingestion")
    assert result.exit_code == 1
    assert "ratings.parquet" in result.output
    assert "There is no file" in result.output or "cannot be read" in result.output


@pytest.mark.parametrize(
    ("catalog", "word"),
    [
        ({"type": "aitm_kedro.datasets.Table", "connection": {"backend": "duckdb"}}, "globals:connection"),
        ({"type": "pandas.ParquetDataset", "connection": None}, "aitm_kedro.datasets.Table"),
    ],
)
def test_a_source_in_another_engine_ends_in_a_sentence(project, monkeypatch, catalog, word):
    own_project(project, cascade(), catalog)
    if catalog["connection"] is None:
        path = project / "conf/mine/catalog.yml"
        path.write_text(path.read_text().replace("connection: null", ""))
    result = run_here(project, monkeypatch, "--pipelines=ingestion")
    assert result.exit_code == 1
    assert word in result.output


def test_a_csv_that_changes_its_mind_far_down_ends_in_a_sentence(project, monkeypatch):
    table = pd.concat([cascade()] * 5, ignore_index=True).assign(impression_id=range(30_000))
    table["age"] = table["age"].astype(object)
    table.loc[29_000, "age"] = "old"
    own_project(project, table=None, catalog={"filepath": "data/01_raw/ratings.csv", "file_format": "csv"})
    table.to_csv(project / "data/01_raw/ratings.csv", index=False)
    result = run_here(project, monkeypatch, "--pipelines=ingestion")
    assert result.exit_code == 1
    message = result.output[result.output.rindex("Error: ") :]
    assert "ratings.csv" in message
    assert "old" in message


def test_what_a_source_complains_of_is_said_without_the_arguments_of_its_dataset(project, monkeypatch):
    result = run_here(project, monkeypatch, "--env=ali_ccp", "--pipelines=ingestion")
    assert result.exit_code == 1
    message = result.output[result.output.rindex("Error: ") :]
    assert message.startswith("Error: '")
    assert "has no common_features_train.csv (or sample_train.tar.gz), no sample_skeleton_train.csv" in message
    assert "Failed while loading" not in message


def test_a_stage_that_was_forgotten_is_pointed_out(project, monkeypatch, caplog):
    own_project(project, cascade())
    assert run_here(project, monkeypatch, "--pipelines=full").exit_code == 0
    again = ["--pipelines=modelling", "--namespaces=logistic.seed0"]
    assert run_here(project, monkeypatch, *again).exit_code == 0
    assert "made with other parameters" not in caplog.text
    assert run_here(project, monkeypatch, *again, "--params=vocabulary.min_count=3").exit_code == 0
    assert "made with other parameters under 'vocabulary' than those of now" in caplog.text

    # The same log once more makes nothing old, in whatever order the engine writes it; another one does.
    assert run_here(project, monkeypatch, "--pipelines=ingestion").exit_code == 0
    caplog.clear()
    assert run_here(project, monkeypatch, "--pipelines=reporting").exit_code == 0
    assert "made from" not in caplog.text
    cascade().iloc[:-50].to_parquet(project / "data/01_raw/ratings.parquet")
    assert run_here(project, monkeypatch, "--pipelines=ingestion").exit_code == 0
    for pipeline in ("modelling", "comparison"):
        caplog.clear()
        assert run_here(project, monkeypatch, f"--pipelines={pipeline}").exit_code == 0
        assert "made from another content of 'impressions' than what is there now" in caplog.text
    mixed = run_here(project, monkeypatch, "--pipelines=reporting")
    assert mixed.exit_code == 1
    assert "they are of different logs; prepare the current one: kedro run --env=mine --pipelines=preparation" in (
        " ".join(mixed.output.split())
    )


def test_examples_of_other_steps_end_in_a_sentence(project, monkeypatch):
    own_project(project, cascade())
    assert run_here(project, monkeypatch, "--pipelines=full").exit_code == 0
    parameters = OWN["parameters.yml"] | {"funnel": {"steps": ["liked3", "loved"], "main_steps": ["loved"]}}
    (project / "conf/mine/parameters.yml").write_text(yaml.safe_dump(parameters))
    result = run_here(project, monkeypatch, "--pipelines=modelling")
    assert result.exit_code == 1
    assert "loved" in result.output
    assert "preparation" in result.output


def test_corrupted_weights_end_in_a_sentence(project, monkeypatch):
    own_project(project, cascade())
    assert run_here(project, monkeypatch, "--pipelines=full").exit_code == 0
    weights = newest(project, "06_models/mine/aitm/seed0/weights") / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    result = run_here(project, monkeypatch, "--nodes=aitm.seed0.predict_test")
    assert result.exit_code == 1
    message = " ".join(result.output[result.output.rindex("Error: ") :].split())
    assert "cannot be read" in message
    assert "'weights.safetensors' is not as it was written" in message
    assert "--load-versions" in message
