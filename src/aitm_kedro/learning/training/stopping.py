"""When to validate, which validation decides, and when to stop."""

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
from torch import Tensor, nn

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.learning.history import History

# N = examples, T = steps


class EarlyStopping:
    """Keeps the best state of a model and counts validations since.

    Args:
        patience: validations without a better one before ``exhausted``.
    """

    def __init__(self, *, patience: int) -> None:
        self.patience = patience
        self.best: float | None = None
        self.best_epoch: float | None = None
        self.since = 0
        self._state: dict[str, Tensor] = {}

    def update(self, deciding: float, *, epoch: float, model: nn.Module) -> bool:
        """Note a validation; True if it is the best so far."""
        if self.best is not None and deciding <= self.best:
            self.since += 1
            return False
        self.best, self.best_epoch, self.since = deciding, epoch, 0
        self._state = {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}
        return True

    @property
    def exhausted(self) -> bool:
        """Whether patience has run out."""
        return self.since >= self.patience

    def restore(self, model: nn.Module) -> None:
        """Put the best state back."""
        model.load_state_dict(self._state)


def validation_marks(*, batches: int, max_epochs: int, validate_every: float) -> list[int]:
    """Counts of batches after which to validate, the last of all included.

    Args:
        batches: of one epoch.
        max_epochs: epochs at most.
        validate_every: epochs between two validations.

    Example:
        >>> validation_marks(batches=10, max_epochs=2, validate_every=0.75)
        [8, 15, 20]
    """
    last = batches * max_epochs
    times = ceil(max_epochs / validate_every)
    return sorted({min(ceil(round(k * validate_every * batches, 6)), last) for k in range(1, times + 1)} | {last})


def describe_cap(histories: Sequence[History], *, model: str, seed: int, max_epochs: int) -> str | None:
    """A sentence on networks whose best epoch is the last one allowed; None if there are none.

    Args:
        histories: of a model's independent networks, one for most models.
        model: its name.
        seed: of the training.
        max_epochs: epochs that were allowed.
    """
    capped = [history for history in histories if history.may_be_unfinished]
    if not capped:
        return None
    which = f"'{model}' with seed {seed}"
    if len(histories) > 1:
        which += f" (its network{'s' * (len(capped) > 1)} of {', '.join(', '.join(h.main_steps) for h in capped)})"
    return (
        f"{which} may not have finished learning: the last epoch that training.max_epochs ({max_epochs}) allows was "
        f"its best on validation; raise training.max_epochs."
    )


def check_can_decide(valid: Examples, main_steps: Sequence[str]) -> None:
    """Make sure that validation can score a main step.

    Raises:
        InputError: it cannot, or there are no rows.
    """
    if not len(valid):
        raise InputError("the validation split is empty; change the shares or dates under split")
    if set(main_steps) <= set(valid.steps_of_one_class()):
        raise InputError(
            f"validation has only one class of every step in funnel.main_steps {list(main_steps)}, so no AUC can "
            f"decide when to stop; give split more validation rows or name other main steps"
        )


def check_can_learn(train: Examples) -> None:
    """Make sure that there is something to learn from.

    Raises:
        InputError: train is empty, or lacks positives of a step.
    """
    if not len(train):
        raise InputError("the train split is empty; change the shares or dates under split")
    labels = train.counted_labels
    missing = [step for t, step in enumerate(train.steps) if not labels[:, t].any()]
    if missing:
        raise InputError(
            f"the train split has no positives of {missing}; take these out of funnel.steps or train on more rows"
        )


def step_aucs(examples: Examples, predictions: np.ndarray) -> dict[str, float | None]:
    """AUC of every step, from predictions [N, T]; None where one class is absent."""
    labels, weights = examples.labels, examples.row_weights
    return {step: auc(labels[:, t], predictions[:, t], weights) for t, step in enumerate(examples.steps)}


def deciding_metric(
    aucs: Mapping[str, float | None], main_steps: Sequence[str], task_weights: Mapping[str, float] | None = None
) -> float:
    """Mean AUC of the main steps that have one, by the weights of their tasks (1 where a step has none)."""
    known = [step for step in main_steps if aucs[step] is not None]
    values = np.array([aucs[step] for step in known], np.float64)
    if not task_weights:
        return float(values.mean())
    return float(np.average(values, weights=[task_weights.get(step, 1.0) for step in known]))
