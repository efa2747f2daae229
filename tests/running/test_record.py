"""The record of a run."""

from pathlib import Path

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner, ThreadRunner

from aitm_kedro.config.schema import TOP_LEVEL
from aitm_kedro.core.provenance import NodeCost, RunRecord
from aitm_kedro.datasets import JSON
from aitm_kedro.runner import ResumingRunner
from aitm_kedro.running.record import git_commit, record_run, runner_name

VERSION = "2024-01-01T00.00.00.000Z"


@pytest.mark.parametrize(
    ("runner", "name"),
    [
        (None, "SequentialRunner"),
        (SequentialRunner(), "SequentialRunner"),
        (ThreadRunner(), "ThreadRunner"),
        (ResumingRunner(), "ResumingRunner"),
    ],
)
def test_the_runner_is_a_name_whatever_kedro_hands_over(runner, name):
    assert runner_name({"runner": getattr(runner, "__name__", str(runner))}) == name


def test_a_record_says_how_it_was_called_with_what_and_what_warned(tmp_path):
    entry = {"type": JSON, "filepath": f"{tmp_path}/table.json", "versioned": True}
    catalog = DataCatalog.from_config({"table": entry}, save_version=VERSION)
    catalog.save("table", {})
    record = record_run(
        run_params={
            "run_id": VERSION,
            "project_path": str(tmp_path),
            "env": "test",
            "tags": None,
            "runner": "None",
            "runtime_params": {"split": {"train_share": 0.5}},
        },
        parameters={"training": TOP_LEVEL["training"](max_epochs=3), "reference": "aitm"},
        pipeline=Pipeline([Node(lambda x: x, "table", "out", name="read")]),
        catalog=catalog,
        nodes={"read": NodeCost(seconds=1, peak_gigabytes=0.5)},
        warnings=["Few positives."],
    )
    assert record.run == {
        "run_id": VERSION,
        "project_path": str(tmp_path),
        "env": "test",
        "runner": "SequentialRunner",
    }
    assert (record.parameters["training"]["max_epochs"], record.parameters["reference"]) == (3, "aitm")
    assert record.datasets == {"table": VERSION}
    assert record.warnings == ("Few positives.",)
    assert RunRecord.model_validate_json(record.model_dump_json()) == record


def test_a_record_of_before_there_were_warnings_is_read():
    fields = {
        "finished": "2024-01-01T00:00:00Z",
        "commit": None,
        "run": {},
        "libraries": {},
        "machine": {},
        "parameters": {},
    }
    assert RunRecord.model_validate(fields | {"datasets": {}, "nodes": {}}).warnings == ()


def test_outside_of_git_there_is_no_commit(tmp_path):
    assert git_commit(tmp_path) is None
    assert git_commit(Path("/nowhere")) is None
