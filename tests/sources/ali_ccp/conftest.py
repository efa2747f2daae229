"""Files as they are written, files as they may be met, and another reading of both."""

import importlib.util
import sys

import pytest
from tests.conftest import ROOT
from tests.sources.ali_ccp.files import spoil

from aitm_kedro.sources.ali_ccp import reader
from aitm_kedro.sources.ali_ccp.streams import read_chunks


def _load_benchmark(name):
    """``benchmarks`` is no package: its files are loaded by path."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def generator():
    """Writes files of any size."""
    return _load_benchmark("write_ali_ccp")


@pytest.fixture(scope="session")
def reference():
    """The same format, read row by row."""
    return _load_benchmark("ali_ccp_reference")


@pytest.fixture(scope="session")
def spoilt(tmp_path_factory, generator):
    """A folder with everything that may be met; not to be changed."""
    folder = tmp_path_factory.mktemp("spoilt")
    generator.write_files(folder, rows=6000, test_rows=4000, common_rows=300, list_values=6)
    return spoil(folder)


@pytest.fixture
def read_in(monkeypatch):
    """Set the size of chunks, also below what is usual, and the number of threads."""

    def choose(size, workers=2):
        def small(file, content, **_):
            return read_chunks(file, content, size=size)

        monkeypatch.setattr(reader, "read_chunks", small)
        monkeypatch.setattr(reader, "cores", lambda: workers)

    return choose
