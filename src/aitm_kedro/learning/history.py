"""The history of a training: validations, what was chosen, time and size."""

from typing import Any

from pydantic import Field

from aitm_kedro.core.provenance import Provenance, Result


class Validation(Result):
    """One look at validation during training.

    Attributes:
        epoch: epochs trained so far.
        rows: rows trained so far.
        seconds: of training so far, without validation.
        train_loss: mean since the last validation, nats a row.
        valid_auc: of each step; None where validation has one class.
        deciding: what early stopping looks at.
        best: whether it was the best so far.
    """

    epoch: float
    rows: int
    seconds: float
    train_loss: float
    valid_auc: dict[str, float | None]
    deciding: float
    best: bool


class History(Result):
    """How a training went; what a kind of learner has not is None or empty."""

    validations: tuple[Validation, ...] = ()
    main_steps: tuple[str, ...] = Field((), description="steps that decided when to stop")
    best_epoch: float | None = Field(None, description="epochs (trees: rounds) of what was kept, mean over its parts")
    best_deciding: float | None = None
    epochs: float | None = None
    seconds: float = Field(description="of training")
    seconds_per_epoch: float | None = None
    rows_per_second: float
    device: str = "cpu"
    precision: str = "float32"
    parameters: int = Field(description="numbers learnt")
    train_rows: int
    valid_rows: int
    chosen: dict[str, Any] = Field(
        default_factory=dict, description="what validation chose for each step, and the scores of all that was tried"
    )
    parts: dict[str, "History"] = Field(default_factory=dict, description="of independent networks, by their steps")


class RunHistory(Result):
    """The history of a run with one seed, and where it comes from."""

    run: str
    model: str
    seed: int
    history: History
    valid_auc: dict[str, float | None] = Field(description="AUC of what was kept on validation, by step")
    provenance: Provenance
