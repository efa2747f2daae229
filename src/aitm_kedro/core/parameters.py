"""The base of all parameter classes. Each room has those that it reads in its ``parameters.py``.

Defaults are the paper's settings. Keys are replaced as a whole by an environment (Kedro's rule), so that what an
environment's key leaves out takes the default of the class, never a value of another environment.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

MACHINE = ("device", "threads")
"""Fields that say where a model is trained, not what comes out."""


def without_machine(value: Any) -> Any:
    """A group of parameters without those that only say where to compute; anything else as it is."""
    if not isinstance(value, Mapping):
        return value
    return {name: part for name, part in value.items() if name not in MACHINE}


class Parameters(BaseModel):
    """Unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
