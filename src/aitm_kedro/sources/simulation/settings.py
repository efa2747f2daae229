"""What a user of the simulator may choose: the size of the log, its rates, its noise, its seed."""

import itertools
import math
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Self, TypeVar

from aitm_kedro.core.errors import InputError

VERSION = 1
"""Goes into the name of every file that is written: to be raised whenever the same settings give other rows."""

STEPS = ("click", "application", "approval", "activation")

MOST_IMPRESSIONS = 10_000_000_000
FEWEST_IMPRESSIONS = 1_000


@dataclass(frozen=True, kw_only=True)
class Rates:
    """Shares of the mature impressions that reach a step, end to end, inside all windows."""

    click: float
    application: float
    approval: float
    activation: float

    def __post_init__(self) -> None:
        """Raise InputError unless 1 > click > application > approval > activation > 0."""
        ordered = (1.0, *self.values, 0.0)
        if any(not earlier > later for earlier, later in itertools.pairwise(ordered)):
            raise InputError(
                f"simulation rates {dict(zip(STEPS, self.values, strict=True))} do not fall from step to step; "
                "give each a share between 0 and 1 that is smaller than the one before"
            )

    @property
    def values(self) -> tuple[float, ...]:
        """The rates in funnel order."""
        return (self.click, self.application, self.approval, self.activation)


@dataclass(frozen=True, kw_only=True)
class Noise:
    """Shares of the impressions that the log spoils, whoever sees them and whatever came of them.

    Attributes:
        duplicated: sent twice.
        illegal: with inconsistent labels: a step without the step before it.
        backwards: with an application that is earlier than its click.
    """

    duplicated: float = 0.005
    illegal: float = 0.002
    backwards: float = 0.001

    def __post_init__(self) -> None:
        """Raise InputError for a share outside [0, 0.5]."""
        for name, share in asdict(self).items():
            if not 0 <= share <= 0.5:
                raise InputError(f"simulation noise '{name}' is {share}; give a share between 0 and 0.5")


PRESETS = {
    "base": Rates(click=0.22, application=0.022, approval=0.011, activation=0.0025),
    "industrial": Rates(click=0.225, application=0.0087, approval=0.0033, activation=0.00025),
}
"""`base`: enough conversions for a laptop. `industrial`: the paper's rates before its downsampling to 1 %."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """One log, completely: equal settings give equal bytes.

    Attributes:
        impressions: mature impressions, about; the immature tail and the duplicates come on top.
        rates: what the intercepts are solved for.
        seed: draws the rows. The story itself (which id does what) is the same for every seed.
        noise: what the log spoils.
        chunk_rows: rows that are drawn together; each chunk has a random stream of its own.
    """

    impressions: int
    rates: Rates = PRESETS["base"]
    seed: int = 0
    noise: Noise = field(default_factory=Noise)
    chunk_rows: int = 65_536

    def __post_init__(self) -> None:
        """Raise InputError for sizes and seeds that cannot be."""
        _whole("impressions", self.impressions, FEWEST_IMPRESSIONS, MOST_IMPRESSIONS)
        _whole("seed", self.seed, 0, 2**63 - 1)
        _whole("chunk_rows", self.chunk_rows, 1_024, 1_048_576)

    @classmethod
    def of(
        cls,
        *,
        impressions: int,
        preset: str = "base",
        seed: int = 0,
        rates: dict[str, float] | None = None,
        noise: dict[str, float] | None = None,
        chunk_rows: int = 65_536,
    ) -> Self:
        """Settings from plain values, as they stand in a catalog entry.

        Args:
            impressions: mature impressions, about.
            preset: 'base' or 'industrial', the rates.
            seed: draws the rows.
            rates: {step: share}, instead of the preset's.
            noise: {kind: share} of 'duplicated', 'illegal', 'backwards', instead of the usual ones.
            chunk_rows: rows that are drawn together.

        Raises:
            InputError: a value that cannot be, or a key that is not known.
        """
        if not isinstance(preset, str) or preset not in PRESETS:
            raise InputError(f"simulation preset {preset!r} is not known; use one of {', '.join(PRESETS)}")
        return cls(
            impressions=impressions,
            rates=_override("rates", PRESETS[preset], rates),
            seed=seed,
            noise=_override("noise", Noise(), noise),
            chunk_rows=chunk_rows,
        )


Chosen = TypeVar("Chosen", Rates, Noise)


def _override(what: str, usual: Chosen, values: dict[str, float] | None) -> Chosen:
    known = [known.name for known in fields(usual)]
    if values is not None and not isinstance(values, dict):
        raise InputError(f"simulation {what} is {values!r}; give a mapping with keys out of {', '.join(known)}")
    for name, share in (values or {}).items():
        if name not in known:
            raise InputError(f"simulation {what} names '{name}', which is not one of {', '.join(known)}")
        if not _is_number(share):
            raise InputError(f"simulation {what} '{name}' is {share!r}; give a number")
    return replace(usual, **(values or {}))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _whole(what: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InputError(f"simulation {what} is {value!r}; give a whole number from {least} to {most}")
