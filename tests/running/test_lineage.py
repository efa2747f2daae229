"""What was made from things that are no longer there is found and named."""

import pandas as pd
import pytest
from kedro.io import DataCatalog
from kedro.pipeline import Node, Pipeline

from aitm_kedro.config.schema import TOP_LEVEL
from aitm_kedro.datasets import JSON
from aitm_kedro.running.lineage import FILE, breaks, describe_breaks, note_lineage

FIRST, SECOND = "2024-01-01T00.00.00.000Z", "2024-06-01T00.00.00.000Z"
NOW = {
    "ingestion": {},
    "funnel": {"steps": ["click", "buy"], "main_steps": ["buy"]},
    "features": {"categorical": ["city"], "numeric": ["age"]},
    "split": {"by": "shares"},
    "vocabulary": {"min_count": 10},
}


def identity(*_):
    return {}


def node(name, inputs, outputs, namespace=None):
    return Node(identity, inputs, outputs, name=name, namespace=namespace)


INGEST = node("ingest", ["raw", "params:ingestion"], ["log", "report"])
SPLIT = node("split", ["log", "params:split"], "parts")
ENCODE = node("encode", ["parts", "params:features", "params:vocabulary"], "examples@table")
TRAIN = Pipeline([node("train", ["examples@arrays"], "aitm.weights", "aitm")])
REGISTERED = {
    "ingestion": Pipeline([INGEST]),
    "preparation": Pipeline([SPLIT, ENCODE]),
    "modelling": TRAIN,
    "full": Pipeline([INGEST, SPLIT, ENCODE]) + TRAIN,
}


class Project:
    """Three stages before training, whose results have versions."""

    def __init__(self, folder):
        self.folder = folder
        names = ("log", "report", "parts", "examples@table", "examples@arrays", "aitm.weights")
        self.entries = {
            name: {"type": JSON, "versioned": True, "filepath": f"{folder}/{name.partition('@')[0]}.json"}
            for name in names
        }
        self.entries["raw"] = {"type": JSON, "filepath": f"{folder}/raw.json"}

    def catalog(self, save_version=None, load_versions=None):
        return DataCatalog.from_config(self.entries, save_version=save_version, load_versions=load_versions)

    def run(self, node, version, content, parameters=NOW):
        """Save what a node makes, and write down from what."""
        catalog = self.catalog(version)
        for name in node.outputs:
            catalog.save(name, content)
        assert note_lineage(node, catalog, parameters=parameters, save_version=version)

    def run_all(self, version, content="one", parameters=NOW):
        for each in (INGEST, SPLIT, ENCODE):
            self.run(each, version, content, parameters)

    def find(self, pipeline=TRAIN, parameters=NOW, load_versions=None):
        catalog = self.catalog(load_versions=load_versions)
        found = breaks(pipeline, catalog, registered=REGISTERED, parameters=parameters)
        return [(each.dataset, each.source) for each in found]


@pytest.fixture
def project(tmp_path):
    found = Project(tmp_path)
    found.run_all(FIRST)
    return found


def test_what_belongs_together_has_no_break(project):
    assert project.find() == []


def test_a_new_log_that_was_not_prepared(project):
    project.run(INGEST, SECOND, "two")
    assert project.find() == [("parts", "log")]
    assert project.find(REGISTERED["preparation"]) == []  # which renews it


def test_a_part_of_the_preparation_alone(project):
    project.run(SPLIT, SECOND, "two")
    assert project.find() == [("examples", "parts")]


def test_the_same_content_again_makes_nothing_old(project):
    project.run(INGEST, SECOND, "one")
    assert project.find() == []


def test_a_version_that_is_gone_is_another_one(project):
    project.run(INGEST, SECOND, "one")
    (project.folder / "log.json" / FIRST / "log.json").unlink()
    assert project.find() == [("parts", "log")]


def test_versions_that_are_asked_for_count(project):
    project.run_all(SECOND, "two")
    assert project.find(load_versions={"examples@arrays": FIRST}) == [("examples", "parts")]
    pinned = {"examples@arrays": FIRST, "parts": FIRST, "log": FIRST}
    assert project.find(load_versions=pinned) == []


def test_nobody_knows_what_a_killed_run_has_made_it_from(project):
    catalog = project.catalog(SECOND)
    catalog.save("parts", "two")
    assert project.find() == [("parts", None), ("examples", "parts")]


