"""What happens when: hooks called as Kedro calls them, in a project of a few nodes."""

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from aitm_kedro import hooks
from aitm_kedro.config.runs import resolve_runs
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.provenance import NodeCost
from aitm_kedro.datasets import JSON, TypedJSON
from aitm_kedro.hooks import ProjectHooks
from aitm_kedro.running import retention
from aitm_kedro.running.lock import HOLDER, LOCK
from aitm_kedro.running.log import FILE

VERSIONS = iter(f"2024-01-{day:02d}T00.00.00.000Z" for day in range(1, 29))


def make():
    return {}


class Project:
    """Hooks, and runs that call them as Kedro's session does."""

    def __init__(self, folder, monkeypatch):
        self.folder, self.hooks = folder, ProjectHooks()
        self.records = folder / "data/08_reporting/test"
        self.parameters = {"runs": {"aitm": {}}, "reference": "aitm"}
        self.pipeline = Pipeline([Node(make, None, "table", name="make")])
        monkeypatch.setattr(hooks, "pipelines", {"full": self.pipeline})
        monkeypatch.setattr(hooks, "configured_runs", lambda: resolve_runs(self.parameters))

    def begin(self, **params):
        """Up to the moment at which nodes would run."""
        version = next(VERSIONS)
        self.hooks.after_context_created(SimpleNamespace(project_path=self.folder, params=self.parameters))
        catalog = DataCatalog.from_config(
            {
                "table": {"type": JSON, "filepath": f"{self.records}/table.json", "versioned": True},
                "run_record": {
                    "type": TypedJSON,
                    "filepath": f"{self.records}/run_record.json",
                    "schema": "aitm_kedro.core.provenance.RunRecord",
                    "versioned": True,
                },
            },
            save_version=version,
        )
        run_params = {
            "run_id": version,
            "project_path": str(self.folder),
            "env": "test",
            "runner": str(SequentialRunner()),
            "only_missing_outputs": False,
        } | params
        self.hooks.before_pipeline_run(run_params, self.pipeline, catalog)
        return run_params, catalog

    def run(self):
        """A run to the end."""
        run_params, catalog = self.begin()
        for node in self.pipeline.nodes:
            self.hooks.before_node_run(node, run_params["run_id"])
            catalog.save("table", {})
            logging.getLogger("aitm_kedro.learning").warning("Few positives.")
            self.hooks.after_node_run(node, {"table": {}}, run_params["run_id"])
        self.hooks.after_pipeline_run(run_params, self.pipeline, catalog)

    def leftovers(self):
        return sorted(path.name for path in self.records.glob(".*"))


@pytest.fixture
def project(tmp_path, monkeypatch):
    project = Project(tmp_path, monkeypatch)
    yield project
    project.hooks._end_all()  # a run that was left open would go on changing what other tests log


def test_a_run_is_put_on_record_and_gives_the_lock_back(project, caplog):
    caplog.set_level(logging.INFO, logger="aitm_kedro")
    project.run()
    (path,) = project.records.glob("run_record.json/*/*")
    record = json.loads(path.read_text())
    assert record["warnings"] == ["Few positives."]
    assert record["run"]["runner"] == "SequentialRunner"
    assert NodeCost.model_validate(record["nodes"]["make"]).seconds >= 0
    assert caplog.messages[-3:] == [
        "Results: data/08_reporting/test",
        "1 warning (details: info.log):",
        "- Few positives.",
    ]
    assert project.leftovers() == [LOCK]
    assert "make: 0.0 s" in (project.folder / FILE).read_text()
    project.run()


def test_the_lock_is_held_while_nodes_run_and_while_versions_are_pruned(project, monkeypatch):
    held = []
    monkeypatch.setattr(hooks, "prune_versions", lambda *_, **__: held.append((project.records / HOLDER).exists()))
    project.run()
    assert held == [True]
    assert hooks.sweep_leftovers is retention.sweep_leftovers


def test_a_run_that_fails_gives_the_lock_back_and_leaves_its_traceback_in_the_log(project):
    run_params, _ = project.begin()
    assert project.leftovers() == [HOLDER, LOCK]
    try:
        raise KeyError("deep inside")
    except KeyError as error:
        project.hooks.on_pipeline_error(error, run_params)
    assert project.leftovers() == [LOCK]
    log = (project.folder / FILE).read_text()
    assert "Traceback" in log
    assert "deep inside" in log
    project.run()


def test_a_run_that_is_refused_gives_everything_back(project):
    (project.records / "table.json/2099-01-01T00.00.00.000Z/table.json").mkdir(parents=True)
    before = list(logging.getLogger().handlers)
    with pytest.raises(InputError, match="2099"):
        project.begin()
    assert project.leftovers() == [LOCK]
    assert logging.getLogger().handlers == before


def test_a_record_that_cannot_be_saved_gives_the_lock_back(project):
    run_params, catalog = project.begin()
    with pytest.raises(AttributeError):
        project.hooks.after_pipeline_run(run_params, None, catalog)
    assert project.leftovers() == [LOCK]


def test_a_run_that_was_interrupted_in_a_notebook_does_not_keep_the_next_one_out(project):
    project.begin()  # Ctrl-C calls no hook
    project.run()
    assert project.leftovers() == [LOCK]


def test_another_thread_of_the_same_process_is_kept_out(project):
    project.begin()
    with (
        ThreadPoolExecutor(1) as pool,
        pytest.raises(InputError, match=r"is writing the data of the environment 'test'"),
    ):
        pool.submit(project.begin).result()


def test_what_killed_runs_left_is_removed_before_a_run(project):
    version = project.records / "table.json/2023-01-01T00.00.00.000Z"
    version.mkdir(parents=True)
    for name in (".table.json.part", ".table.json.writing"):
        (version / name).write_text("half")
    project.begin()
    assert not version.exists()


def test_nodes_of_other_processes_are_passed_over(project):
    (node,) = project.pipeline.nodes
    project.hooks.before_node_run(node, "elsewhere")
    project.hooks.after_node_run(node, {}, "elsewhere")
