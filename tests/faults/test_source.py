"""A source that is truncated or replaced while it is read: a sentence, and nothing of it is saved."""

import pytest
from click.testing import CliRunner
from kedro.framework.startup import bootstrap_project
from tests.test_project import cascade, own_project

from aitm_kedro.pipelines.ingestion import nodes


def truncate(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def replace(path):
    """Another table takes its place, as a job that exports anew does it: whole, and at once."""
    table = cascade(rows=3000, seed=1)
    beside = path.with_name("beside")
    table.to_parquet(beside) if path.suffix == ".parquet" else table.to_csv(beside, index=False)
    beside.replace(path)


@pytest.mark.parametrize("change", [truncate, replace])
@pytest.mark.parametrize("form", ["parquet", "csv"])
def test_a_source_that_changes_while_it_is_read_is_not_saved(change, form, project, monkeypatch):
    catalog = {"type": "aitm_kedro.datasets.Table", "filepath": f"data/01_raw/ratings.{form}", "file_format": form}
    own_project(project, cascade(), catalog)
    raw = project / f"data/01_raw/ratings.{form}"
    monkeypatch.chdir(project)
    bootstrap_project(project)
    from aitm_kedro.cli import run

    assert CliRunner().invoke(run, ["--env=mine", "--pipelines=ingestion"]).exit_code == 0
    before = saved(project)
    read = nodes.read_source

    def read_and_change(*arguments, **options):
        source = read(*arguments, **options)
        change(raw)
        return source

    monkeypatch.setattr(nodes, "read_source", read_and_change)
    result = CliRunner().invoke(run, ["--env=mine", "--pipelines=ingestion"])
    assert result.exit_code == 1
    message = result.output[result.output.rindex("Error: ") :]
    assert f"ratings.{form}" in message
    assert saved(project) == before


def saved(project):
    return sorted((project / "data/02_intermediate").rglob("*"))
