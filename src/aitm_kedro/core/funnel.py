"""The funnel: ordered conversion steps, each needing the one before.

The order of ``Funnel.steps`` is the only place where the order of the steps is defined. Labels, predictions, towers,
metrics and figures all follow it.
"""

import math
from datetime import datetime
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

IMPRESSION_ID = "impression_id"
IMPRESSION_TIME = "impression_time"

# Raw segment (bank) of an example, beside an encoded feature that may have the same name.
SEGMENT = "_segment"

# Name of the segment of rows whose segment is null.
NO_SEGMENT = "(none)"

# Weight of an example in loss and metrics, where the funnel names a column for it.
ROW_WEIGHT = "_row_weight"


def time_column(step: str) -> str:
    """Name of the column that holds the time at which ``step`` happened (null if it never did)."""
    return f"{step}_time"


def oracle_column(step: str) -> str:
    """Name of the reserved raw column with the true end-to-end probability of ``step``."""
    return f"oracle_{step}"


def value_column(feature: str) -> str:
    """Name of the column that holds the value of a numeric feature, beside its bin, among encoded examples."""
    return f"_value_{feature}"


def weights_column(feature: str) -> str:
    """Name of the column that holds the weights of a list feature, beside its ids, among encoded examples."""
    return f"_weights_{feature}"


class Funnel(BaseModel):
    """The ordered steps after the impression (paper, section 4.1: y_1 >= y_2 >= ... >= y_T)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: tuple[str, ...] = Field(min_length=1, description="names of the steps, and of their 0/1 label columns")
    main_steps: tuple[str, ...] = Field(
        min_length=1, description="of bold figures, of the best run, and of training.stop_on: main_auc"
    )
    segment: str | None = Field(None, description="column that splits the business (the bank), or null")
    row_weight: str | None = Field(
        None, description="column with the weight of each row in loss and metrics, numbers from 0 on; null: all alike"
    )
    windows: dict[str, float] = Field(
        default_factory=dict,
        description="days after the step before in which a step counts; one entry a step if labels come from times",
    )
    observed_until: datetime | None = Field(None, description="end of the log; null: the time of its latest impression")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.steps)) != len(self.steps):
            raise ValueError(f"funnel.steps names a step twice: {list(self.steps)}")
        for what, names in (("main_steps", self.main_steps), ("windows", self.windows)):
            strangers = [name for name in names if name not in self.steps]
            if strangers:
                raise ValueError(f"funnel.{what} names {strangers}, not among funnel.steps {list(self.steps)}")
        if len(set(self.main_steps)) != len(self.main_steps):
            raise ValueError(f"funnel.main_steps names a step twice: {list(self.main_steps)}")
        for step, days in self.windows.items():
            if not 0 < days < math.inf:
                raise ValueError(f"funnel.windows.{step} is {days}; a window is a positive number of days")
        self._forbid_reserved_names()
        return self

    def _forbid_reserved_names(self) -> None:
        if self.row_weight in self.steps:
            raise ValueError(f"funnel.row_weight names '{self.row_weight}', which is a step; name another column")
        reserved = sorted({"impression", "rows", "segment"} & set(self.steps))
        if reserved:
            raise ValueError(f"funnel.steps names {reserved}, which mean something else here; use another name")

    @property
    def ordered_main_steps(self) -> list[str]:
        """The main steps in funnel order."""
        return [step for step in self.steps if step in self.main_steps]

    @property
    def total_window(self) -> float:
        """Days after an impression until every step's window has closed."""
        return sum(self.windows.values())
