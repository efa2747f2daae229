"""Features as parameters, and as what a model knows of them."""

import pytest
from pydantic import ValidationError

from aitm_kedro.core.features import Features, FeatureSpec, FeatureSpecs, ListFeature, ValueStatistics, sizes_of
from aitm_kedro.core.funnel import Funnel

FUNNEL = Funnel(steps=("click", "buy"), main_steps=("buy",))
AGE = FeatureSpec(
    name="age",
    kind="numeric",
    ids=4,
    edges=(20.0, 30.5),
    statistics=ValueStatistics(mean=25, std=4, minimum=1, maximum=99, null_share=0.25),
)


def test_the_fingerprint_is_of_ids_edges_and_vocabulary_not_of_statistics() -> None:
    specs = FeatureSpecs(features=(AGE,), vocabulary="v")
    moved = AGE.model_copy(update={"statistics": AGE.statistics.model_copy(update={"mean": 25.000000000000004})})
    assert FeatureSpecs(features=(moved,), vocabulary="v").fingerprint() == specs.fingerprint()
    others = [AGE.model_copy(update={"edges": (20.0, 31.0)}), AGE.model_copy(update={"ids": 5})]
    variants = [specs, FeatureSpecs(features=(AGE,)), *(FeatureSpecs(features=(o,), vocabulary="v") for o in others)]
    assert len({variant.fingerprint() for variant in variants}) == 4


def test_fields_come_by_kind_lists_last() -> None:
    features = Features(lists=("tags", {"name": "shops", "weights": "visits"}), numeric=("age",), categorical=("city",))
    assert features.names == ("city", "age", "tags", "shops")
    assert features.weights == ("visits",)
    assert features.lists[0] == ListFeature(name="tags")


def test_features_that_cannot_be() -> None:
    with pytest.raises(ValidationError, match="features names no column; list some under"):
        Features()
    with pytest.raises(ValidationError, match=r"features names \['age', 'city'\] more than once"):
        Features(categorical=("city", "age", "city"), lists=("age",))
    with pytest.raises(ValidationError, match="Extra inputs"):
        Features(categorical=("city",), stranger=1)


@pytest.mark.parametrize(
    ("features", "sentence"),
    [
        ({"categorical": ["buy"]}, "'buy', which is a label of the funnel"),
        ({"numeric": ["click_time"]}, "'click_time', which is a label of the funnel"),
        ({"lists": [{"name": "tags", "weights": "buy"}]}, "'buy', which is a label of the funnel"),
        ({"numeric": ["oracle_click"]}, "'oracle_click'; columns 'oracle_.' hold the truth"),
        ({"categorical": ["impression_id"]}, "'impression_id', which is different in every row"),
    ],
)
def test_features_that_would_tell_the_answer(features: dict, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        Features.model_validate(features).forbid_labels(FUNNEL)


def test_features_that_tell_no_answer() -> None:
    Features(categorical=("city", "sell_time"), numeric=("clicks",)).forbid_labels(FUNNEL)


def test_specs_are_read_as_they_were_written() -> None:
    tags = FeatureSpec(name="tags", kind="list", ids=9, weights="how much")
    specs = FeatureSpecs(features=(FeatureSpec(name="city", kind="categorical", ids=3), AGE, tags))
    assert FeatureSpecs.model_validate_json(specs.model_dump_json()) == specs
    assert sizes_of(specs.features) == (3, 4, 9)


@pytest.mark.parametrize(
    "changes",
    [
        {"ids": 0},
        {"kind": "text"},
        {"stranger": 1},
        {"edges": [float("nan")]},
        {"statistics": {"mean": 0, "std": -1, "minimum": 0, "maximum": 0, "null_share": 0}},
        {"statistics": {"mean": 0, "std": 1, "minimum": 0, "maximum": 0, "null_share": 1.5}},
        {"statistics": {"mean": float("inf"), "std": 1, "minimum": 0, "maximum": 0, "null_share": 0}},
    ],
)
def test_specs_that_cannot_be(changes: dict) -> None:
    with pytest.raises(ValidationError):
        FeatureSpec.model_validate(AGE.model_dump() | changes)