def test_what_is_not_all_there_is_not_noted(project):
    catalog = project.catalog(SECOND)
    catalog.save("log", "two")
    assert not note_lineage(INGEST, catalog, parameters=NOW, save_version=SECOND)
    assert not (project.folder / "log.json" / SECOND / FILE).exists()


def test_results_of_runs_are_not_noted_for_they_say_it_themselves(project):
    catalog = project.catalog(SECOND)
    catalog.save("aitm.weights", "w")
    assert note_lineage(TRAIN.nodes[0], catalog, parameters=NOW, save_version=SECOND)
    assert not list(project.folder.rglob(f"aitm.weights.json/*/{FILE}"))


@pytest.mark.parametrize(
    ("key", "value", "dataset"),
    [
        ("vocabulary", {"min_count": 10, "preset": "released"}, "examples"),
        ("features", {"categorical": ["age", "city"]}, "examples"),
        ("split", {"by": "shares", "valid_share": 0.2}, "parts"),
        ("ingestion", {"rename": {"city": "town"}}, "log"),
        ("ali_ccp", {"max_values": 7}, "log"),
    ],
)
def test_a_changed_parameter_is_found_where_it_counts(project, key, value, dataset):
    changed = NOW | {key: value}
    assert project.find(parameters=changed) == [(dataset, f"params:{key}")]
    typed = {name: TOP_LEVEL[name].model_validate(part) for name, part in changed.items()}
    assert project.find(parameters=typed) == [(dataset, f"params:{key}")]


def test_a_parameter_that_nothing_read_makes_no_difference(project):
    assert project.find(parameters=NOW | {"funnel": {"steps": ["click"], "main_steps": ["click"]}}) == []


def test_a_new_option_with_its_default_makes_no_difference(tmp_path):
    older = Project(tmp_path)
    older.run_all(FIRST, parameters=NOW | {"vocabulary": {"min_count": 10}})
    path = tmp_path / "examples.json" / FIRST / FILE
    path.write_text(path.read_text().replace('"bins":32,', ""))
    assert older.find() == []


def test_a_parameter_that_the_classes_of_now_cannot_read_differs(project):
    path = project.folder / "examples.json" / FIRST / FILE
    path.write_text(path.read_text().replace('"bins":32', '"bucket":32'))
    assert project.find() == [("examples", "params:vocabulary")]


def test_one_sentence_for_each_cause(project):
    project.run(INGEST, SECOND, "two")
    changed = NOW | {"split": {"by": "shares", "valid_share": 0.2}}
    found = breaks(TRAIN, project.catalog(), registered=REGISTERED, parameters=changed)
    assert describe_breaks(found, registered=REGISTERED) == [
        "'parts' was made from another content of 'log' than what is there now, which has no effect on this run; to go "
        "on with the new one: kedro run --pipelines=preparation",
        "'parts' was made with other parameters under 'split' than those of now, which have no effect on this run; to "
        "have them take effect: kedro run --pipelines=preparation",
    ]
    (project.folder / "examples.json" / FIRST / FILE).unlink()
    found = breaks(TRAIN, project.catalog(), registered=REGISTERED, parameters=NOW)
    assert describe_breaks(found, registered=REGISTERED) == [
        "Nobody knows what 'examples' was made from: the run that wrote it did not end, or was one of another version "
        "of the project; if in doubt, make all anew: kedro run --pipelines=preparation"
    ]


def test_the_order_of_rows_does_not_count(tmp_path):
    from aitm_kedro.datasets.contents import content_of

    table = pd.DataFrame({"id": [1, 2, 3], "tags": [["a"], None, ["b", "c"]], "x": [0.5, None, 1.0]})
    frames = {
        "one": table,
        "shuffled": table.iloc[[2, 0, 1]],
        "another value": table.assign(x=[0.5, None, 2.0]),
        "swapped": table.assign(x=[1.0, None, 0.5]),
        "renamed": table.rename(columns={"x": "y"}),
        "twice a row": pd.concat([table, table.iloc[:1]]),
        "twice another": pd.concat([table, table.iloc[1:2]]),
    }
    found = {}
    for name, frame in frames.items():
        frame.to_parquet(tmp_path / f"{name}.parquet", index=False)
        found[name] = content_of(tmp_path / f"{name}.parquet")
    assert found["one"] == found["shuffled"]
    assert len(set(found.values())) == len(found) - 1
    parts = tmp_path / "parts.parquet"
    parts.mkdir()
    table.iloc[:1].to_parquet(parts / "a.parquet", index=False)
    table.iloc[1:].to_parquet(parts / "b.parquet", index=False)
    assert content_of(parts) == found["one"]
