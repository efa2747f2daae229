"""A rehearsal of faults: `make test-faults N=100`; the whole suite runs a small share of it.

Moments and sizes are drawn from the number of a case, so that a case that failed can be run again. Cases that passed
are written into the file that AITM_FAULTS_DONE names and left out the next time, so that a long rehearsal goes on where
it stopped.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from tests.conftest import newest

DONE = Path(os.environ["AITM_FAULTS_DONE"]).absolute() if "AITM_FAULTS_DONE" in os.environ else None
LEFTOVERS = (".part", ".replaced", ".writing")
SCORES = "08_reporting/test/comparison.csv"
RUN = (sys.executable, "-m", "kedro", "run", "--pipeline=full", "--env=test")


def pytest_collection_modifyitems(config, items):
    """Leave out what has passed."""
    done = set(DONE.read_text().splitlines()) if DONE and DONE.exists() else set()
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in done])
    items[:] = [item for item in items if item.nodeid not in done]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Write down what passes."""
    report = yield
    if DONE and report.when == "call" and report.passed and "faults" in item.nodeid:
        with DONE.open("a") as file:
            file.write(item.nodeid + "\n")
    return report


def run(project, command=RUN, **options):
    """Run to the end, in a process of its own."""
    environment = os.environ | {"COLUMNS": "200"}
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=300, **options
    )


def run_whole(project):
    """Run the whole project, which must succeed; returns the numbers of its comparison."""
    done = run(project)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return numbers(project)


def kill_after(project, seconds, command=RUN):
    """Begin a run and kill it."""
    process = subprocess.Popen(command, cwd=project, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    process.wait()


def numbers(project):
    """The comparison of all models, without what the clock says."""
    table = pd.read_csv(newest(project, SCORES))
    return table[~table["metric"].str.startswith("seconds")].reset_index(drop=True)


def leftovers(project):
    """Temporary files below data/."""
    return [path for path in (project / "data").rglob("*") if path.name.endswith(LEFTOVERS)]


def assert_sentence(done):
    """The run failed with a sentence, not with a traceback."""
    assert done.returncode == 1, done.stdout[-4000:] + done.stderr[-4000:]
    assert "Error: " in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout


@pytest.fixture(scope="session")
def undisturbed(finished):
    """Numbers of an undisturbed run."""
    return numbers(finished)


@pytest.fixture(scope="session")
def duration(finished):
    """Seconds of an undisturbed run on this machine, by its own record and the time that Python takes to begin."""
    record = json.loads(newest(finished, "08_reporting/test/run_record.json").read_text())
    return sum(node["seconds"] for node in record["nodes"].values()) + 4
