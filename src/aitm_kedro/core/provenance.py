"""Provenance: fingerprints of data, parameters and libraries, by which results are compared and resumed.

Results are valid by content: one that was made from the same rows, vocabulary and parameters is as good as the newest,
whatever its version is called. Typed results hold their provenance as a field, pandas tables in their ``attrs``, which
Parquet keeps.
"""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from importlib import metadata
from typing import Any, Literal, Self

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aitm_kedro.core.errors import InputError

LIBRARIES = ("aitm-kedro", "torch", "lightgbm", "scikit-learn", "numpy", "duckdb", "ibis-framework", "kedro")

PROVENANCE = "provenance"
"""Under this name the ``attrs`` of a pandas table, and the metadata of an Arrow schema, hold what it was made from."""

Source = Literal[
    "train",
    "valid",
    "stopping",
    "test",
    "vocabulary",
    "features",
    "dropped_features",
    "keep_rates",
    "members",
    "weights",
]
"""What results are made from, each with a fingerprint of its own:

train, valid    the encoded examples that a model learns from and chooses by (``Examples.fingerprint``)
stopping        the validation rows that it stops on, without features (``Examples.fingerprint_of_rows``)
test            the rows that it is judged on, without features (``Examples.fingerprint_of_rows``)
vocabulary      what gave the ids (``tables.fingerprints.fingerprint_vocabulary``)
features        what is known of each feature (``FeatureSpecs``)
dropped_features  those that the feature check leaves out (``FeatureCheck``)
keep_rates      of the downsampling (``KeepRates``)
members         the models that an ensemble blends
weights         the trained model (``Trained.fingerprint``)
"""

_OTHERS: dict[Source, str] = {
    "train": "other train examples",
    "valid": "other validation examples",
    "stopping": "other validation rows that stop a training (validation)",
    "test": "other test rows",
    "vocabulary": "another vocabulary",
    "features": "other feature_specs",
    "dropped_features": "another choice of features (feature_check)",
    "keep_rates": "other keep rates of the downsampling (sampling_report)",
    "members": "models of other trainings",
    "weights": "other weights",
}


class Result(BaseModel):
    """Base of everything that is written as JSON and read again: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Provenance(Result):
    """What a result was made from."""

    data: dict[Source, str] = Field(default_factory=dict, description="fingerprint of what was read (``Source``)")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="every parameter that counted, defaults included, as JSON"
    )
    libraries: dict[str, str] = Field(default_factory=dict, description="versions")
    made: datetime = Field(description="moment, UTC")

    @classmethod
    def now(cls, *, data: Mapping[Source, str | None], parameters: Mapping[str, Any]) -> Self:
        """The provenance of what is made at this moment.

        Args:
            data: fingerprints of what was read, None where there is none.
            parameters: parameter classes, and plain values such as the name of a model.
        """
        plain = as_json(parameters)
        known = {name: value for name, value in data.items() if value is not None}
        return cls(data=known, parameters=plain, libraries=library_versions(), made=datetime.now(UTC))


def check_made_from(
    what: str, made_from: Mapping[Source, str], found: Mapping[Source, str | None], *, advice: str
) -> None:
    """Make sure that a result is used with what it was made from.

    Args:
        what: the result, in the plural, such as "the predictions of 'aitm.seed0'".
        made_from: ``Provenance.data`` of it.
        found: fingerprints of what it is used with.
        advice: what to do otherwise.

    Raises:
        InputError: it was made from something else.
    """
    for name, value in found.items():
        if made_from.get(name) != value:
            raise InputError(
                f"{what} were made from {_OTHERS[name]} than what is loaded now (content "
                f"{made_from.get(name, 'not known')}, now {value or 'not known'}); {advice}"
            )


class NodeCost(Result):
    """What a node of a run took."""

    seconds: float
    peak_gigabytes: float = Field(description="of the process, so far")


class RunRecord(Result):
    """What a run of Kedro was: parameters, versions of data and libraries, time and memory of each node."""

    finished: datetime
    run: dict[str, Any] = Field(description="how it was called: environment, pipelines, nodes")
    commit: str | None = Field(description="of the project's working tree; None outside of git")
    libraries: dict[str, str]
    machine: dict[str, Any]
    parameters: dict[str, Any]
    datasets: dict[str, str] = Field(description="version of each versioned dataset that was read or written")
    nodes: dict[str, NodeCost]
    warnings: tuple[str, ...] = Field((), description="given on the way, each once")


def fingerprint_of(value: BaseModel) -> str:
    """Twelve hexadecimal digits that differ where anything in a typed value does.

    Defaults are left out, so that a field that a later version adds does not make other values of old ones.
    """
    return blake2b(value.model_dump_json(exclude_defaults=True).encode(), digest_size=6).hexdigest()


def as_json(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameter classes among these as JSON holds them; plain values as they are."""
    return {
        name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
        for name, value in parameters.items()
    }


def with_provenance(table: pd.DataFrame, provenance: Provenance) -> pd.DataFrame:
    """A table that says what it was made from, also once it was saved as Parquet."""
    table.attrs[PROVENANCE] = provenance.model_dump(mode="json")
    return table


def provenance_of_table(attributes: Mapping[Any, Any]) -> Provenance | None:
    """What a table says that it was made from.

    Args:
        attributes: ``DataFrame.attrs``.

    Returns:
        Its provenance; None if it has none, or one of another version of the project.
    """
    try:
        return Provenance.model_validate(attributes[PROVENANCE])
    except (KeyError, ValidationError):
        return None


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that the numbers depend on."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # an optional one, or the project itself run from a source tree
            continue
    return found
