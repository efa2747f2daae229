"""What is found out before a run begins, each with its sentence."""

import errno
import getpass
import os
import shutil
import subprocess
import tempfile

import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from aitm_kedro.config.schema import TOP_LEVEL
from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets import JSON, OptionalFrame
from aitm_kedro.running.readiness import (
    check_clock,
    check_device,
    check_folders,
    check_inputs,
    unfinished,
)

OLD, NOW_SAVED, LATER = "2024-01-01T00.00.00.000Z", "2024-06-01T00.00.00.000Z", "2099-01-01T00.00.00.000Z"


def identity(*_):
    return {}


def node(name, inputs, outputs, namespace=None):
    return Node(identity, inputs, outputs, name=name, namespace=namespace)


PREPARE = Pipeline([node("prepare", "raw", ["examples@table", "report"])])
TRAIN = Pipeline(
    [node("train", ["examples@arrays", "report", "notes", "params:training"], "aitm.seed0.weights", "aitm.seed0")]
)
JUDGE = Pipeline([node("judge", "aitm_seed0_weights", "table")])
SCORE = Pipeline([node("score", ["audience", "aitm_seed0_weights", "params:training"], "scores")])
REGISTERED = {
    "preparation": PREPARE,
    "modelling": TRAIN,
    "comparison": JUDGE,
    "full": PREPARE + TRAIN + JUDGE,
    "__default__": PREPARE + TRAIN + JUDGE,
}


class Project:
    """A catalog with the shapes of this project: faces of one file, two names of another, and an optional one."""

    def __init__(self, folder):
        self.folder = folder
        versioned = {"type": JSON, "versioned": True}
        weights = versioned | {"filepath": f"{folder}/06_models/weights.json"}
        self.entries = {
            "raw": {"type": JSON, "filepath": f"{folder}/raw.json"},
            "examples@table": versioned | {"filepath": f"{folder}/05_model_input/examples.json"},
            "examples@arrays": versioned | {"filepath": f"{folder}/05_model_input/examples.json"},
            "audience": versioned | {"filepath": f"{folder}/05_model_input/examples.json"},
            "report": versioned | {"filepath": f"{folder}/08_reporting/report.json"},
            "notes": {"type": OptionalFrame, "versioned": True, "filepath": f"{folder}/08_reporting/notes.parquet"},
            "aitm.seed0.weights": weights,
            "aitm_seed0_weights": weights,
            "table": versioned | {"filepath": f"{folder}/08_reporting/table.json"},
            "scores": versioned | {"filepath": f"{folder}/07_model_output/scores.json"},
            "run_record": versioned | {"filepath": f"{folder}/08_reporting/run_record.json"},
            "elsewhere": versioned | {"filepath": "memory://elsewhere/table.json"},
        }

    def catalog(self, version=NOW_SAVED):
        return DataCatalog.from_config(self.entries, save_version=version)

    def save(self, *names, version=OLD):
        for name in names:
            self.catalog(version).save(name, {})

    def check_inputs(self, pipeline, environment="test"):
        check_inputs(pipeline, self.catalog(), registered=REGISTERED, environment=environment)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "data")


# Folders.


def test_folders_that_can_be_written_are_not_made_and_nothing_is_left(project, tmp_path):
    check_folders(REGISTERED["full"], project.catalog(), project=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["data/08_reporting/table.json", "data", ".tmp"])
