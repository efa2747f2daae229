"""A project folder of its own for tests that run pipelines: the committed configuration, and no data yet."""

import logging
import os
import shutil
import subprocess
import sys
import traceback
import warnings
from contextlib import contextmanager
from pathlib import Path

import pyarrow.dataset as ds
import pytest
from click.testing import CliRunner
from filelock import FileLock

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


class _Printed(logging.Handler):
    """Log records as lines of the captured output: those that the terminal would show."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.name = "console"  # conf/logging.yml

    def emit(self, record):
        sys.stderr.write(f"{record.levelname} {self.format(record)}\n")


@contextmanager
def nothing_left_behind():
    """What ``kedro run`` changes in its process is put back: folder, path, environment, logging, configuration."""
    from kedro.framework.project import configure_project

    from aitm_kedro import config_loader

    root = logging.getLogger()
    folder, path, variables, loaded = Path.cwd(), sys.path[:], dict(os.environ), config_loader._loaded[:]
    handlers, level = root.handlers[:], root.level
    config_loader._loaded.clear()  # as in a process of its own, whatever a test before has loaded
    try:
        yield root
    finally:
        os.chdir(folder)
        sys.path[:] = path
        os.environ.clear()
        os.environ.update(variables)
        config_loader._loaded[:] = loaded
        root.handlers[:], root.level = handlers, level
        configure_project("aitm_kedro")


def run_kedro(project, *arguments, command=("run",)):
    """``kedro run`` with the real command line, inside this process, which takes a fraction of a second.

    Args:
        project: folder of a project (``make_project``).
        arguments: after ``kedro run``.
        command: another one of Kedro's.

    Returns:
        Exit code, and all output: of the command, of the log, warnings, and the traceback of an error that is no
        sentence.
    """
    from kedro import KedroDeprecationWarning
    from kedro.framework.cli.cli import KedroCLI

    with nothing_left_behind() as root, warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("default")
        warnings.simplefilter("ignore", DeprecationWarning)  # as Python does by itself
        warnings.simplefilter("default", KedroDeprecationWarning)
        os.chdir(project)
        os.environ.pop("KEDRO_ENV", None)
        os.environ["COLUMNS"] = "200"
        commands = KedroCLI(project_path=project)
        root.handlers[:] = [_Printed()]
        root.setLevel(logging.INFO)
        result = CliRunner().invoke(commands, [*command, *map(str, arguments)])
        output = "".join(f"{each.category.__name__}: {each.message}\n" for each in warned) + result.output
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            output += "".join(traceback.format_exception(*result.exc_info))
        return result.exit_code, output


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
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # which all workers share
    folder = base / "finished"
    with FileLock(base / "finished.lock"):
        if not folder.exists():
            beside = base / "unfinished"
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir()
            kedro(make_project(beside), "run", "--pipeline=full", "--env=test")
            beside.rename(folder)
    return folder


@pytest.fixture
def used(finished, tmp_path):
    """The same, to be changed."""
    folder = tmp_path / "used"
    folder.mkdir()
    shutil.copytree(finished / "data", make_project(folder) / "data")
    return folder
