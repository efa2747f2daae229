"""Whether examples were prepared with the parameters of now: new options make no difference, changed ones do."""

from datetime import UTC, datetime

import pytest
from kedro.io import DataCatalog

from aitm_kedro.config.schema import PREPARATION, TOP_LEVEL
from aitm_kedro.core.provenance import RunRecord
from aitm_kedro.datasets import JSON
from aitm_kedro.hooks import EXAMPLES, as_plain, prepared_otherwise

VERSION = "2024-01-01T00.00.00.000Z"
NOW = {
    "ali_ccp": {},
    "funnel": {"steps": ["click", "buy"], "main_steps": ["buy"]},
    "features": {"categorical": ["city"], "numeric": ["age"]},
    "ingestion": {},
    "labels": {"policy": "drop"},
    "split": {"by": "shares"},
    "sampling": {"positive_share": 0.1},
    "vocabulary": {"min_count": 10},
}


def typed(parameters):
    """As Kedro hands them to the hooks: objects of their classes."""
    return {key: TOP_LEVEL[key].model_validate(value) for key, value in parameters.items()}


def record(parameters):
    """The record of a run with these parameters, as JSON."""
    made = RunRecord(
        finished=datetime.now(UTC),
        run={},
        commit=None,
        libraries={},
        machine={},
        parameters=parameters,
        datasets={},
        nodes={},
    )
    return made.model_dump(mode="json")


@pytest.fixture
def compare(tmp_path):
    """Keys that differ from those of the run that wrote the examples, whose record says these."""

    def run(recorded, now):
        files = {"run_record": "run_record.json", EXAMPLES: "train_examples.json"}
        entries = {
            name: {"type": JSON, "filepath": str(tmp_path / file), "versioned": True} for name, file in files.items()
        }
        catalog = DataCatalog.from_config(entries, save_version=VERSION)
        catalog.save(EXAMPLES, {})
        if recorded is not None:
            catalog.save("run_record", record(recorded))
        return prepared_otherwise(now, DataCatalog.from_config(entries))

    return run


def test_the_parameters_of_the_tests_are_those_of_the_preparation():
    assert tuple(NOW) == PREPARATION


@pytest.mark.parametrize("whole", [True, False], ids=["all options recorded", "as written"])
def test_a_run_with_the_same_parameters_says_nothing(compare, whole):
    recorded = {key: as_plain(value) for key, value in typed(NOW).items()} if whole else NOW
    assert compare(recorded, typed(NOW)) == []


@pytest.mark.parametrize("now", [NOW, {key: value for key, value in NOW.items() if key != "ali_ccp"}])
def test_a_record_from_before_there_were_lists_and_presets_says_nothing(compare, now):
    """It names neither ``ali_ccp`` nor ``vocabulary.preset`` nor ``features.lists``."""
    recorded = {key: as_plain(value) for key, value in typed(NOW).items() if key != "ali_ccp"}
    del recorded["vocabulary"]["preset"], recorded["features"]["lists"]
    assert compare(recorded, typed(now)) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("vocabulary", {"min_count": 10, "preset": "released"}),
        ("vocabulary", {"min_count": 11}),
        ("features", {"categorical": ["city"], "numeric": ["age"], "lists": ["tags"]}),
        ("features", {"categorical": ["age", "city"]}),
        ("ali_ccp", {"max_values": 7}),
        ("ingestion", {"rename": {"city": "town"}}),
        ("labels", {"policy": "fail"}),
        ("split", {"by": "shares", "valid_share": 0.2}),
        ("sampling", {"positive_share": None}),
        ("funnel", {"steps": ["click", "buy"], "main_steps": ["click", "buy"]}),
    ],
)
def test_a_changed_option_is_named_by_its_key(compare, key, value):
    recorded = {name: as_plain(part) for name, part in typed(NOW).items()}
    assert compare(recorded, typed(NOW | {key: value})) == [key]


def test_a_record_that_the_classes_of_now_cannot_read_differs(compare):
    recorded = NOW | {"vocabulary": {"smallest_count": 10}}
    assert compare(recorded, typed(NOW)) == ["vocabulary"]


def test_without_a_record_nothing_is_said(compare):
    assert compare(None, typed(NOW)) == []
