"""What Kedro-Viz is told of tables."""

import json

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Pipeline, node

from aitm_kedro.core.errors import InputError
from aitm_kedro.running import row_counts

VERSION = "2024-01-01T00.00.00.000Z"
FRAME = pd.DataFrame({"a": range(7), "b": range(7)})


@pytest.fixture
def catalog(tmp_path):
    """Tables of every kind, and what is no table or not there."""
    types = {
        "lazy@table": ("Table", "lazy.parquet"),
        "lazy@arrow": ("ArrowTable", "lazy.parquet"),
        "small": ("CSV", "small.csv"),
        "frame": ("Frame", "frame.parquet"),
        "missing": ("Frame", "missing.parquet"),
        "damaged": ("Frame", "damaged.parquet"),
        "own": ("Table", "own.parquet"),
        "text": ("Text", "text.md"),
    }
    versioned = {name for name in types if name != "own"}
    catalog = DataCatalog.from_config(
        {
            name: {"type": f"aitm_kedro.datasets.{kind}", "filepath": str(tmp_path / file)}
            | ({"versioned": True} if name in versioned else {})
            | ({"save_args": {"index": False}} if kind == "CSV" else {})
            for name, (kind, file) in types.items()
        },
        save_version=VERSION,
    )
    for file in ("lazy.parquet", "damaged.parquet"):
        (tmp_path / file / VERSION).mkdir(parents=True)
    pq.write_table(pa.Table.from_pandas(FRAME), tmp_path / "lazy.parquet" / VERSION / "lazy.parquet")
    pq.write_table(pa.Table.from_pandas(FRAME), tmp_path / "own.parquet")
    (tmp_path / "damaged.parquet" / VERSION / "damaged.parquet").write_text("these are no columns")
    catalog.save("small", FRAME)
    catalog.save("frame", FRAME)
    catalog.save("text", "words")
    return catalog


def test_tables_are_measured_and_nothing_else(catalog, tmp_path):
    found = row_counts.statistics(catalog, catalog.keys())
    assert set(found) == {"lazy", "small", "frame", "own"}
    for name, path in {"lazy": f"lazy.parquet/{VERSION}/lazy.parquet", "own": "own.parquet"}.items():
        assert found[name] == {"rows": 7, "columns": 2, "file_size": (tmp_path / path).stat().st_size}
    assert found["small"] == {"rows": 7, "columns": 2, "file_size": len("a,b\n") + 7 * len("1,1\n")}


def test_a_run_completes_what_kedro_viz_has_written(catalog, tmp_path, monkeypatch):
    read = Pipeline([node(lambda table: table, "lazy@arrow", "nothing", name="read")])
    monkeypatch.setattr(row_counts, "pipelines", {"read": read})
    hook, path = row_counts.RowCounts(), tmp_path / ".viz/stats.json"
    hook.after_pipeline_run(run_params={"project_path": tmp_path}, catalog=catalog)
    assert not path.exists()  # Kedro-Viz is not installed
    path.parent.mkdir()
    path.write_text(json.dumps({"of_another_environment": {"rows": 1}}))
    hook.after_pipeline_run(run_params={"project_path": tmp_path}, catalog=catalog)
    assert {name: found["rows"] for name, found in json.loads(path.read_text()).items()} == {"lazy": 7}


def test_an_environment_that_is_not_there_ends_in_a_sentence(monkeypatch):
    def refuse(**_):
        raise InputError("There is no environment 'wrong'.")

    monkeypatch.setattr(row_counts, "bootstrap_project", lambda _: None)
    monkeypatch.setattr(row_counts.KedroSession, "create", refuse)
    monkeypatch.setattr("sys.argv", ["row_counts", "--env=wrong"])
    with pytest.raises(SystemExit, match=r"^Error: There is no environment 'wrong'\.$"):
        row_counts.main()
