"""When to validate, what decides which validation is best, and when to stop."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import NamedTuple

import numpy as np
from torch import Tensor, nn

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.evaluation.recalibration import recalibrated_log_loss
from aitm_kedro.learning.history import History
from aitm_kedro.learning.parameters import Criterion

# N = examples, T = steps


PLATEAU = 1e-3
"""Share of the constants' log loss by which a network must have come below it before patience begins to count."""


class Verdict(NamedTuple):
    """What a validation says.

    Attributes:
        deciding: of the criterion, as it is read: a log loss, or an AUC.
        score: the same so that more is better.
        has_learnt: False on the plateau that training starts from, where constants predict as well.
    """

    deciding: float
    score: float
    has_learnt: bool


class Judge:
    """Judges predictions on validation, by one criterion.

    Args:
        criterion: ``log_loss``: mean over all steps of the recalibrated log loss, as a share of that of constants;
            ``main_auc``: mean AUC of the main steps. Means are weighted by ``task_weights``.
        steps: of the network.
        main_steps: of the funnel, those among ``steps``.
        task_weights: 1 where a step has none.
    """

    def __init__(
        self,
        criterion: Criterion,
        *,
        steps: Sequence[str],
        main_steps: Sequence[str],
        task_weights: Mapping[str, float],
    ) -> None:
        self.criterion, self.task_weights = criterion, task_weights
        self.steps = tuple(steps if criterion == "log_loss" else main_steps)

    @property
    def what(self) -> str:
        """What decides, for the log: "log loss (mean of click, buy)"."""
        name = "log loss" if self.criterion == "log_loss" else "AUC"
        return f"{name} (mean of {', '.join(self.steps)})"

    def check(self, valid: Examples) -> None:
        """Make sure that validation can decide.

        Raises:
            InputError: there are no rows, or only one class of each step that decides.
        """
        if not len(valid):
            raise InputError("the validation split is empty; change the shares or dates under split")
        if set(self.steps) <= set(valid.steps_of_one_class()):
            wanted = "step" if self.criterion == "log_loss" else f"step in funnel.main_steps {list(self.steps)}"
            other = "" if self.criterion == "log_loss" else " or name other main steps"
            raise InputError(
                f"validation has only one class of every {wanted}, so nothing can decide when to stop; give split more "
                f"validation rows{other}"
            )

    def judge(self, valid: Examples, predictions: np.ndarray, aucs: Mapping[str, float | None]) -> Verdict:
        """Judge predictions [N, T] of all steps of ``valid``, whose AUCs are known; steps of one class do not count."""
        known = [step for step in self.steps if aucs[step] is not None]
        weights = [self.task_weights.get(step, 1.0) for step in known]
        if self.criterion == "main_auc":
            auc = float(np.average([aucs[step] for step in known], weights=weights))
            return Verdict(auc, auc, has_learnt=True)
        places = [valid.steps.index(step) for step in known]
        losses = [recalibrated_log_loss(valid.labels[:, t], predictions[:, t], valid.row_weights) for t in places]
        loss = float(np.average(losses, weights=weights))
        return Verdict(loss, -loss, has_learnt=loss < 1 - PLATEAU)


class EarlyStopping:
    """Keeps the best state of a model and counts validations since; on the plateau before learning none counts.

    Args:
        patience: validations without a better one before ``exhausted``.
    """

    def __init__(self, *, patience: int) -> None:
        self.patience = patience
        self.best: Verdict | None = None
        self.best_epoch: float | None = None
        self.since = 0
        self._state: dict[str, Tensor] = {}

    def update(self, verdict: Verdict, *, epoch: float, model: nn.Module) -> bool:
        """Note a validation; True if it is the best so far."""
        if self.best is not None and verdict.score <= self.best.score:
            self.since += self.best.has_learnt
            return False
        self.best, self.best_epoch, self.since = verdict, epoch, 0
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
        which += f" (its network{'s' * (len(capped) > 1)} of {', '.join(', '.join(h.steps) for h in capped)})"
    return (
        f"{which} may not have finished learning: the last epoch that training.max_epochs ({max_epochs}) allows was "
        f"its best on validation; raise training.max_epochs."
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
