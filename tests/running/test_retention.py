"""Old versions are removed, and what a kept result was made from never is."""

import json
import logging
import os
import random
from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.pipeline import Pipeline, node

from aitm_kedro.datasets import JSON
from aitm_kedro.datasets.versions import version
from aitm_kedro.running import retention
from aitm_kedro.running.retention import RECORD, prune_versions, sweep_leftovers


def when(day):
    return f"2024-01-{day:02d}T00.00.00.000Z"


def identity(*_):
    return {}


PREPARE = node(identity, "raw", "examples@table", name="prepare")
TRAIN = node(identity, ["examples@arrays", "params:training"], "aitm_seed0_weights", name="train")
TRAIN_AGAIN = node(identity, ["examples@arrays", "params:training"], "aitm_seed1_weights", name="train_again")
JUDGE = node(identity, "aitm_seed0_weights", "aitm_seed0_metrics", name="judge")
COMPARE = node(identity, "aitm_seed0_metrics", "comparison", name="compare")
EVERYTHING = Pipeline([PREPARE, TRAIN, TRAIN_AGAIN, JUDGE, COMPARE])


class Project:
    """A catalog with the shapes of this project, and runs on chosen days."""

    def __init__(self, folder: Path):
        self.folder = folder
        entry = {"type": JSON, "versioned": True}
        self.entries = {
            "raw": {"type": JSON, "filepath": str(folder / "raw.json")},
            "examples@table": entry | {"filepath": str(folder / "examples.parquet")},
            "examples@arrays": entry | {"filepath": str(folder / "examples.parquet")},
            "{run}_seed{seed}_{what}": entry | {"filepath": f"{folder}/{{run}}/seed{{seed}}/{{what}}.json"},
            "comparison": entry | {"filepath": str(folder / "comparison.csv")},
            RECORD: entry | {"filepath": str(folder / "run_record.json")},
            "remote": {"type": JSON, "filepath": "memory://elsewhere/remote.json", "versioned": True},
        }

    def run(self, day, *nodes, keep=None, killed=False, load_versions=None):
        """Write what the nodes would write, record it, and prune."""
        pipeline = Pipeline(nodes or EVERYTHING.nodes)
        catalog = DataCatalog.from_config(self.entries, load_versions=load_versions, save_version=when(day))
        for name in pipeline.all_outputs():
            catalog.save(name, {"day": day})
        if killed:
            return
        datasets = {name: found for name in pipeline.datasets() if (found := version(name, catalog))}
        catalog.save(RECORD, {"datasets": datasets})
        self.prune(catalog, pipeline, keep)

    def prune(self, catalog, pipeline, keep):
        prune_versions(catalog, pipeline, keep=keep, names=[*EVERYTHING.datasets(), "remote"])

    def days(self, path):
        return sorted(int(version.name[8:10]) for version in (self.folder / path).glob("*"))

    def everything(self):
        """Days of all versions, by dataset."""
        paths = ["examples.parquet", "aitm/seed0/weights.json", "aitm/seed1/weights.json", "aitm/seed0/metrics.json"]
        return [self.days(path) for path in (*paths, "comparison.csv", "run_record.json")]


@pytest.fixture
def project(tmp_path):
    (tmp_path / "raw.json").write_text("{}")
    return Project(tmp_path)


@pytest.mark.parametrize(("keep", "left"), [(1, [5]), (2, [4, 5]), (3, [3, 4, 5]), (9, [1, 2, 3, 4, 5])])
def test_the_newest_versions_of_repeated_runs_stay(project, keep, left):
    for day in range(1, 6):
        project.run(day, keep=keep)
    assert project.everything() == [left] * 6


def test_without_a_number_all_stay(project):
    for day in range(1, 4):
        project.run(day, keep=None)
    assert project.everything() == [[1, 2, 3]] * 6


def test_what_the_run_did_not_write_is_not_touched(project):
    for day in range(1, 4):
        project.run(day)
    project.run(4, JUDGE, keep=1)
    assert project.days("aitm/seed0/metrics.json") == [1, 2, 3, 4]  # comparisons of days 1 to 3 were made from them
    assert project.days("comparison.csv") == [1, 2, 3]


