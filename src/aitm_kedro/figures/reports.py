"""What the figures read off the reports of ingestion and preparation, which they know by these attributes alone."""

from collections.abc import Mapping
from typing import Protocol


class RowsAside(Protocol):
    """Raw rows that ingestion leaves out."""

    @property
    def immature(self) -> int:
        """Rows whose outcome is not known yet."""


class IngestionReport(Protocol):
    """What became of the raw rows."""

    @property
    def rows_in(self) -> int:
        """Raw rows."""

    @property
    def rows_out(self) -> int:
        """Rows that go on."""

    @property
    def rows_aside(self) -> RowsAside:
        """Rows that do not."""


class LabelReport(Protocol):
    """What label consistency did."""

    @property
    def rows_out(self) -> int:
        """Rows that go on."""


class StepCount(Protocol):
    """How often a step happened."""

    @property
    def positives(self) -> int:
        """Rows in which it did."""


class Counts(Protocol):
    """Rows, and how often each step happened in them."""

    @property
    def rows(self) -> int:
        """All of them."""

    @property
    def steps(self) -> Mapping[str, StepCount]:
        """By step."""


class BeforeAndAfter(Protocol):
    """A split before and after downsampling."""

    @property
    def before(self) -> Counts:
        """As it was split off."""

    @property
    def after(self) -> Counts:
        """As a model sees it."""


class SamplingReport(Protocol):
    """What downsampling did to train and validation."""

    @property
    def train(self) -> BeforeAndAfter:
        """What models learn from."""

    @property
    def valid(self) -> BeforeAndAfter:
        """What they are chosen by."""
