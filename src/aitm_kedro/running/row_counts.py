"""Rows, columns and bytes of tables, for Kedro-Viz.

Kedro-Viz shows what ``.viz/stats.json`` says. Its own hook writes there, after each run, the pandas tables of this run.
Of tables that are never in memory as a whole it knows nothing, and in place of a versioned file it measures its folder.
"""

import argparse
import contextlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from kedro.framework.hooks import hook_impl
from kedro.framework.project import pipelines
from kedro.framework.session import KedroSession
from kedro.framework.startup import bootstrap_project
from kedro.io import CatalogProtocol, DatasetError

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.storage import replacing
from aitm_kedro.datasets.files import CSV
from aitm_kedro.datasets.sources import MadeOnce
from aitm_kedro.datasets.tables import ArrowTable, Frame, Table
from aitm_kedro.datasets.versions import plain_name

Catalog = CatalogProtocol[Any, Any]

STATISTICS = Path(".viz/stats.json")


class RowCounts:
    """Hook that tells Kedro-Viz, where it is installed, of all tables of the environment of a run."""

    @hook_impl(trylast=True)  # after the hook of Kedro-Viz
    def after_pipeline_run(self, run_params: dict[str, Any], catalog: Catalog) -> None:
        """Complete what the hook of Kedro-Viz has written."""
        path = Path(run_params["project_path"]) / STATISTICS
        if path.exists():
            with contextlib.suppress(OSError):  # the run has succeeded, and its results are saved
                write_statistics(catalog, path)


def write_statistics(catalog: Catalog, path: Path) -> None:
    """Write what is known of every table that a pipeline reads or writes."""
    names = {name for pipeline in pipelines.values() for name in pipeline.datasets()}
    path.parent.mkdir(exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(statistics(catalog, names), indent=1))


def statistics(catalog: Catalog, names: Iterable[str]) -> dict[str, dict[str, int]]:
    """Rows, columns and bytes of the tables among some datasets, as Kedro-Viz names them: without what follows an @."""
    found = ((plain_name(name), measure(catalog.get(name))) for name in sorted(names))
    return {name: measured for name, measured in found if measured}


def measure(dataset: Any) -> dict[str, int]:
    """Rows, columns and bytes of the version in force; empty if it is no table, is not there, or cannot be read."""
    try:
        if not isinstance(dataset, MadeOnce | Table | Frame | ArrowTable | CSV) or not dataset.exists():
            return {}
        path = dataset.path if isinstance(dataset, MadeOnce) else Path(str(dataset._get_load_path()))
        rows, columns = dataset.load().shape if isinstance(dataset, CSV) else _shape_of_parquet(path)
        return {"rows": rows, "columns": columns, "file_size": path.stat().st_size}
    except (
        DatasetError,
        OSError,
        pa.ArrowException,
    ):  # another format, many files, damaged: no reason to stop anything
        return {}


def _shape_of_parquet(path: Path) -> tuple[int, int]:
    """As the end of the file says, without reading the rest."""
    with pq.ParquetFile(path) as file:
        return file.metadata.num_rows, len(file.schema_arrow)


def main() -> None:
    """Write the statistics of an environment, for ``make viz``."""
    parser = argparse.ArgumentParser(description="Tell Kedro-Viz how many rows the tables of an environment have.")
    parser.add_argument("--env", help="environment; default: base")
    project = Path.cwd()
    bootstrap_project(project)
    try:
        with KedroSession.create(project_path=project, env=parser.parse_args().env) as session:
            assert isinstance(session, KedroSession)
            write_statistics(session.load_context().catalog, project / STATISTICS)
    except InputError as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
