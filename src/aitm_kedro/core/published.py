"""What is known of a published data set: its counts, and what others reached on it."""

from pydantic import Field

from aitm_kedro.core.parameters import Parameters


class SplitCounts(Parameters):
    """What a split of a known source holds, before validation is taken off."""

    rows: int | None = None
    illegal: int | None = Field(None, description="rows that break the order of the steps")
    illegal_at_least: int | None = None
    positives: dict[str, int] = Field(default_factory=dict, description="step -> legal rows in which it happened")


class PublishedResult(Parameters):
    """AUCs on test that somebody reports."""

    by: str
    model: str
    auc: dict[str, float] = Field(description="step -> AUC, end to end from the impression")


class Published(Parameters):
    """What a published data set must hold, which the run checks, and what others reached on it."""

    source: str | None = Field(None, description="name of the data set; null: nothing is known")
    splits: dict[str, SplitCounts] = Field(default_factory=dict, description="by the value of split.column")
    vocabulary: dict[str, int] = Field(
        default_factory=dict, description="ids of each feature, id 0 included, under vocabulary.preset 'released'"
    )
    results: tuple[PublishedResult, ...] = Field((), description="beside which the comparison puts those of the run")
