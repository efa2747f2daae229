"""Complaints of pydantic become sentences for somebody who does not know pydantic."""

from datetime import datetime
from typing import Annotated, Literal

import pytest
from pydantic import Field, TypeAdapter, ValidationError, field_validator

from aitm_kedro.config.schema import TOP_LEVEL
from aitm_kedro.config.sentences import _Schema, dotted, listed, mistakes, nearest, shown, stop
from aitm_kedro.core.parameters import Parameters


class Inner(Parameters):
    width: int = Field(8, ge=1)
    share: float = Field(0.5, gt=0, lt=1)


class Block(Parameters):
    count: int = Field(3, ge=1, le=9)
    rate: float | None = Field(None, ge=0)
    kind: Literal["mlp", "nfm", "afm"] = "mlp"
    on: bool = True
    name: str = "x"
    since: datetime | None = None
    layers: tuple[int, ...] = Field((1,), min_length=1)
    two: tuple[int, ...] = Field((1, 2), min_length=2)
    weights: dict[str, Annotated[float, Field(gt=0)]] = Field(default_factory=dict)
    inner: Inner = Inner()
    inners: tuple[Inner, ...] = ()
    either: bool | Inner = False

    @field_validator("name")
    @classmethod
    def _short(cls, value):
        if len(value) > 3:
            raise ValueError("at most three letters fit; shorten it")
        return value


class Required(Parameters):
    steps: tuple[str, ...] = Field(min_length=1)


NODES = ("train", "ingest_impressions", "aitm.draw_figure", "ple.draw_figure")


def complaints(kind, value):
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(kind).validate_python(value)
    return [mistake.sentence for mistake in mistakes(caught.value, kind, path=("block",))]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"count": "many"}, "block.count must be a whole number, at least 1 and at most 9; it is 'many'"),
        ({"count": 0}, "block.count must be a whole number, at least 1 and at most 9; it is 0"),
        ({"count": 1.5}, "block.count must be a whole number, at least 1 and at most 9; it is 1.5"),
        ({"rate": -1}, "block.rate must be a number, at least 0, or null; it is -1"),
        ({"rate": float("nan")}, "block.rate must be a number, at least 0, or null; it is nan"),
        ({"kind": "cnn"}, "block.kind must be mlp, nfm or afm; it is 'cnn'"),
        ({"on": "perhaps"}, "block.on must be true or false; it is 'perhaps'"),
        ({"name": 3}, "block.name must be text; it is 3"),
        ({"name": "long"}, "block.name: at most three letters fit; shorten it"),
        (
            {"since": "soon"},
            "block.since must be a date, or a date and time, such as 2024-03-01, or null; it is 'soon'",
        ),
        ({"layers": 3}, "block.layers must be a list with at least one value; it is 3"),
        ({"layers": []}, "block.layers must be a list with at least one value; it is []"),
        ({"two": [1]}, "block.two must be a list with at least 2 values; it is [1]"),
        ({"layers": [1, None]}, "block.layers[1] must be a whole number; it is null"),
        ({"weights": [1]}, "block.weights must be a mapping of name: value; it is [1]"),
        ({"weights": {"a": 0}}, "block.weights.a must be a number, above 0; it is 0"),
        ({"inner": 3}, "block.inner must be a mapping of name: value; it is 3"),
        ({"inner": {"share": 1}}, "block.inner.share must be a number, above 0 and below 1; it is 1"),
        ({"inner": {"widht": 1}}, "block.inner.widht is unknown; did you mean 'width'?"),
        ({"inner": {"zzz": 1}}, "block.inner.zzz is unknown; known are width and share"),
        ({"inners": [{"width": 0}]}, "block.inners[0].width must be a whole number, at least 1; it is 0"),
        ([1], "block must be a mapping of name: value; it is [1]"),
    ],
)
def test_what_is_wrong_and_what_is_allowed(value, sentence):
    assert complaints(Block, value) == [sentence]


def test_all_mistakes_are_said_at_once():
    assert len(complaints(Block, {"count": "x", "kinds": 1, "inner": {"width": "y", "z": 1}})) == 4


def test_alternatives_are_both_named():
    assert complaints(Block, {"either": 3}) == [
        "block.either must be true or false or a mapping of name: value; it is 3"
    ]
    assert "block.either.zz is unknown; known are width and share" in complaints(Block, {"either": {"zz": 1}})


def test_what_is_missing_is_said_with_what_it_must_be():
    assert complaints(Required, {}) == ["block.steps is missing; it must be a list with at least one value"]


@pytest.mark.parametrize("key", TOP_LEVEL)
def test_every_parameter_can_be_described(key):
    """No field of the project falls back on the words of pydantic."""
    assert _Schema(TOP_LEVEL[key]).allowed(())
    for name in _Schema(TOP_LEVEL[key]).names(()):
        assert _Schema(TOP_LEVEL[key]).allowed((name,)), name


def test_names_are_listed_up_to_ten():
    assert [listed([]), listed("a"), listed("ab"), listed("abc", last="or")] == ["none", "a", "a and b", "a, b or c"]
    assert listed(range(12)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("trian", "did you mean 'train'?"),
        ("TRAIN", "did you mean 'train'?"),
        ("ingest", "did you mean 'ingest_impressions'?"),
        ("draw", "did you mean 'ple.draw_figure' or 'aitm.draw_figure'?"),
        ("zzz", "there are train, ingest_impressions, aitm.draw_figure and ple.draw_figure"),
    ],
)
def test_the_nearest_name_or_some(name, hint):
    assert nearest(name, NODES, known="there are") == hint


def test_values_are_shown_as_they_are_written_and_cut():
    assert [shown(value) for value in (None, True, "a", 1.5)] == ["null", "true", "'a'", "1.5"]
    assert len(shown("a" * 100)) == 60


def test_places_and_stops():
    assert dotted(("published", "results", 0, "by")) == "published.results[0].by"
    assert [stop("One"), stop("Two?"), stop("Three.")] == ["One.", "Two?", "Three."]
