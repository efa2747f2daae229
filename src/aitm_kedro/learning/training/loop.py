"""The training loop. It knows no model by name: what to minimise and what to predict is the network's own affair."""

import logging
from collections.abc import Iterator, Sequence
from itertools import islice
from math import ceil, isfinite

import torch
from torch import Tensor

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.progress import Progress
from aitm_kedro.learning.history import History, Validation
from aitm_kedro.learning.layers.batch import LossWeights
from aitm_kedro.learning.networks.base import Network
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.training.averaging import WeightAverage
from aitm_kedro.learning.training.batches import CHUNK, Labelled, shuffled_batches
from aitm_kedro.learning.training.devices import autocast, choose_device, cpu_threads, keep_freed_memory
from aitm_kedro.learning.training.optimisers import Optimiser
from aitm_kedro.learning.training.predict import predict
from aitm_kedro.learning.training.stopping import (
    EarlyStopping,
    Judge,
    check_can_learn,
    step_aucs,
    validation_marks,
)

logger = logging.getLogger(__name__)


def fit(
    model: Network,
    train: Examples,
    valid: Examples,
    *,
    options: Training,
    main_steps: Sequence[str],
    seed: int,
) -> History:
    """Train a network in place; it ends with the state of its best validation, on the CPU, in evaluation mode.

    Args:
        model: freshly built, or to be trained further.
        train: what to learn from.
        valid: what decides when to stop and which state is best, by ``options.stop_on``.
        options: of the loop.
        main_steps: those of the network's steps that decide where the AUC does.
        seed: of shuffling and dropout. The same seed gives the same numbers on the same machine with as many threads;
            on CUDA up to the order of atomic additions.

    Returns:
        The history: every validation, the best epoch, speed and sizes.

    Raises:
        InputError: a split is empty or has no positives of a step, validation cannot decide, the device is not there,
            or the loss is no longer finite.
    """
    judge = Judge(options.stop_on, steps=model.steps, main_steps=main_steps, task_weights=options.task_weights)
    check_can_learn(train)
    judge.check(valid)
    run = _Run(model, train, valid, options=options, judge=judge, seed=seed)
    with cpu_threads(options.threads):
        keep_freed_memory()
        run.train_until_stopped()
    return run.history()


