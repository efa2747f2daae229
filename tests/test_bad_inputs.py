"""Bad inputs, each with its exit code and its sentence, checked through ``kedro run``; what was there before stays."""

import re
import shutil
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.conftest import make_project, run_kedro
from tests.test_project import OWN, cascade, own_project, spoil

FULL = ("--pipelines=full",)
SHOP = OWN["parameters.yml"]
FUNNEL, FEATURES = SHOP["funnel"], SHOP["features"]
TABLE = "aitm_kedro.datasets.Table"
CSV = {"type": TABLE, "filepath": "data/01_raw/ratings.csv", "file_format": "csv"}


class Case(NamedTuple):
    """An input that is wrong.

    Attributes:
        words: parts of the sentence, in their order.
        arguments: of ``kedro run --env=mine``.
        parameters: keys of conf/mine/parameters.yml, over those of a project that runs.
        text: appended to conf/mine/parameters.yml as it is.
        catalog: of raw_impressions, over the entry of a project that runs; None takes an argument out.
        change: of the raw table.
        raw: content of the raw CSV file instead of the table's.
        code: exit code.
        early: whether it is found before anything runs.
    """

    words: tuple[str, ...]
    arguments: tuple[str, ...] = FULL
    parameters: Mapping[str, Any] = MappingProxyType({})
    text: str = ""
    catalog: Mapping[str, Any] = MappingProxyType({})
    change: Callable[[pd.DataFrame], pd.DataFrame] | None = None
    raw: bytes | None = None
    code: int = 1
    early: bool = True


def command(*arguments, words, code=1):
    return Case(words, arguments=arguments, code=code)


def parameters(*words, **keys):
    return Case(words, parameters=keys)


def catalog(*words, early=True, raw=None, **entry):
    return Case(words, catalog=entry, early=early, raw=raw)


def table(*words, change, **keys):
    return Case(words, change=change, parameters=keys, early=False)


def same_id(frame):
    frame.loc[1, "impression_id"] = 0
    frame.loc[0, "liked3"], frame.loc[1, "liked3"] = 0, 1
    frame.loc[[0, 1], ["liked4", "liked5"]] = 0
    return frame


def as_text(column, word):
    """A column of text, with a word in one row."""

    def change(frame):
        texts = frame[column].astype("string")
        return frame.assign(**{column: texts.where(frame.index != 7, word)})

    return change


def without_an_id(frame):
    return frame.assign(impression_id=frame["impression_id"].astype("Int64").where(frame.index != 7))


def unscorable_validation(frame):
    rows = frame.index.isin(range(3600, 4200))
    return frame.assign(**{f"liked{k}": frame[f"liked{k}"].where(~rows, 0) for k in (4, 5)})


COMMANDS = {
    "an unknown pipeline": command("--pipelines=ful", words=("'ful'", "did you mean 'full'")),
    "an unknown node": command("--nodes=aitm.seed0.trian", words=("'aitm.seed0.trian'", "aitm.seed0.train")),
    "an unknown namespace": command("--namespaces=aitn.seed0", words=("'aitn.seed0'", "aitm.seed0")),
    "an unknown seed": command("--namespaces=aitm.seed7", words=("'aitm.seed7'",)),
    "an unknown tag": command("--tags=preparatoin", words=("'preparatoin'", "preparation")),
    "an unknown node to begin at": command("--from-nodes=encode_tran", words=("'encode_tran'", "encode_train")),
    "an unknown result to end at": command("--to-outputs=comparisn", words=("'comparisn'", "comparison")),
    "an unknown input to begin at": command("--from-inputs=impresions", words=("'impresions'", "impressions")),
    "an unknown dataset to load": command(
        *FULL, "--load-versions=aitm.seed0.wieghts:2026-01-01T00.00.00.000Z", words=("wieghts", "aitm.seed0.weights")
    ),
    "a version that does not exist": command(
        "--nodes=logistic.seed0.predict_test",
        "--load-versions=logistic.seed0.weights:2020-01-01T00.00.00.000Z",
        words=("2020-01-01T00.00.00.000Z", "logistic.seed0.weights"),
    ),
    "an unknown runner": command(
        *FULL, "--runner=SequentalRunner", words=("SequentalRunner", "SequentialRunner"), code=2
    ),
    "a parameter without a value": command(
        *FULL, "--params=training.max_epochs", words=("training.max_epochs",), code=2
    ),
    "a list among parameters": command(*FULL, "--params=seeds.full=[0,1]", words=("[0,1]", "conf/"), code=2),
    "an unknown parameter": command(
        *FULL, "--params=trainig.max_epochs=3", words=("--params", "trainig", "'training'")
    ),
    "a parameter of another type": command(
        *FULL, "--params=training.max_epochs=many", words=("--params", "training.max_epochs", "whole number", "many")
    ),
    "an unknown environment": command(*FULL, "--env=mien", words=("'mien'", "mine")),
}

