"""Parameters of training."""

from typing import Literal

from pydantic import Field, PositiveFloat

from aitm_kedro.core.parameters import Parameters


class Training(Parameters):
    """The training of networks (paper, Table 4); ``task_weights`` count for every kind of learner."""

    batch_size: int = Field(2000, ge=1)
    learning_rate: float = Field(1e-3, gt=0)
    l2: float = Field(1e-6, ge=0, description="of 1/2 |w|^2 on embeddings and attention matrices")
    task_weights: dict[str, PositiveFloat] = Field(
        default_factory=dict,
        description="step -> its weight in the loss, and among the main steps in early stopping; not named: 1",
    )
    embedding_updates: Literal["lazy", "dense"] = Field(
        "lazy", description="Adam on the rows of a batch alone, or on the whole table at each step"
    )
    max_epochs: int = Field(20, ge=1)
    validate_every: float = Field(1.0, gt=0, le=1, description="epochs between two validations")
    patience: int = Field(3, ge=1, description="validations without a better one before training stops")
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    threads: int | None = Field(None, ge=1, description="CPU threads; null: all cores")

    def task_weight(self, step: str) -> float:
        """Weight of a step; 1 if it has none of its own."""
        return self.task_weights.get(step, 1.0)
