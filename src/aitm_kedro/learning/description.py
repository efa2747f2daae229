"""What a trained model was built from, as text beside its tensors."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.learning.weights import Boosters, Weights


class Description(NamedTuple):
    """What a model was built from; the metadata of its weights.

    Attributes:
        model: name in the registry.
        options: its parameter class, as JSON.
        steps: in funnel order.
        fields: feature names, in the order of the ids.
        vocabulary_sizes: ids of each field, id 0 included.
    """

    model: str
    options: dict[str, Any]
    steps: tuple[str, ...]
    fields: tuple[str, ...]
    vocabulary_sizes: tuple[int, ...]

    def to_metadata(self) -> dict[str, str]:
        """As text, for ``Weights.metadata``."""
        return {name: json.dumps(value) for name, value in self._asdict().items()}

    @classmethod
    def from_metadata(cls, weights: Weights | Boosters) -> "Description":
        """Read back what ``to_metadata`` wrote.

        Raises:
            InputError: a key is missing or no JSON.
        """
        missing = [name for name in cls._fields if name not in weights.metadata]
        if missing:
            raise InputError(f"the weights lack {missing} in their metadata; train the model again")
        try:
            values = {name: json.loads(weights.metadata[name]) for name in cls._fields}
        except json.JSONDecodeError as error:
            raise InputError(f"the metadata of the weights is damaged ({error}); train the model again") from error
        for name in ("steps", "fields", "vocabulary_sizes"):
            values[name] = tuple(values[name])
        return cls(**values)


def describe(
    model: str, *, options: BaseModel, steps: Sequence[str], fields: Sequence[str], vocabulary_sizes: Sequence[int]
) -> Description:
    """Describe a model."""
    sizes = tuple(int(size) for size in vocabulary_sizes)
    return Description(model, options.model_dump(mode="json"), tuple(steps), tuple(fields), sizes)


def check_fits(weights: Weights | Boosters, examples: Examples) -> None:
    """Make sure that weights and examples speak of the same fields and steps.

    Raises:
        InputError: they do not.
    """
    description = Description.from_metadata(weights)
    for what in ("steps", "fields"):
        trained, given = getattr(description, what), getattr(examples, what)
        if trained != given:
            raise InputError(
                f"the model '{description.model}' was trained with the {what} {list(trained)} but the examples have "
                f"{list(given)}; run preparation and modelling again"
            )
    check_ids(examples, description.vocabulary_sizes)


def check_ids(examples: Examples, vocabulary_sizes: Sequence[int]) -> None:
    """Make sure that every id is one of its field: all fields share one table, so a stray id would read another's row.

    Raises:
        InputError: examples and vocabulary are of different runs.
    """
    largest = [*examples.ids.max(axis=0, initial=0), *(part.values.max(initial=0) for part in examples.lists.values())]
    for field, size, found in zip(examples.fields, vocabulary_sizes, largest, strict=True):
        if found >= size:
            raise InputError(
                f"the examples have id {found} of '{field}', whose vocabulary has {size} ids; they come from "
                "different runs: run preparation and modelling again"
            )
