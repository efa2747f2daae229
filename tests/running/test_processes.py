"""Runs as processes of their own: what they print, and two of them at the same time."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from tests.conftest import kedro, make_project, newest

from aitm_kedro.running.lock import HOLDER, LOCK

REPORTS = "data/08_reporting/test"
MOST_LINES = 150
DETAILS = ("epoch 1", "Running node: ingest_impressions", "Completed node", "Pipeline execution completed")


@pytest.mark.end_to_end
def test_a_whole_run_prints_milestones_and_writes_the_details_into_the_log(project):
    """On a narrow screen; a wider one takes fewer lines. One test, since it takes a run of its own."""
    result = subprocess.run(
        [sys.executable, "-m", "kedro", "run", "--pipeline=full", "--env=test"],
        cwd=project,
        env=os.environ | {"COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    printed = (result.stdout + result.stderr).splitlines()
    assert len(printed) < MOST_LINES, "\n".join(printed)
    text = " ".join(" ".join(line[18:].split()) for line in printed)  # without times and levels, unwrapped

    for run in ("lightgbm", "aitm", "logistic"):
        assert text.count(f" {run}.seed0.train: ") == 1
    assert text.count("validation AUC 0.") >= 9
    for detail in DETAILS:
        assert detail not in text
        assert detail in (project / "info.log").read_text()

    version = newest(project, "08_reporting/test/comparison_table.md").parent.name
    record = json.loads(newest(project, "08_reporting/test/run_record.json").read_text())
    assert record["run"]["runner"] == "SequentialRunner"
    end = text[text.index(" Results: ") :]
    for part in (
        f"figures in data/08_reporting/test, version {version}",
        " on activation: ",
        f"{len(record['warnings'])} warnings (details: info.log):",
    ):
        assert part in end
    assert [path.name for path in (project / "data").rglob(".*")] == [LOCK]


@pytest.fixture
def used(finished, tmp_path):
    """A project in which ``full`` has run, and which may be changed."""
    project = make_project(tmp_path)
    shutil.copytree(finished / "data", project / "data")
    shutil.copytree(project / "conf/test", project / "conf/other")
    return project


def begin(project, *arguments):
    """Begin a run, and stop it as it holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-m", "kedro", "run", *arguments],
        cwd=project,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (project / REPORTS / HOLDER).exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGSTOP)
    return process


@pytest.mark.end_to_end
def test_a_second_run_is_refused_until_the_first_has_ended_or_died(used):
    comparison = ("--pipelines=comparison", "--env=test")
    first = begin(used, *comparison)
    try:
        before = sorted((used / "data").rglob("*"))
        second = kedro(used, "run", *comparison, "--params=evaluation.confidence=0.5", check=False)
        assert second.returncode == 1
        assert f"Process {first.pid} on the machine" in second.stderr
        assert "run --pipelines=comparison --env=test'" in second.stderr
        assert "Traceback" not in second.stderr
        assert sorted((used / "data").rglob("*")) == before
        kedro(used, "run", "--pipelines=ingestion", "--env=other")
    finally:
        first.send_signal(signal.SIGKILL)
        first.wait()
    assert (used / REPORTS / HOLDER).exists()
    kedro(used, "run", *comparison, "--params=evaluation.confidence=0.5")
    record = json.loads(newest(used, "08_reporting/test/run_record.json").read_text())
    assert record["parameters"]["evaluation"]["confidence"] == 0.5
    assert not (used / REPORTS / HOLDER).exists()


@pytest.mark.end_to_end
def test_readers_go_on_while_a_run_writes(used):
    from aitm_kedro.artifacts.predictor import Predictor

    process = begin(used, "--pipelines=comparison", "--env=test")
    try:
        assert "aitm_kedro.datasets" in kedro(used, "catalog", "describe-datasets", "--env=test").stdout
        Predictor.load(newest(used, "06_models/test/logistic/seed0/bundle"))
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
