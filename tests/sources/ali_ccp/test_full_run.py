"""The whole project on files in the layout of Ali-CCP."""

import json

import pytest
from tests.conftest import kedro, make_project, newest


@pytest.mark.end_to_end
def test_the_whole_project_runs_on_ali_ccp(tmp_path, generator):
    project = make_project(tmp_path)
    counts = generator.write_files(
        project / "data/01_raw/ali_ccp", rows=20_000, test_rows=10_000, common_rows=1500, list_values=3
    )
    small = {"training.max_epochs": 1, "training.threads": 1, "lightgbm.max_rounds": 5, "lightgbm.threads": 1}
    given = ",".join(f"{name}={value}" for name, value in small.items())
    result = kedro(project, "run", "--pipeline=full", "--env=ali_ccp", f"--params={given}")
    assert "these are not the original files of Ali-CCP" in " ".join(result.stdout.split())

    table = newest(project, "08_reporting/ali_ccp/comparison_table.md").read_text()
    for run in ("lightgbm (reference)", "mlp", "esmm", "omoe", "mmoe", "ple", "aitm", "logistic"):
        assert f"| {run.split()[0]}" in table, run
    ingestion, labels, counted = (
        json.loads(newest(project, f"08_reporting/ali_ccp/{name}_report.json").read_text())
        for name in ("ingestion", "label", "counts")
    )
    assert ingestion["source"]["rows"] == {"train": 20_000, "test": 10_000}
    assert ingestion["source"]["unreadable_lines"] == 0
    assert ingestion["rows_in"] == ingestion["rows_out"] == 30_000
    assert labels["rows_aside"] == counts["train"].illegal + counts["test"].illegal
    assert counted["verdict"] == "these are not the original files of Ali-CCP: no known count matches"