def test_a_folder_that_cannot_be_written_is_named_with_the_user(project, tmp_path, monkeypatch, folder):
    (tmp_path / folder).mkdir(parents=True)
    write = tempfile.TemporaryFile

    def refuse(dir):
        if dir == tmp_path / folder:
            raise PermissionError(errno.EACCES, "Permission denied")
        return write(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    sentence = (
        f"The folder '{tmp_path / folder}' cannot be written by the user '{getpass.getuser()}': Permission denied."
    )
    with pytest.raises(InputError) as refused:
        check_folders(REGISTERED["full"], project.catalog(), project=tmp_path)
    assert str(refused.value).startswith(sentence)
    assert "Give that user the right to write there" in str(refused.value)


def test_a_full_disk_is_called_so(project, tmp_path, monkeypatch):
    def refuse(dir):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(InputError, match="The disk is full"):
        check_folders(PREPARE, project.catalog(), project=tmp_path)


def test_a_read_only_mount_is_found_out_by_whoever_may_write_everything(project, tmp_path):
    project.folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(project.folder)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a small disk (tmpfs), which root has")
    try:
        with pytest.raises(InputError, match=r"cannot be written by the user .*: Read-only file system"):
            check_folders(PREPARE, project.catalog(), project=tmp_path)
    finally:
        subprocess.run(["umount", "--lazy", str(project.folder)], check=True)


# The clock.


@pytest.mark.parametrize("version", [LATER, NOW_SAVED, "final"])
def test_a_version_that_would_hide_what_the_run_writes_is_named(project, version):
    project.save("report", version=version)
    with pytest.raises(InputError) as refused:
        check_clock(PREPARE, project.catalog(), save_version=NOW_SAVED)
    for part in ("'report' has a version", f"'{version}'", NOW_SAVED, str(project.folder / "08_reporting/report.json")):
        assert part in str(refused.value)


def test_the_record_of_the_run_counts_and_so_do_all_names_of_a_file(project):
    project.save("run_record", "aitm_seed0_weights", version=LATER)
    with pytest.raises(InputError, match=r"'aitm\.seed0\.weights' and 'run_record' have a version"):
        check_clock(TRAIN, project.catalog(), save_version=NOW_SAVED)


def test_older_versions_and_those_of_what_is_only_read_are_as_they_should_be(project):
    project.save("report", "aitm.seed0.weights", version=OLD)
    project.save("examples@table", version=LATER)
    (project.folder / f"08_reporting/report.json/{LATER}").mkdir()  # of a run that was killed
    check_clock(TRAIN, project.catalog(), save_version=NOW_SAVED)


# Inputs.


def test_what_is_missing_is_named_with_the_command_that_makes_it(project):
    project.save("report")
    with pytest.raises(InputError) as refused:
        project.check_inputs(TRAIN)
    assert str(refused.value) == (
        "'examples' is not there yet, but this run reads it. "
        "Make it first: kedro run --pipelines=preparation --env=test"
    )


def test_what_the_missing_is_made_from_is_made_first_and_base_needs_no_option(project):
    with pytest.raises(InputError, match=r"kedro run --pipelines=preparation,modelling$"):
        project.check_inputs(JUDGE, environment=None)


def test_of_one_run_the_command_names_the_namespace(project):
    project.save("examples@table", "report")
    with pytest.raises(InputError, match=r"kedro run --pipelines=modelling --namespaces=aitm\.seed0 --env=test$"):
        project.check_inputs(JUDGE)


def test_other_names_of_a_file_and_what_the_run_makes_itself_are_there(project):
    project.save("examples@table", "report", "aitm_seed0_weights")
    project.check_inputs(TRAIN)
    project.check_inputs(SCORE)
    shutil.rmtree(project.folder)
    project.check_inputs(REGISTERED["full"])
    with pytest.raises(InputError, match=r"^'aitm_seed0_weights' is not there yet"):
        project.check_inputs(PREPARE + SCORE)  # audience is another name of what preparation makes


def test_many_missing_datasets_are_counted(project):
    many = Pipeline(
        [node("read", ["examples@arrays", "examples@table", "report", "table", "scores", "run_record"], "x")]
    )
    with pytest.raises(
        InputError, match=r"^'examples', 'report', 'run_record' and 2 others are not there yet"
    ) as refused:
        project.check_inputs(many)
    assert "No pipeline makes '" in str(refused.value)


def test_a_run_that_resumes_needs_only_what_its_unfinished_nodes_read(project):
    project.save("aitm.seed0.weights")
    project.check_inputs(unfinished(TRAIN + JUDGE, project.catalog()))
    with pytest.raises(InputError, match="'examples' and 'report' are not there yet"):
        project.check_inputs(TRAIN + JUDGE)


def test_looking_whether_inputs_are_there_does_not_settle_which_version_is_read(project):
    project.save("examples@table", "report")
    catalog = project.catalog()
    check_inputs(TRAIN, catalog, registered=REGISTERED, environment=None)
    project.save("report", version=NOW_SAVED)
    assert catalog.get("report").resolve_load_version() == NOW_SAVED


# The device.


@pytest.mark.parametrize("pipeline", [TRAIN, SCORE, REGISTERED["full"]])
def test_a_device_that_is_not_there_is_said_if_something_computes_on_it(pipeline):
    parameters = {"training": TOP_LEVEL["training"](device="mps")}
    with pytest.raises(InputError, match=r"training\.device is 'mps', which this machine does not have"):
        check_device(pipeline, parameters, networks={"aitm"})


@pytest.mark.parametrize(
    ("pipeline", "training", "networks"),
    [
        (JUDGE, {"device": "mps"}, {"aitm"}),
        (TRAIN, {"device": "mps"}, {"ple"}),
        (TRAIN, {"device": "cpu"}, {"aitm"}),
        (TRAIN, None, {"aitm"}),
    ],
    ids=["nothing computes", "trees only", "cpu", "default"],
)
def test_a_device_that_nothing_needs_is_not_asked_for(pipeline, training, networks):
    check_device(pipeline, {"training": training}, networks=networks)
