"""Provenance: fingerprints of data, parameters and libraries, by which results are compared and resumed."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2b
from importlib import metadata
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field

LIBRARIES = ("aitm-kedro", "torch", "lightgbm", "scikit-learn", "numpy", "duckdb", "ibis-framework", "kedro")


class Result(BaseModel):
    """Base of everything that is written as JSON and read again: unknown keys are errors, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Provenance(Result):
    """What a result was made from."""

    data: dict[str, str] = Field(
        default_factory=dict, description="fingerprint of what was read: train, valid, test, features, keep_rates"
    )
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="every parameter that counted, defaults included, as JSON"
    )
    libraries: dict[str, str] = Field(default_factory=dict, description="versions")
    made: datetime = Field(description="moment, UTC")

    @classmethod
    def now(cls, *, data: Mapping[str, str], parameters: Mapping[str, Any]) -> Self:
        """The provenance of what is made at this moment.

        Args:
            data: fingerprints of what was read.
            parameters: parameter classes, and plain values such as the name of a model.
        """
        plain = {
            name: value.model_dump(mode="json") if isinstance(value, BaseModel) else value
            for name, value in parameters.items()
        }
        return cls(data=dict(data), parameters=plain, libraries=library_versions(), made=datetime.now(UTC))


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


def fingerprint_of(value: BaseModel) -> str:
    """Twelve hexadecimal digits that differ where anything in a typed value does."""
    return blake2b(value.model_dump_json().encode(), digest_size=6).hexdigest()


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that the numbers depend on."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # an optional one, or the project itself run from a source tree
            continue
    return found
