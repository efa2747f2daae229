"""Presets decide what is left open."""

from typing import Any, ClassVar, Literal

import pytest
from pydantic import ValidationError

from aitm_kedro.core.parameters import BY_PRESET, PresetParameters


class Options(PresetParameters):
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "tuned": {"size": 3, "kind": "a"},
        "paper": {"size": 9, "kind": "b"},
    }

    preset: Literal["tuned", "paper"] = "tuned"
    size: int = BY_PRESET
    kind: str = BY_PRESET
    other: float = 0.5


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ("tuned", 3, "a")),
        ({"preset": "paper"}, ("paper", 9, "b")),
        ({"preset": "paper", "size": None, "kind": "c"}, ("paper", 9, "c")),
        ({"size": 0}, ("tuned", 0, "a")),
    ],
)
def test_a_value_given_wins_over_the_preset(given, expected):
    found = Options.model_validate(given)
    assert (found.preset, found.size, found.kind) == expected
    assert Options.model_validate(found.model_dump(mode="json")) == found


def test_what_differs_from_the_preset_is_named():
    assert Options().changed() == {}
    assert Options(other=1).changed() == {"other": 1.0}
    assert Options(preset="paper").changed() == {"preset": "paper"}
    assert Options(preset="paper", size=3, kind="b").changed() == {"preset": "paper", "size": 3}


@pytest.mark.parametrize("preset", ["best", None, ["tuned"], 3])
def test_an_unknown_preset_is_said_to_be_one(preset):
    with pytest.raises(ValidationError, match="Input should be 'tuned' or 'paper'"):
        Options.model_validate({"preset": preset, "size": 1, "kind": "x"})
