"""Parameters of training."""

from typing import Literal

from pydantic import Field

from aitm_kedro.core.parameters import Parameters


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