PARAMETERS = {
    "broken YAML": Case(("conf/mine/parameters.yml", "line"), text="training: {max_epochs: 3\n"),
    "a key twice": Case(("conf/mine/parameters.yml", "'runs'"), text="\nruns: {aitm: {}}\n"),
    "a tab": Case(("conf/mine/parameters.yml", "line"), text="\nmlp:\n\tembedding_dim: 3\n"),
    "a list for a block": parameters("conf/mine/parameters.yml", "training", "mapping", training=[3]),
    "an unknown key": parameters("conf/mine/parameters.yml", "trainig", "'training'", trainig={"max_epochs": 3}),
    "an unknown key inside": parameters("training.epochs", "max_epochs", training={"epochs": 3}),
    "a text for a number": parameters("training.batch_size", "number", "many", training={"batch_size": "many"}),
    "a number out of range": parameters("sampling.positive_share", "1.5", sampling={"positive_share": 1.5}),
    "two mistakes at once": parameters(
        "split.train_share", "training.max_epochs", training={"max_epochs": 0}, split={"train_share": 2}
    ),
    "main steps of another funnel": parameters("approval", funnel={"steps": ["liked3"], "main_steps": ["approval"]}),
    "a window without end": parameters("window", "liked3", funnel={**FUNNEL, "windows": {"liked3": float("nan")}}),
    "a step twice": parameters("twice", "liked3", funnel={"steps": ["liked3", "liked3"], "main_steps": ["liked3"]}),
    "shares that leave nothing": parameters("nothing for test", split={"train_share": 0.7, "valid_share": 0.3}),
    "dates that are not there": parameters("split.valid_from", split={"by": "dates"}),
    "a seed below 0": parameters("seeds.full", "-1", seeds={"full": [-1]}),
    "a seed twice": parameters("seeds.full", "twice", seeds={"full": [0, 0]}),
    "an unknown model": parameters("'aitn'", "did you mean 'aitm'", runs={"aitn": {}}, reference="aitn"),
    "an option that a run's model lacks": parameters(
        "runs.x.options.alhpa",
        "did you mean 'alpha'",
        runs={"x": {"model": "aitm", "options": {"alhpa": 0}}},
        reference="x",
    ),
    "an option directly under a run": parameters("runs.aitm", "alpha", "options", runs={"aitm": {"alpha": 0}}),
    "a reference that is not there": parameters("reference", "'lightgbm'", runs={"aitm": {}}),
    "an explained run that is not there": parameters("explain", "'ple'", explain="ple"),
    "a run called oracle": parameters("oracle", "stands for the truth", runs={"oracle": {"model": "aitm"}}),
    "a scoring run that is not there": parameters("scoring.run", "'aitn'", scoring={"run": "aitn"}),
    "an option of another model": parameters("ple.alpha", "belongs to aitm", ple={"alpha": 0.5}),
    "an unknown tower": parameters("esmm.tower", "mlp, nfm, deepfm or afm", "'cnn'", esmm={"tower": "cnn"}),
    "a task weight of no step": parameters("'liked9'", training={"task_weights": {"liked9": 2}}),
    "a device that is not there": parameters("mps", training={"device": "mps"}),
    "no version to keep": parameters("keep_versions", keep_versions=0),
    "a feature twice": parameters("'user'", "more than once", features={"categorical": ["user", "user"]}),
    "no feature at all": parameters("features", "no column", features={"categorical": []}),
    "a feature that is a label": parameters("'liked3'", features={"categorical": ["user", "liked3"]}),
    "a feature that is the truth": parameters("oracle", features={"numeric": ["oracle_liked3"]}),
    "features of base": Case(("features", "conf/mine"), parameters={"features": None}),
}

CATALOG = {
    "a raw file that is not there": catalog(
        "There is no file", "rating.parquet", filepath="data/01_raw/rating.parquet"
    ),
    "an entry without a type": catalog("raw_impressions", "type", type=None),
    "an unknown type": catalog("raw_impressions", "Tabel", "Table", type="aitm_kedro.datasets.Tabel"),
    "an unknown argument": catalog("raw_impressions", "filepaht", type=TABLE, filepaht="x"),
    "a source in another engine": catalog(
        "globals:connection", type=TABLE, connection={"backend": "duckdb"}, early=False
    ),
    "a data frame": catalog(TABLE, type="pandas.ParquetDataset", connection=None, early=False),
    "a global that is not there": catalog("conf/mine/catalog.yml", "foldr", "'folder'", filepath="${globals:foldr}"),
    "an empty CSV": catalog("ratings.csv", "empty", **CSV, raw=b"", early=False),
    "a CSV with a header alone": catalog("no rows", **CSV, raw=b"impression_id,user,item\n", early=False),
    "no Parquet": catalog("ratings.csv", "cannot be read", filepath="data/01_raw/ratings.csv", type=TABLE, early=False),
}

