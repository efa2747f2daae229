"""Parameter classes of ingestion and preparation: labels, split, downsampling, vocabulary."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from aitm_kedro.core.parameters import Parameters

TimeUnit = Literal["s", "ms", "us", "ns"]

DIRECTIVES = tuple("YymbBdjaAuwHIpMSfzGVUWcxXT%")
"""Letters of strptime that ``ingestion.time.format`` may have behind a %."""

YEARS = frozenset("YyGcx")
"""Those that say the year."""


class TimeForm(Parameters):
    """How times are written that are neither timestamps nor ISO text."""

    format: str | None = Field(
        None, min_length=1, description="of text, as strptime has it, such as %d.%m.%Y %H:%M; null: ISO"
    )
    unit: TimeUnit | None = Field(None, description="of numbers since 1970; null: by their size, where that is plain")

    @field_validator("format")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        directives = re.findall("%-?(.?)", value or "")
        strange = [f"%{name}" for name in directives if name not in DIRECTIVES]
        if strange:
            raise ValueError(
                f"ingestion.time.format has {strange[0]}, which is not known; there are "
                f"{', '.join(f'%{name}' for name in DIRECTIVES)}"
            )
        if value is not None and not YEARS & set(directives):
            raise ValueError(
                f"ingestion.time.format '{value}' names no year, which all times need; write it as in %d.%m.%Y %H:%M"
            )
        return value


def _spellings(values: Any) -> Any:
    """Values as label columns spell them in text, in lower case; YAML reads yes, on and true alike."""
    if not isinstance(values, list | tuple):
        return values
    if any(value is None or not str(value).strip() for value in values):
        raise ValueError("ingestion.label_values cannot say what null and blank mean: they are not known yet")
    return tuple(dict.fromkeys(text for value in values for text in _spellings_of(value)))


def _spellings_of(value: Any) -> tuple[str, ...]:
    if isinstance(value, bool):
        return ("true", "yes", "on") if value else ("false", "no", "off")
    text = str(value).strip().lower()
    return (
        (text, text.removesuffix(".0")) if isinstance(value, float) else (text,)
    )  # as columns of whole floats are read


Spellings = Annotated[tuple[str, ...], BeforeValidator(_spellings), Field(min_length=1)]


class LabelValues(Parameters):
    """What label columns hold instead of 0 and 1; upper and lower case are alike."""

    positive: Spellings = Field(description="the step happened")
    negative: Spellings = Field(description="it did not")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        both = sorted(set(self.positive) & set(self.negative))
        if both:
            raise ValueError(f"ingestion.label_values has {both} among positive and negative; keep one of them")
        return self


class Ingestion(Parameters):
    """How the raw table becomes ``impressions``."""

    rename: dict[str, str] = Field(default_factory=dict, description="{name here: name in the raw table}")
    labels_from: Literal["auto", "columns", "times"] = Field(
        "auto", description="0/1 columns named as the steps, '<step>_time' columns, or whichever is there"
    )
    label_values: LabelValues | None = Field(None, description="null: 0/1, true/false, t/f, yes/no, y/n")
    time: TimeForm = Field(default_factory=TimeForm, description="of impression_time and '<step>_time'")
    trim: bool = Field(
        False, description="spaces around text of categorical features, lists and segments do not count; blank is null"
    )


LabelPolicy = Literal["drop", "truncate", "promote", "fail"]


class Labels(Parameters):
    """What happens to impressions with inconsistent labels: y_1 >= ... >= y_T broken, or event times that go back."""

    policy: LabelPolicy = "drop"


class Split(Parameters):
    """Train, validation and test."""

    by: Literal["shares", "dates", "column"] = "shares"
    train_share: float = Field(0.6, gt=0, lt=1, description="by shares: of the rows in order of time")
    valid_share: float = Field(
        0.1, gt=0, lt=1, description="by shares: of the rows; by column: of train, hashed off for validation"
    )
    valid_from: datetime | None = Field(None, description="by dates: first moment of validation")
    test_from: datetime | None = Field(None, description="by dates: first moment of test")
    column: str | None = Field(None, description="by column: the column that says train, (valid,) or test")
    seed: int = Field(0, description="by column: seed of the hash")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.by == "shares" and self.train_share + self.valid_share >= 1:
            raise ValueError(
                f"split.train_share {self.train_share} and split.valid_share {self.valid_share} leave nothing for test"
            )
        if self.by == "dates":
            if self.valid_from is None or self.test_from is None:
                raise ValueError("split.by is 'dates'; set split.valid_from and split.test_from")
            if (self.valid_from.tzinfo is None) != (self.test_from.tzinfo is None):
                raise ValueError("one of split.valid_from and split.test_from has a time zone; give both one, or none")
            if self.valid_from >= self.test_from:
                raise ValueError(f"split.valid_from {self.valid_from} is not before split.test_from {self.test_from}")
        if self.by == "column" and self.column is None:
            raise ValueError("split.by is 'column'; set split.column to the column that says train or test")
        return self


class Sampling(Parameters):
    """Downsampling of the final step's negatives in train and validation (paper, section 5.1 and Figure 5c)."""

    positive_share: float | None = Field(
        0.01, gt=0, lt=1, description="lambda: share of final-step positives after sampling; null: keep every row"
    )
    per_segment: bool = Field(False, description="bring each segment to lambda by itself, not the whole")
    seed: int = 0


CountOn = Literal["sample", "train", "train_and_valid"]

FILTERS: dict[str, tuple[int, CountOn]] = {"paper": (10, "sample"), "released": (12, "train_and_valid")}
"""Presets of the frequency filter: fewest occurrences, and the rows that are counted."""


class VocabularyOptions(Parameters):
    """The frequency filter and the quantile bins.

    The paper filters what occurs fewer than 10 times. The released code counts from 0, keeps what is above 10, and
    counts before it takes validation off train.
    """

    preset: Literal["paper", "released"] = Field("paper", description="a key of FILTERS")
    min_count: int | None = Field(None, ge=1, description="values seen fewer times share id 0; null: as the preset")
    count_on: CountOn | None = Field(
        None, description="after downsampling, before, or before and with validation; null: as preset"
    )
    bins: int = Field(32, ge=2, description="quantile bins of a numeric feature")

    @property
    def threshold(self) -> int:
        """Occurrences from which on a value has an id of its own."""
        return FILTERS[self.preset][0] if self.min_count is None else self.min_count

    @property
    def counted(self) -> CountOn:
        """Rows in which values are counted."""
        return self.count_on or FILTERS[self.preset][1]
