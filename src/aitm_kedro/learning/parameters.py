"""Parameters of training."""

from typing import Any, ClassVar, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from aitm_kedro.core.parameters import BY_PRESET, Parameters, PresetParameters

Preset = Literal["tuned", "paper"]

Criterion = Literal["log_loss", "main_auc"]

SMALLEST_BATCH, LARGEST_BATCH, STEPS_AN_EPOCH = 256, 2000, 2000
"""Of batches that follow the number of rows; the largest is the paper's."""


class ValidationOptions(Parameters):
    """The parameter ``validation``: which rows of validation stop the learners, and which compare them."""

    selection_share: float = Field(
        0.5,
        ge=0,
        lt=1,
        description="of the rows: they stop no training; blends are weighted, and runs chosen, on them; 0: all do both",
    )
    by: Literal["auto", "time", "hash"] = Field(
        "auto", description="time: the latest rows select; hash: of their ids; auto: by time where the split goes by it"
    )


class Rolling(Parameters):
    """The parameter ``rolling``: validation in several windows, one after another in time."""

    windows: int = Field(3, ge=2, description="each as long as validation, the last of them validation itself")


class Training(PresetParameters):
    """The training of networks; ``task_weights`` count for every kind of learner.

    The preset ``paper`` is Table 4 of the paper, with what it is silent on as in the authors' release. ``tuned``
    deviates from it in four ways, chosen on the validation splits of the logs in docs/accuracy.md: smaller batches
    where there are few rows, a moving average of the weights, validation four times an epoch, and a stop by the log
    loss of all steps.
    """

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "tuned": {"batch_size": "auto", "average": 0.5, "stop_on": "log_loss", "validate_every": 0.25, "patience": 8},
        "paper": {"batch_size": 2000, "average": 0.0, "stop_on": "main_auc", "validate_every": 1.0, "patience": 3},
    }

    preset: Preset = "tuned"
    batch_size: PositiveInt | Literal["auto"] = Field(
        BY_PRESET, description="auto: 2000 batches an epoch, of 256 to 2000 rows"
    )
    learning_rate: float = Field(1e-3, gt=0)
    l2: float = Field(1e-6, ge=0, description="of 1/2 |w|^2 on embeddings and attention matrices")
    average: float = Field(
        BY_PRESET, ge=0, description="epochs that the exponential moving average of the weights looks back; 0: none"
    )
    task_weights: dict[str, PositiveFloat] = Field(
        default_factory=dict,
        description="step -> its weight in the loss and in what decides when to stop; not named: 1",
    )
    embedding_updates: Literal["lazy", "dense"] = Field(
        "lazy", description="Adam on the rows of a batch alone, or on the whole table at each step"
    )
    max_epochs: int = Field(20, ge=1)
    stop_on: Criterion = Field(
        BY_PRESET, description="log loss of all steps, recalibrated, or mean AUC of the main steps, in validation"
    )
    validate_every: float = Field(BY_PRESET, gt=0, le=1, description="epochs between two validations")
    patience: int = Field(BY_PRESET, ge=1, description="validations without a better one before training stops")
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int | None = Field(None, ge=1, description="CPU threads; null: all cores")

    def task_weight(self, step: str) -> float:
        """Weight of a step; 1 if it has none of its own."""
        return self.task_weights.get(step, 1.0)

    def rows_in_batch(self, rows: int) -> int:
        """Rows of a batch, where there are so many to train on.

        Example:
            >>> [Training().rows_in_batch(rows) for rows in (50_000, 1_000_000, 10_000_000)]
            [256, 500, 2000]
        """
        if self.batch_size != "auto":
            return self.batch_size
        return min(max(rows // STEPS_AN_EPOCH, SMALLEST_BATCH), LARGEST_BATCH)