def test_what_a_kept_result_was_made_from_stays(project):
    """Weights of day 1 are the only ones of seed 1; they were trained on the examples of day 1."""
    project.run(1)
    for day in (2, 3, 4):
        project.run(day, PREPARE, TRAIN, JUDGE, COMPARE, keep=1)
    assert project.days("aitm/seed1/weights.json") == [1]
    assert project.days("examples.parquet") == [1, 4]
    assert project.days("run_record.json") == [1, 4]


def test_protection_reaches_from_one_run_to_the_next(project):
    """Each stage in a run of its own: the comparison needs metrics, which need weights, which need examples."""
    for day, stage in enumerate((PREPARE, TRAIN, JUDGE, COMPARE), start=1):
        project.run(day, stage, keep=1)
    for day in (5, 6, 7):
        project.run(day, PREPARE, keep=1)
    assert project.days("examples.parquet") == [1, 7]
    project.run(8, TRAIN, keep=1)
    assert project.days("aitm/seed0/weights.json") == [2, 8]
    project.run(9, PREPARE, keep=1)
    assert project.days("examples.parquet") == [1, 7, 9]
    assert project.days("run_record.json") == [1, 2, 3, 4, 7, 8, 9]


def test_results_of_runs_that_are_no_longer_configured_keep_what_they_were_made_from(project):
    gone = node(identity, "examples@arrays", "gone_seed0_weights", name="gone")
    project.run(1, PREPARE, gone)
    for day in (2, 3):
        project.run(day, PREPARE, keep=1)  # no pipeline names the weights any more
    assert project.days("gone/seed0/weights.json") == [1]
    assert project.days("examples.parquet") == [1, 3]


def test_once_the_result_is_gone_so_is_what_it_was_made_from(project):
    project.run(1)
    for day in (2, 3):
        project.run(day, PREPARE, keep=1)
    assert project.days("examples.parquet") == [1, 3]
    project.run(4, keep=1)
    assert project.everything() == [[4]] * 6


def test_a_version_that_was_loaded_on_purpose_stays(project):
    for day in (1, 2, 3):
        project.run(day, PREPARE)
    project.run(4, TRAIN, load_versions={"examples@arrays": when(1)})
    project.run(5, PREPARE, keep=1)
    assert project.days("examples.parquet") == [1, 5]


def test_of_a_killed_run_what_it_would_have_loaded_stays(project):
    project.run(1, PREPARE)
    project.run(2, PREPARE)
    project.run(3, TRAIN, killed=True)
    project.run(4, PREPARE)
    project.run(5, PREPARE, keep=1)
    assert project.days("examples.parquet") == [2, 5]


@pytest.mark.parametrize("record", ["", "{", "[]", "{}", '{"datasets": 3}'])
def test_a_record_that_cannot_be_read_is_as_none(project, record):
    project.run(1, PREPARE)
    project.run(2, PREPARE)
    project.run(3, TRAIN)
    (project.folder / "run_record.json" / when(3) / "run_record.json").write_text(record)
    project.run(4, PREPARE, keep=1)
    assert project.days("examples.parquet") == [2, 4]


def test_versions_that_a_killed_run_left_are_removed_like_others(project):
    project.run(1)
    project.run(2, PREPARE, TRAIN, killed=True)
    project.run(3, keep=1)
    assert project.days("examples.parquet") == [3]
    assert project.days("aitm/seed0/weights.json") == [3]


def test_a_half_written_version_counts_for_nothing_and_is_left_to_who_writes_it(project):
    project.run(1, PREPARE, killed=True)
    half = project.folder / "examples.parquet" / when(2)
    half.mkdir()
    (half / ".examples.parquet.part").write_text("{")
    project.prune(DataCatalog.from_config(project.entries), Pipeline([PREPARE]), 1)
    assert project.days("examples.parquet") == [1, 2]


def test_what_the_run_itself_reads_and_writes_need_not_be_named(project):
    project.run(1, killed=True)
    prune_versions(DataCatalog.from_config(project.entries), EVERYTHING, keep=1, names=())
    assert project.everything() == [[1]] * 5 + [[]]