class _Run:
    """One training of one network."""

    def __init__(
        self,
        model: Network,
        train: Examples,
        valid: Examples,
        *,
        options: Training,
        judge: Judge,
        seed: int,
    ) -> None:
        self.device = choose_device(options.device)
        self.model = model.to(self.device)
        self.train, self.valid = (
            examples if model.reads_values else examples.without_values() for examples in (train, valid)
        )
        self.options, self.judge, self.seed = options, judge, seed
        self.batch_size = options.rows_in_batch(len(train))
        self.batches_an_epoch = ceil(len(train) / self.batch_size)
        self.average = (
            WeightAverage(self.model, epochs=options.average, batches=self.batches_an_epoch)
            if options.average
            else None
        )
        self.optimiser = Optimiser(self.model, options=options)
        self.stopping = EarlyStopping(patience=options.patience)
        self.progress = Progress(
            what=f"training, at most {options.max_epochs} epochs", unit="rows", total=options.max_epochs * len(train)
        )
        self.validations: list[Validation] = []
        weights = [options.task_weight(step) for step in model.steps]
        self.task_weights = torch.tensor(weights, device=self.device) if set(weights) != {1.0} else None

    @property
    def judged(self) -> Network:
        """The network whose predictions count: that of the averaged weights, if they are averaged."""
        return self.model if self.average is None else self.average.network

    @property
    def epoch(self) -> float:
        """Epochs trained so far."""
        return self.progress.done / len(self.train)

    def train_until_stopped(self) -> None:
        """Train until patience or epochs run out, then restore the best state."""
        torch.manual_seed(self.seed)
        batches, done = self._batches(), 0
        for mark in self._marks():
            loss = self._train_on(islice(batches, mark - done))
            done = mark
            self._validate(loss)
            if self.stopping.exhausted:
                break
        self.optimiser.release()
        self.stopping.restore(self.model)
        self.model.cpu().eval()

    def history(self) -> History:
        """What happened."""
        return History(
            validations=tuple(self.validations),
            steps=tuple(self.model.steps),
            decided_by=self.judge.criterion,
            deciding_steps=self.judge.steps,
            batch_size=self.batch_size,
            best_epoch=self.stopping.best_epoch,
            best_deciding=self.stopping.best and self.stopping.best.deciding,
            epochs=round(self.epoch, 6),
            stopped_by="patience" if self.stopping.exhausted else "max_epochs",
            seconds=round(self.progress.seconds, 3),
            seconds_per_epoch=round(self.progress.seconds / self.epoch, 3),
            rows_per_second=round(self.progress.rate, 1),
            device=str(self.device),
            precision=self.options.precision,
            parameters=sum(parameter.numel() for parameter in self.model.parameters()),
            train_rows=len(self.train),
            valid_rows=len(self.valid),
        )

    def _marks(self) -> list[int]:
        return validation_marks(
            batches=self.batches_an_epoch,
            max_epochs=self.options.max_epochs,
            validate_every=self.options.validate_every,
        )

    def _batches(self) -> Iterator[Labelled]:
        generator = torch.Generator().manual_seed(self.seed)
        for _ in range(self.options.max_epochs):
            yield from shuffled_batches(self.train, batch_size=self.batch_size, generator=generator, device=self.device)

    def _train_on(self, batches: Iterator[Labelled]) -> float:
        """Train on some batches; mean loss over their rows."""
        self.model.train()
        self.progress.resume()
        total, rows = 0.0, 0
        while chunk := list(islice(batches, CHUNK)):
            losses = [self._step(labelled) * len(labelled.labels) for labelled in chunk]
            total += self._finite(torch.stack(losses).sum().item())  # the one place where the CPU waits for a GPU
            trained = sum(len(labelled.labels) for labelled in chunk)
            rows += trained
            best = "none yet" if self.stopping.best is None else f"{self.stopping.best.deciding:.4f}"
            self.progress.advance(trained, suffix=f"loss {total / rows:.5f}, best validation {best}")
        return total / rows

    def _step(self, labelled: Labelled) -> Tensor:
        """One step of the optimiser; the loss before it."""
        self.optimiser.zero_grad()
        weights = LossWeights(labelled.row_weights, self.task_weights)
        with autocast(self.device, self.options.precision):
            loss = self.model.loss(self.model(labelled.batch), labelled.labels, weights)
        loss.backward()
        self.optimiser.step()
        if self.average is not None:
            self.average.update()
        return loss.detach()

    def _finite(self, loss: float) -> float:
        if isfinite(loss):
            return loss
        raise InputError(
            f"training diverged: the loss is {loss} after {self.epoch:.2f} epochs; lower "
            f"training.learning_rate ({self.options.learning_rate})"
        )

    def _validate(self, loss: float) -> None:
        predictions = predict(self.judged, self.valid)
        aucs = step_aucs(self.valid, predictions)
        verdict = self.judge.judge(self.valid, predictions, aucs)
        epoch = round(self.epoch, 6)
        best = self.stopping.update(verdict, epoch=epoch, model=self.judged)
        self.validations.append(
            Validation(
                epoch=epoch,
                rows=int(self.progress.done),
                seconds=round(self.progress.seconds, 3),
                train_loss=loss,
                valid_auc=aucs,
                deciding=verdict.deciding,
                best=best,
            )
        )
        logger.info(
            "epoch %.2f: loss %.5f, validation %s %.4f%s, %s rows/s",
            epoch,
            loss,
            self.judge.what,
            verdict.deciding,
            ", the best so far" if best else "",
            f"{self.progress.rate:,.0f}",
        )