TABLES = {
    "a column that is not there": table(
        "'itme'", "'item'", change=None, features={"categorical": ["user", "itme"], "numeric": ["age"]}
    ),
    "a step that is not there": table(
        "liked9", change=None, funnel={"steps": ["liked3", "liked9"], "main_steps": ["liked9"]}
    ),
    "a label of 2": table("'liked4'", "2", change=spoil("liked4", 7, 2)),
    "a label that says maybe": table("'liked4'", "maybe", change=as_text("liked4", "maybe")),
    "an id with two answers": table("different", change=same_id),
    "an id that is blank": table("'impression_id'", "null or blank in 1 row", change=as_text("impression_id", "  ")),
    "an id that is null": table("'impression_id'", "null or blank in 1 row", change=without_an_id),
    "no positives": table("liked5", change=lambda frame: frame.assign(liked5=0)),
    "no scorable validation": table("valid", change=unscorable_validation),
    "no known outcome": table("none of the 6", "null", change=lambda frame: frame.assign(liked4=np.nan)),
    "no consistent row": table(
        "liked4 without liked3", "6,000", change=lambda frame: frame.assign(liked3=0, liked4=1, liked5=1)
    ),
    "an empty split": table(
        "valid", change=None, split={"by": "dates", "valid_from": "2030-01-01", "test_from": "2031-01-01"}
    ),
    "days and months that could be either": table(
        "'impression_time'", "01.02.2024", change=lambda frame: frame.assign(impression_time="01.02.2024")
    ),
    "a time that is none": table(
        "'impression_time'", "yesterday", change=lambda frame: frame.assign(impression_time="yesterday")
    ),
    "integers that are no times": table(
        "'impression_time'", change=lambda frame: frame.assign(impression_time=range(6000))
    ),
    "a number beyond float32": table("'age'", "-1e+300", change=spoil("age", 7, -1e300)),
    "text for a number": table("'age'", "old", change=as_text("age", "old")),
    "a feature that is all null": table("'age'", "null", change=lambda frame: frame.assign(age=np.nan)),
    "lists among single values": table(
        "'user'", "features.lists", change=lambda frame: frame.assign(user=[["a", "b"]] * len(frame))
    ),
    "a weight below 0": table(
        "'worth'", "-1", change=lambda frame: frame.assign(worth=-1.0), funnel={**FUNNEL, "row_weight": "worth"}
    ),
    "a name with a space": table("'user'", "'user '", change=lambda frame: frame.rename(columns={"user": "user "})),
    "a table without a row": table("no rows", change=lambda frame: frame.head(0)),
}

CASES = COMMANDS | PARAMETERS | CATALOG | TABLES


@pytest.fixture(scope="module")
def used(tmp_path_factory):
    """A project with a table of one's own that has run, so that there is something to lose."""
    project = own_project(make_project(tmp_path_factory.mktemp("used")), cascade(), {"type": TABLE}, **RUNS)
    code, output = run_kedro(project, "--env=mine", *FULL)
    assert code == 0, output
    return project


RUNS = {"runs": {"lightgbm": {}, "aitm": {}, "logistic": {}}}


@pytest.mark.parametrize("name", CASES)
def test_bad_input_ends_in_its_sentence_and_what_was_there_stays(name, used, tmp_path):
    case = CASES[name]
    project = tmp_path / "project"
    shutil.copytree(used, project)
    write_case(project, case)
    before = files(project)
    arguments = (
        case.arguments if any(each.startswith("--env") for each in case.arguments) else ("--env=mine", *case.arguments)
    )
    code, output = run_kedro(project, *arguments)
    assert code == case.code, output
    message = output[re.search("^Error: ", output, re.MULTILINE).start() :]
    assert "Traceback" not in message
    assert "pydantic" not in message
    place = 0
    for word in case.words:
        assert word in message[place:], message
        place = message.index(word, place)
    after = files(project)
    assert before.items() <= after.items()
    if case.early:
        assert before == after


def test_what_is_wrong_is_said_once_and_kedro_gives_no_advice(used, tmp_path):
    project = tmp_path / "project"
    shutil.copytree(used, project)
    write_case(project, CATALOG["an empty CSV"])
    code, output = run_kedro(project, "--env=mine", *FULL)
    assert code == 1
    said = [line for line in output.splitlines() if "is empty (0 bytes)" in line]
    assert len(said) == 1, output
    assert said[0].startswith("Error: ")
    assert "resume" not in output
    assert "Repeat the previous command" not in output


def test_there_are_more_than_sixty_bad_inputs():
    assert len(CASES) >= 60


def write_case(project, case):
    folder, raw = project / "conf/mine", project / "data/01_raw"
    settings = {key: value for key, value in (SHOP | RUNS | dict(case.parameters)).items() if value is not None}
    (folder / "parameters.yml").write_text(yaml.safe_dump(settings) + case.text)
    entry = OWN["catalog.yml"]["raw_impressions"] | {"type": TABLE} | dict(case.catalog)
    entry = {key: value for key, value in entry.items() if value is not None}
    (folder / "catalog.yml").write_text(yaml.safe_dump({"raw_impressions": entry}))
    if case.change is not None:
        case.change(cascade()).to_parquet(raw / "ratings.parquet")
    if case.raw is not None:
        (raw / "ratings.csv").write_bytes(case.raw)


def files(project):
    """Size and moment of every file under data/."""
    found = (path for path in (project / "data").rglob("*") if path.is_file())
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in found}
