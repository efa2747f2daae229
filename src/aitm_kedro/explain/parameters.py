"""Parameters of the feature check and of the figures."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from aitm_kedro.core.parameters import Parameters


def _from_yaml(value: Any) -> Any:
    """YAML reads a bare ``off`` as false."""
    return "off" if value is False else value


FeatureCheckMode = Annotated[Literal["off", "report", "drop"], BeforeValidator(_from_yaml)]
"""The parameter ``feature_check``: whether features that make predictions worse are looked for, and left out."""


class Reporting(Parameters):
    """Figures."""

    tsne_rows: int = Field(500, ge=10, description="positives and negatives a step, at most")
    transfer_rows: int = Field(500, ge=4, description="rows a label group in the transfer figure, at most")
    seed: int = 0
