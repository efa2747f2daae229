"""Results with a schema as JSON, and models as folders: what is loaded is known to be right."""

import subprocess
import sys
from types import ModuleType

import pytest
from kedro.io import DatasetError, Version
from pydantic import BaseModel, ConfigDict, Field

from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets import ModelFolder, TypedJSON

FIRST = "2024-01-01T00.00.00.000Z"


class History(BaseModel):
    best_epoch: int = Field(ge=0)
    auc: dict[str, float] = {}
    losses: tuple[float, ...] = ()


class Metrics(BaseModel):
    model_config = ConfigDict(extra="forbid")

    model: str
    history: History | None = None


class Model:
    """A model that is one text in a folder."""

    def __init__(self, text):
        self.text = text

    def save(self, folder):
        folder.mkdir()
        (folder / "model.txt").write_text(self.text)


@pytest.fixture(autouse=True)
def fakes(monkeypatch):
    """A module with what the catalog would name."""
    module = ModuleType("fakes")
    module.Metrics = Metrics
    module.load = lambda folder: Model((folder / "model.txt").read_text())
    monkeypatch.setitem(sys.modules, "fakes", module)
    return module


@pytest.fixture
def typed(tmp_path):
    def dataset(save=None, **options):
        path = str(tmp_path / "metrics.json")
        return TypedJSON(**{"filepath": path, "schema": "fakes.Metrics", "version": Version(None, save)} | options)

    return dataset


@pytest.fixture
def folder(tmp_path):
    def dataset(save=None, **options):
        path = str(tmp_path / "model")
        return ModelFolder(**{"filepath": path, "loader": "fakes.load", "version": Version(None, save)} | options)

    return dataset


METRICS = Metrics(model="aitm", history=History(best_epoch=3, auc={"click": 0.75}, losses=(0.5, 0.25)))


def test_an_object_comes_back_as_it_went(typed, tmp_path):
    typed(FIRST).save(METRICS)
    assert typed().load() == METRICS
    text = (tmp_path / "metrics.json" / FIRST / "metrics.json").read_text()
    assert text == METRICS.model_dump_json(indent=2)
    assert typed().preview() == text


def test_what_was_never_saved_is_none_if_it_may_be_missing(typed, folder, tmp_path):
    for dataset in (typed, folder):
        assert dataset(optional=True).load() is None
        with pytest.raises(DatasetError, match="Did not find any versions"):
            dataset().load()
    assert typed().preview() == "{}"
    with pytest.raises(DatasetError, match=r"none.json' cannot be read: No such file or directory\.$"):
        typed(filepath=str(tmp_path / "none.json"), version=None).load()
    typed(FIRST).save(METRICS)
    assert typed(optional=True).load() == METRICS


@pytest.mark.parametrize("data", [{"model": "aitm"}, METRICS.history, "text"])
def test_another_type_is_refused(typed, data, tmp_path):
    with pytest.raises(DatasetError, match=rf"holds Metrics .* but the node returned {type(data).__name__}\.$"):
        typed(FIRST).save(data)
    assert not list(tmp_path.glob("*/*"))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            '{"model": "aitm", "history": {"best_epoch": "x"}}',
            r"\(history.best_epoch: Input should be a valid",
        ),
        ('{"model": "aitm", "history": {"best_epoch": -1}}', r"\(history.best_epoch: Input should be greater than or"),
        ('{"model": "aitm", "history": {"best_epoch": 1, "losses": [0.5, null]}}', r"\(history.losses.1: Input should"),
        ("{}", r"\(model: Field required\)"),
        ('{"model": "aitm", "seed": 0, "other": 1}', r"\(seed: Extra inputs are not permitted\)"),
        ("[]", r"\(Input should be an object\)"),
    ],
)
def test_a_file_of_another_version_is_refused_in_one_sentence(typed, tmp_path, text, problem):
    path = tmp_path / "old.json"
    path.write_text(text)
    sentence = rf"^'.*old.json' was written by another version of the project {problem}.*: run the node that writes it"
    with pytest.raises(DatasetError, match=sentence) as refused:
        typed(filepath=str(path), version=None).load()
    assert "pydantic" not in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"{", b'{"model": "\xff"}', METRICS.model_dump_json().encode()[:-5]])
def test_a_damaged_file_is_refused_in_one_sentence(typed, tmp_path, content):
    path = tmp_path / "cut.json"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=r"cut.json' is damaged \(Invalid JSON: .*\): run the node that writes it"):
        typed(filepath=str(path), version=None).load()


@pytest.mark.parametrize(
    ("history", "place"),
    [
        (History(best_epoch=0, auc={"click": 0.5, "buy": float("nan")}), r"history.auc.buy is nan"),
        (History(best_epoch=0, losses=(1.0, float("-inf"))), r"history.losses\[1\] is -inf"),
    ],
)
def test_a_number_that_json_cannot_hold_is_refused(typed, history, place, tmp_path):
    with pytest.raises(DatasetError, match=rf"metrics.json' was not saved: {place}, which JSON cannot hold"):
        typed(FIRST).save(Metrics(model="aitm", history=history))
    assert not list(tmp_path.glob("*/*"))


def test_a_model_comes_back_as_it_went(folder):
    folder(FIRST).save(Model("trees"))
    assert folder().load().text == "trees"
    assert folder().exists()


def test_a_model_is_replaced_where_there_are_no_versions(folder, tmp_path):
    for text in ("first", "second"):
        folder(version=None).save(Model(text))
    assert folder(version=None).load().text == "second"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("error", [InputError("'spec.json' is missing."), OSError("cut short"), ValueError("no model")])
def test_a_model_that_cannot_be_read_is_said_in_a_sentence(folder, fakes, error):
    def refuse(_):
        raise error

    folder(FIRST).save(Model("trees"))
    fakes.load = refuse
    sentence = rf"The model in '.*model' cannot be read: {str(error).rstrip('.')}; train again, or load an earlier"
    with pytest.raises(DatasetError, match=sentence) as refused:
        folder().load()
    assert refused.value.__cause__.__cause__ is error


def test_a_path_that_leads_nowhere_is_said_in_a_sentence(typed, folder):
    typed(FIRST).save(METRICS)
    folder(FIRST).save(Model("trees"))
    for path in ("fakes.Nothing", "no_such_module.Metrics", "Metrics"):
        with pytest.raises(DatasetError, match=rf"There is no '{path}': correct 'schema' in the catalog"):
            typed(schema=path).load()
        with pytest.raises(DatasetError, match=rf"There is no '{path}': correct 'loader' in the catalog"):
            folder(loader=path).load()


def test_describing_a_dataset_imports_nothing():
    code = """
import sys
from aitm_kedro.datasets import ModelFolder, TypedJSON
TypedJSON(filepath="a.json", schema="no_such_module.Metrics")
ModelFolder(filepath="b", loader="aitm_kedro.learning.registry.load_trained")
sys.exit([name for name in sys.modules if name == "torch" or name.startswith("aitm_kedro.learning")] or 0)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_previews_of_folders_are_what_they_say_of_themselves(tmp_path):
    dataset = ModelFolder(filepath=str(tmp_path / "model"), loader="fakes.load")
    assert dataset.preview() == "{}"
    (tmp_path / "model").mkdir()
    assert dataset.preview() == "{}"
    (tmp_path / "model/model.json").write_text('{"model": "aitm"}')
    (tmp_path / "model/checksums.json").write_text("{}")
    assert dataset.preview() == '{"model": "aitm"}'
    (tmp_path / "model/manifest.json").write_text('{"run": "aitm"}')
    assert dataset.preview() == '{"run": "aitm"}'
