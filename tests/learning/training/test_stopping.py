import numpy as np
import pytest
import torch
from tests.learning.training.conftest import STEPS

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.evaluation.recalibration import recalibrated_log_loss
from aitm_kedro.learning.training.stopping import EarlyStopping, Judge, Verdict, step_aucs


def _judge(criterion: str = "log_loss", **task_weights: float) -> Judge:
    return Judge(criterion, steps=STEPS, main_steps=("apply", "approve"), task_weights=task_weights)


def _predictions(valid: Examples) -> np.ndarray:
    return np.random.default_rng(0).random((len(valid), 3)).astype(np.float32)


@pytest.mark.parametrize(("task_weights", "shares"), [({}, [1, 1]), ({"apply": 3.0}, [3, 1]), ({"click": 9.0}, [1, 1])])
def test_auc_of_the_main_steps(valid: Examples, task_weights: dict, shares: list) -> None:
    predictions = _predictions(valid)
    aucs = step_aucs(valid, predictions)
    verdict = _judge("main_auc", **task_weights).judge(valid, predictions, aucs)
    assert (
        verdict.deciding == verdict.score == pytest.approx(np.average([aucs["apply"], aucs["approve"]], weights=shares))
    )


def test_log_loss_of_all_steps(valid: Examples) -> None:
    predictions = _predictions(valid)
    verdict = _judge(click=2.0).judge(valid, predictions, step_aucs(valid, predictions))
    losses = [recalibrated_log_loss(valid.labels[:, t], predictions[:, t]) for t in range(3)]
    assert verdict.deciding == -verdict.score == pytest.approx(np.average(losses, weights=[2, 1, 1]))
    assert not verdict.has_learnt  # what is drawn says less than a constant


def test_steps_of_one_class_do_not_count(valid: Examples) -> None:
    predictions = _predictions(valid)
    aucs = step_aucs(valid, predictions) | {"approve": None}
    assert _judge("main_auc").judge(valid, predictions, aucs).deciding == aucs["apply"]
    losses = [recalibrated_log_loss(valid.labels[:, t], predictions[:, t]) for t in range(2)]
    assert _judge().judge(valid, predictions, aucs).deciding == pytest.approx(np.mean(losses))


@pytest.mark.parametrize(
    ("criterion", "rows", "sentence"),
    [
        ("log_loss", 0, "validation split is empty"),
        ("log_loss", 1, "only one class of every step, so nothing can decide"),
        ("main_auc", 1, r"every step in funnel.main_steps \['apply', 'approve'\].* or name other main steps"),
    ],
)
def test_validation_that_cannot_decide(valid: Examples, criterion: str, rows: int, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        _judge(criterion).check(valid.take(np.arange(rows)))


def test_patience_begins_with_the_first_descent() -> None:
    """On the plateau that a mixture of experts starts from, no validation counts against it."""
    model, stopping = torch.nn.Linear(1, 1), EarlyStopping(patience=2)
    for epoch, loss in enumerate([1.0, 1.0001, 1.0002, 1.0003, 1.0004]):
        stopping.update(Verdict(loss, -loss, has_learnt=False), epoch=epoch, model=model)
    assert not stopping.exhausted
    for epoch, loss in enumerate([0.9, 0.91, 0.92], start=5):
        assert not stopping.exhausted
        stopping.update(Verdict(loss, -loss, has_learnt=True), epoch=epoch, model=model)
    assert stopping.exhausted
    assert (stopping.best_epoch, stopping.best.deciding) == (5, 0.9)
