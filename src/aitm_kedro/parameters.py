"""Typed parameters: one class for each top-level key under ``conf/*/parameters``; models have theirs in their files.

Defaults are the paper's settings. Keys are replaced as a whole by an environment (Kedro's rule), so that what an
environment's key leaves out takes the default given here, never a value of another environment.
"""

from datetime import datetime
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from aitm_kedro.funnel import IMPRESSION_ID, Funnel, oracle_column

__all__ = [
    "FILTERS",
    "MACHINE",
    "AliCCPFiles",
    "Evaluation",
    "Features",
    "Funnel",
    "Ingestion",
    "Labels",
    "ListFeature",
    "Parameters",
    "Published",
    "PublishedResult",
    "Reporting",
    "Sampling",
    "Split",
    "SplitCounts",
    "Training",
    "VocabularyOptions",
]


MACHINE = ("device", "threads")
"""Fields that say where a model is trained, not what comes out."""


class Parameters(BaseModel):
    """Base of all parameter classes: unknown keys are errors, values never change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ListFeature(Parameters):
    """A column with a list of values in each row; a bare name such as ``- tags`` is one without weights."""

    name: str
    weights: str | None = Field(None, description="column with a list of weights, as long as that of the values")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value


class Features(Parameters):
    """What the models may look at."""

    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    lists: tuple[ListFeature, ...] = Field((), description="several values a row; a model sees their (weighted) mean")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        names = self.names
        if not names:
            raise ValueError(
                "features names no column; list some under features.categorical, features.numeric or features.lists"
            )
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"features names {twice} more than once")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Every feature, in the order of the fields of the encoded examples."""
        return self.categorical + self.numeric + tuple(feature.name for feature in self.lists)

    @property
    def weights(self) -> tuple[str, ...]:
        """Columns with the weights of lists."""
        return tuple(feature.weights for feature in self.lists if feature.weights is not None)

    def forbid_labels(self, funnel: Funnel) -> None:
        """Raise ValueError if a feature would tell a model the answer."""
        for name in self.names + self.weights:
            if name in funnel.steps or name in {f"{step}_time" for step in funnel.steps}:
                raise ValueError(f"features names '{name}', which is a label of the funnel; take it out")
            if name.startswith(oracle_column("")):
                raise ValueError(f"features names '{name}'; columns 'oracle_*' hold the truth; take it out")
            if name == IMPRESSION_ID:
                raise ValueError(f"features names '{name}', which is different in every row; take it out")


class Ingestion(Parameters):
    """How the raw table becomes ``impressions``."""

    rename: dict[str, str] = Field(default_factory=dict, description="{name here: name in the raw table}")
    labels_from: Literal["auto", "columns", "times"] = Field(
        "auto", description="0/1 columns named as the steps, '<step>_time' columns, or whichever is there"
    )


class Labels(Parameters):
    """What happens to impressions whose labels break y_1 >= ... >= y_T or whose event times go backwards."""

    policy: Literal["drop", "truncate", "promote", "fail"] = "drop"


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


class AliCCPFiles(Parameters):
    """Where the files of Ali-CCP are, and how they are read (conf/ali_ccp)."""

    folder: str = "data/01_raw/ali_ccp"
    max_values: int | None = Field(
        None, ge=1, description="of a multi-valued field, the heaviest values that a row keeps; null: all"
    )
    max_unreadable: float = Field(0.001, ge=0, lt=1, description="share of a file's lines that may be unreadable")


class Training(Parameters):
    """The training loop, the same for every network (paper, Table 4)."""

    batch_size: int = Field(2000, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    l2: float = Field(1e-6, ge=0, description="of 1/2 |w|^2 on embeddings and attention matrices")
    embedding_updates: Literal["lazy", "dense"] = Field(
        "lazy", description="Adam on the rows of a batch alone, or on the whole table at each step"
    )
    max_epochs: int = Field(20, ge=1)
    validate_every: float = Field(1.0, gt=0, le=1, description="epochs between two validations")
    patience: int = Field(3, ge=1, description="validations without a better one before training stops")
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int | None = Field(None, ge=1, description="CPU threads; null: all cores")


class Evaluation(Parameters):
    """Metrics on the test split."""

    confidence: float = Field(0.95, gt=0, lt=1, description="level of the intervals")
    calibration_bins: int = Field(20, ge=2, description="bins of equal size of the expected calibration error")
    min_segment_positives: int = Field(10, ge=1, description="segments with fewer get no AUC of their own")


class Reporting(Parameters):
    """Figures."""

    tsne_rows: int = Field(500, ge=10, description="positives and negatives a step, at most")
    transfer_rows: int = Field(500, ge=4, description="rows a label group in the transfer figure, at most")
    seed: int = 0
