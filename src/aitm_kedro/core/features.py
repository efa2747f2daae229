"""Features: the columns that models may look at, and what is known of each when training begins."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from aitm_kedro.core.funnel import IMPRESSION_ID, Funnel, oracle_column
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.core.provenance import fingerprint_of

VOCABULARY = "_vocabulary"
"""Column of encoded examples: fingerprint of the vocabulary that gave their ids, the same in every row."""


class ListFeature(Parameters):
    """A column with a list of values in each row; a bare name such as ``- tags`` is one without weights."""

    name: str
    weights: str | None = Field(None, description="column with a list of weights, as long as that of the values")
    separator: str | None = Field(
        None, min_length=1, description="between values (and weights) that stand in text, such as a|b; null: JSON"
    )

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Features(Parameters):
    """The parameter ``features``: columns of the table, by kind."""

    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    lists: tuple[ListFeature, ...] = Field((), description="several values a row; a model sees their (weighted) mean")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = self.names
        if not names:
            raise ValueError(
                "features names no column; list some under features.categorical, features.numeric or features.lists"
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"features names {twice} more than once")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every feature, in the order of the fields of the encoded examples."""
        return self.categorical + self.numeric + tuple(feature.name for feature in self.lists)

    @property
    def weights(self) -> tuple[str, ...]:
        """Columns with the weights of lists."""
        return tuple(feature.weights for feature in self.lists if feature.weights is not None)

    def forbid_labels(self, funnel: Funnel) -> None:
        """Raise ValueError if a feature would tell a model the answer (label leakage)."""
        for name in self.names + self.weights:
            if name in funnel.steps or name in {f"{step}_time" for step in funnel.steps}:
                raise ValueError(f"features names '{name}', which is a label of the funnel; take it out")
            if name.startswith(oracle_column("")):
                raise ValueError(f"features names '{name}'; columns 'oracle_*' hold the truth; take it out")
            if name == IMPRESSION_ID:
                raise ValueError(f"features names '{name}', which is different in every row; take it out")


class ValueStatistics(Parameters):
    """What is known of a numeric feature's values in train, nulls aside."""

    mean: float
    std: float = Field(ge=0, description="of the population; 0 if all values are equal")
    minimum: float
    maximum: float
    null_share: float = Field(ge=0, le=1, description="share of the train rows without a value")


class FeatureSpec(Parameters):
    """What a model knows of a feature when training begins; learnt from train alone.

    Attributes:
        name: of the column.
        kind: categorical (one id a row), numeric (an id, that of the value's bin, and the value), list (ids).
        ids: number of ids, id 0 included: unknown or rare (categorical, list), null (numeric).
        edges: of a numeric feature, rising: id k holds the values from edges[k - 2] up to edges[k - 1], without an end
            below the first and above the last. Hence ids - 2 of them.
        statistics: of the values of a numeric feature.
        weights: of a list, the column that holds the weights of its values, or None.
    """

    name: str
    kind: Literal["categorical", "numeric", "list"]
    ids: int = Field(ge=1)
    edges: tuple[float, ...] = ()
    statistics: ValueStatistics | None = None
    weights: str | None = None


class FeatureSpecs(Parameters):
    """The specs of every field of the encoded examples, in their order, as a file holds them."""

    features: tuple[FeatureSpec, ...]
    vocabulary: str | None = Field(None, description="fingerprint of the vocabulary; null: not known")

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ where anything but the statistics of values does.

        These come from the train examples, which have a fingerprint of their own, and their last digits depend on the
        order in which an engine adds.
        """
        bare = tuple(feature.model_copy(update={"statistics": None}) for feature in self.features)
        return fingerprint_of(self.model_copy(update={"features": bare}))


def sizes_of(features: Sequence[FeatureSpec]) -> tuple[int, ...]:
    """Number of ids of each feature, id 0 included."""
    return tuple(feature.ids for feature in features)
