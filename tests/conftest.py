"""A project folder of its own for tests that run pipelines: the committed configuration, and no data yet."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from aitm_kedro.core.example_store import open_arrays, write_arrays

ROOT = Path(__file__).parents[1]


def make_project(folder):
    """Copy what a run needs; the package is the installed one."""
    shutil.copytree(ROOT / "conf", folder / "conf", ignore=shutil.ignore_patterns("local"))
    (folder / "conf/local").mkdir()
    for name in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / name, folder)
    (folder / "src").mkdir()
    return folder


def kedro(project, *arguments, check=True, **options):
    """Run ``kedro`` in a process of its own."""
    command = [sys.executable, "-m", "kedro", *arguments]
    environment = os.environ | {"COLUMNS": "200"}
    result = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False, timeout=300, **options
    )
    assert not check or result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    return result


def newest(project, path):
    """The latest version of a versioned file under ``data/``."""
    return max((project / "data").glob(f"{path}/*/{Path(path).name}"))


@pytest.fixture(scope="session")
def as_examples(tmp_path_factory):
    """Lay an encoded table out as arrays, and open them."""

    def lay_out(table):
        folder = tmp_path_factory.mktemp("examples") / "arrays"
        write_arrays(ds.dataset(table), folder)
        return open_arrays(folder)

    return lay_out


@pytest.fixture
def project(tmp_path):
    return make_project(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A project in which ``full`` has run on the test environment; not to be changed."""
    folder = make_project(tmp_path_factory.mktemp("finished"))
    kedro(folder, "run", "--pipeline=full", "--env=test")
    return folder