def test_a_version_with_a_name_of_ones_own_stays(project):
    project.run(1, PREPARE)
    own = project.folder / "examples.parquet" / "0-published"
    (project.folder / "examples.parquet" / when(1)).rename(own)
    project.run(2, PREPARE)
    project.run(3, PREPARE, keep=1)
    assert own.exists()
    assert not (project.folder / "examples.parquet" / when(2)).exists()


def test_the_whole_folder_goes_and_the_log_says_how_much_room_that_made(project, caplog):
    project.run(1, PREPARE)
    old = project.folder / "examples.parquet" / when(1)
    (old / "examples.arrays").mkdir()
    (old / "examples.arrays" / "ids.npy").write_bytes(bytes(2_000_000))
    (old / "second_name").write_bytes(bytes(5_000_000))
    os.link(old / "second_name", project.folder / "elsewhere")
    with caplog.at_level(logging.INFO, logger="aitm_kedro"):
        project.run(2, PREPARE, keep=1)
    assert project.days("examples.parquet") == [2]
    assert not list(project.folder.glob("examples.parquet/.*"))
    assert "removed 2 (2 MB). The newest 1 of each dataset stay" in caplog.text  # the examples and their record


def test_what_cannot_be_removed_is_told_and_the_rest_goes(project, caplog, monkeypatch):
    discard = retention.discard

    def refuse(path):
        if "weights" in str(path):
            raise PermissionError(13, "Permission denied")
        discard(path)

    monkeypatch.setattr(retention, "discard", refuse)
    project.run(1)
    project.run(2, keep=1)
    assert project.days("aitm/seed0/weights.json") == [1, 2]
    assert project.days("examples.parquet") == [2]
    assert "is not needed, but cannot be removed: Permission denied. Delete it." in caplog.text


def test_nothing_is_raised_and_nothing_removed_if_a_dataset_cannot_be_looked_at(project, caplog):
    project.run(1)
    project.run(2)
    project.entries["comparison"] = {"type": "no.such.Dataset"}
    project.prune(DataCatalog.from_config(project.entries), EVERYTHING, 1)
    assert "Old versions were not looked for, and all of them stay: " in caplog.text
    assert project.everything() == [[1, 2]] * 6


def test_datasets_without_versions_or_in_memory_are_left_alone(project):
    project.run(1)
    catalog = DataCatalog({"raw": MemoryDataset({}), "comparison": MemoryDataset({})})
    project.prune(catalog, EVERYTHING, 1)
    assert project.everything() == [[1]] * 6


@pytest.mark.parametrize("seed", range(20))
def test_after_any_sequence_of_runs_every_kept_result_can_be_explained(project, seed):
    """Whatever the record of a version names that is still on disk: it is on disk, too."""
    draw = random.Random(seed)
    for day in range(1, 15):
        stages = draw.sample(EVERYTHING.nodes, draw.randint(1, 5))
        if not all(project_has(project, name, stages) for stage in stages for name in stage.inputs):
            stages = EVERYTHING.nodes
        project.run(day, *stages, keep=draw.randint(1, 3), killed=draw.random() < 0.2)
        for record in project.folder.glob("run_record.json/*/run_record.json"):
            for name, used in json.loads(record.read_text())["datasets"].items():
                assert any(project.folder.glob(f"{path_of(name)}/{used}")), (name, used)


def path_of(name):
    special = {
        "comparison": "comparison.csv",
        "examples@table": "examples.parquet",
        "examples@arrays": "examples.parquet",
    }
    return special.get(name, name.replace("_", "/") + ".json")


def project_has(project, name, stages):
    written = {output for stage in stages for output in stage.outputs}
    plain = {name, "examples@table"} if name.startswith("examples") else {name}
    return name in ("raw", "params:training") or plain & written or any(project.folder.glob(f"{path_of(name)}/*"))


def test_leftovers_of_killed_runs_are_removed_from_every_folder_of_versions(project):
    project.run(1)
    whole = project.everything()
    version = project.folder / "aitm/seed0/weights.json" / when(2)
    version.mkdir()
    (version / ".weights.json.writing").write_text("")
    (project.folder / "comparison.csv" / when(1) / ".comparison.csv.part").write_text("half")
    sweep_leftovers(DataCatalog.from_config(project.entries), ["aitm_seed0_weights", "comparison", "remote"])
    assert not list(project.folder.rglob(".*"))
    assert project.everything() == whole
