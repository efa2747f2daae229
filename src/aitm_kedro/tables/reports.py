"""Reports of ingestion and preparation: typed models, one JSON file each, that figures and predictions read again."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer

from aitm_kedro.core.provenance import Result
from aitm_kedro.evaluation.stability import Level
from aitm_kedro.tables.parameters import LabelPolicy

Moment = Annotated[datetime, PlainSerializer(lambda moment: moment.isoformat(sep=" "), when_used="json")]
"""UTC without zone, as in the tables; in JSON such as 2024-03-31 23:59:59."""


class RowsAside(Result):
    """Raw rows that ingestion leaves out, by reason; each row counts once."""

    exact_duplicates: int = Field(description="equal to another row in every column")
    other_duplicates: int = Field(description="same impression_id and outcomes as another row, but other features")
    immature: int = Field(description="outcome not known yet")

    @property
    def total(self) -> int:
        """All of them."""
        return self.exact_duplicates + self.other_duplicates + self.immature


class IngestionReport(Result):
    """What became of every raw row: rows_in = rows_out + all of rows_aside."""

    rows_in: int
    rows_out: int
    rows_aside: RowsAside
    labels_from: Literal["columns", "times"]
    windows_days: dict[str, float] | None = Field(description="by step; null where labels come from columns")
    first_impression: Moment | None = Field(description="null where impressions have no time")
    last_impression: Moment | None
    observed_until: Moment | None = Field(None, description="end of the log; null where labels come from columns")
    mature_until: Moment | None = Field(None, description="latest impression whose windows have all closed by then")
    read_as: dict[str, str] = Field(
        default_factory=dict, description="column -> how it was read, where it was of another kind, such as text"
    )
    source: dict[str, Any] = Field(description="what the source says of itself, such as lines that it could not read")


class StepCount(Result):
    """How often a step happened."""

    positives: int
    rate: float = Field(description="share of the rows")


class LabelReport(Result):
    """What label consistency found and did: rows_in = rows_out + rows_aside."""

    policy: LabelPolicy
    rows_in: int
    rows_out: int
    rows_aside: int = Field(description="rows with inconsistent labels that are left out")
    rows_repaired: int = Field(description="rows with inconsistent labels that the policy has made consistent")
    legal: dict[str, int] = Field(description="rows with consistent labels, by their labels, such as 1100")
    illegal: dict[str, int] = Field(description="rows with inconsistent labels, by reason, most frequent first")
    steps: dict[str, StepCount] = Field(description="of the rows that go on")


class KeepRates(Result):
    """Share of the final step's negatives that downsampling keeps."""

    overall: float = Field(description="brings all of train to lambda; for segments without a rate of their own, too")
    per_segment: dict[str, float] | None = Field(None, description="rates of the segments' own, or null")

    def of(self, segment: str) -> float:
        """The rate of a segment."""
        return self.overall if self.per_segment is None else self.per_segment.get(segment, self.overall)


class Counts(Result):
    """Rows, and how often each step happened in them."""

    rows: int
    steps: dict[str, StepCount]


class CountsBySegment(Counts):
    """The same, altogether and by segment."""

    segments: dict[str, Counts] = Field(description="empty where the funnel has no segment")


class BeforeAndAfter(Result):
    """A split before and after downsampling."""

    before: CountsBySegment
    after: CountsBySegment


class SamplingReport(Result):
    """What downsampling did to train and validation; predictions are corrected by its keep rates."""

    positive_share: float | None = Field(description="lambda; null: every row is kept")
    seed: int
    keep_rates: KeepRates = Field(description="per_segment has every segment seen in train or validation")
    train: BeforeAndAfter
    valid: BeforeAndAfter


class FeatureDrift(Result):
    """How far the distribution of a feature in a split is from that in train."""

    psi: float = Field(description="population stability index, of samples")
    by_chance: float = Field(description="the index that samples of the same distribution show on average")
    level: Level


class StepDrift(Result):
    """How far the rate of a step in a split is from that in train, over all rows."""

    train_rate: float
    rate: float
    ratio: float = Field(description="rate / train_rate, smoothed")
    psi: float = Field(description="population stability index")
    by_chance: float = Field(description="the index that samples of the same rate show on average")
    level: Level


class SplitDrift(Result):
    """How far a split is from train."""

    rows: int = Field(description="of the sample that features are compared on")
    features: dict[str, FeatureDrift] = Field(description="largest index first; constant features are left out")
    steps: dict[str, StepDrift]


class DriftReport(Result):
    """How far validation and test are from train, before downsampling."""

    train_rows: int = Field(description="of the sample that features are compared on")
    splits: dict[str, SplitDrift] = Field(description="valid, test")


class CountCheck(Result):
    """One count of a published data set, beside what the run found."""

    what: str
    expected: int | str = Field(description="a number, or a bound such as 'at least 2'")
    found: int | None = Field(description="null: the run does not read it")
    matches: bool | None = Field(description="null: the run does not read it")


class CountsReport(Result):
    """Whether a published data set holds what it must; without arguments: nobody has looked."""

    source: str | None = Field(None, description="name of the data set; null: nothing is known of it")
    verdict: str = Field("not checked", description="a sentence")
    checks: tuple[CountCheck, ...] = ()


def step_counts(positives: Mapping[str, int], rows: int) -> dict[str, StepCount]:
    """Count and rate of each step among so many rows.

    Example:
        >>> step_counts({"click": 3}, rows=4)
        {'click': StepCount(positives=3, rate=0.75)}
    """
    return {step: StepCount(positives=count, rate=count / rows if rows else 0.0) for step, count in positives.items()}
