"""The base of all parameter classes. Each room has those that it reads in its ``parameters.py``.

Defaults are the paper's settings, or those of a preset (``PresetParameters``). Keys are replaced as a whole by an
environment (Kedro's rule), so that what an environment's key leaves out takes the default of the class, never a value
of another environment.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

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

    def changed(self) -> dict[str, Any]:
        """Fields that have another value than their default, as JSON."""
        return _difference(self, type(self)())


BY_PRESET: Any = None
"""Default of a field that the preset decides where nothing else is said."""


class PresetParameters(Parameters):
    """Parameters some of which a preset decides, wherever nothing, or null, is said of them.

    A subclass has a field ``preset`` with a default, and ``BY_PRESET`` as the default of each field in ``PRESETS``.

    Attributes:
        PRESETS: preset -> field -> value; every preset decides the same fields.
    """

    PRESETS: ClassVar[Mapping[str, Mapping[str, Any]]]

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        preset = value.get("preset", cls.model_fields["preset"].default)
        decided = cls.PRESETS.get(preset, {}) if isinstance(preset, str) else {}  # the field says what is wrong with it
        return {**value, **{name: chosen for name, chosen in decided.items() if value.get(name) is None}}

    def changed(self) -> dict[str, Any]:
        """Fields that have another value than the preset, or their default, gives; and an unusual preset."""
        chosen: dict[str, Any] = {"preset": self.preset}  # type: ignore[attr-defined]
        found = _difference(self, type(self)(**chosen))
        return found if self.preset == type(self).model_fields["preset"].default else chosen | found  # type: ignore[attr-defined]


def _difference(one: Parameters, other: Parameters) -> dict[str, Any]:
    usual = other.model_dump(mode="json")
    return {name: value for name, value in one.model_dump(mode="json").items() if value != usual[name]}
