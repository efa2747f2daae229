"""The history of a training: validations, what was chosen, time and size."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from pydantic import Field

from aitm_kedro.core.provenance import Provenance, Result
from aitm_kedro.learning.parameters import Criterion


class Validation(Result):
    """One look at validation during training.

    Attributes:
        epoch: epochs trained so far.
        rows: rows trained so far.
        seconds: of training so far, without validation.
        train_loss: mean since the last validation, nats a row.
        valid_auc: of each step; None where validation has one class.
        deciding: what early stopping looks at: a log loss (less is better), or an AUC, see ``History.decided_by``.
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
    steps: tuple[str, ...] = Field((), description="of a network that was trained as a whole")
    decided_by: Criterion | None = Field(None, description="what decided when to stop; None: not trained in epochs")
    deciding_steps: tuple[str, ...] = Field((), description="over which the mean is taken that decided")
    batch_size: int | None = Field(None, description="rows")
    best_epoch: float | None = Field(None, description="epochs (trees: rounds) of what was kept, mean over its parts")
    best_deciding: float | None = None
    epochs: float | None = None
    stopped_by: Literal["patience", "max_epochs"] | None = Field(
        None, description="why no more epochs followed; None: not trained in epochs, or not known (older files)"
    )
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

    @property
    def may_be_unfinished(self) -> bool:
        """Whether the last epoch that was allowed was the best one, so that more of them might have helped."""
        return self.stopped_by == "max_epochs" and bool(self.validations) and self.validations[-1].best


RANKS = 0.55
"""Mean AUC from which on a model can be said to rank, even if its probabilities are no better than constants."""


def what_may_help(*, reads_training: bool) -> str:
    """What to change where a run did not learn, as the end of a sentence.

    Args:
        reads_training: whether the parameter ``training`` counts as a whole, as it does for networks.
    """
    others = "other options of the model, or another model"
    if not reads_training:
        return others
    return f"a smaller training.batch_size or training.learning_rate, more training.max_epochs, {others}"


class RunHistory(Result):
    """The history of a run with one seed, and where it comes from."""

    run: str
    model: str
    seed: int
    history: History
    valid_auc: dict[str, float | None] = Field(
        description="AUC by step, on the rows of validation that had no say in training (validation.selection_share)"
    )
    valid_log_loss: dict[str, float] = Field(description="of the same rows, mean by their weights, nats")
    selection_rows: int | None = Field(None, description="how many these are; None: all (older files)")
    constant_log_loss: dict[str, float] = Field(
        description="of the best constant probabilities, which are the rates in these rows; by step, nats"
    )
    unknown_shares: dict[str, float] = Field(
        default_factory=dict,
        description="feature -> share of validation rows in which it is null, or holds no value that train has taught",
    )
    weights: str = Field(description="fingerprint of the trained model (learning.learner.Trained.fingerprint)")
    provenance: Provenance

    @property
    def learnt(self) -> bool:
        """Whether the probabilities say more of validation rows than constants do, over all steps together."""
        return sum(self.valid_log_loss.values()) < sum(self.constant_log_loss.values())

    @property
    def ranks(self) -> bool:
        """Whether it orders validation rows better than chance over all steps, whatever its probabilities are worth."""
        mean = mean_auc(self.valid_auc, self.valid_auc)
        return mean is not None and mean >= RANKS

    @property
    def main_auc(self) -> float | None:
        """Mean validation AUC of the funnel's main steps that have one."""
        return mean_auc(self.valid_auc, self.provenance.parameters["funnel"]["main_steps"])


def mean_auc(aucs: Mapping[str, float | None], steps: Iterable[str]) -> float | None:
    """Mean AUC of those of the steps that have one; None where none has.

    Example:
        >>> mean_auc({"click": 0.6, "buy": 0.8, "return": None}, ["buy", "return"])
        0.8
    """
    known = [auc for step in steps if (auc := aucs.get(step)) is not None]
    return sum(known) / len(known) if known else None
