"""From encoded examples to weights, and from weights to predictions: what the modelling nodes call."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.learning.description import check_fits, check_ids, describe
from aitm_kedro.learning.networks import Network
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.training.checkpoint import build, restore, to_weights
from aitm_kedro.learning.training.devices import choose_device, cpu_threads
from aitm_kedro.learning.training.loop import fit
from aitm_kedro.learning.training.predict import predict
from aitm_kedro.learning.weights import Weights

logger = logging.getLogger(__name__)

# N = examples, T = steps


def train_network(
    name: str,
    train: Examples,
    valid: Examples,
    *,
    vocabulary_sizes: Sequence[int],
    main_steps: Sequence[str],
    options: Parameters,
    training: Training,
    seed: int,
) -> tuple[Weights, dict[str, Any]]:
    """Build and train a registered network.

    Args:
        name: of the network.
        train: what to learn from.
        valid: what decides when to stop.
        vocabulary_sizes: ids of each field, id 0 included.
        main_steps: steps that decide.
        options: of the network.
        training: of the loop.
        seed: of everything drawn: first weights, order of the rows, dropout.

    Returns:
        The weights of the best validation, and the history.

    Raises:
        InputError: see ``training.loop.fit``.
    """
    choose_device(training.device)  # complains before anything is built
    for examples in (train, valid):
        check_ids(examples, vocabulary_sizes)
    torch.manual_seed(seed)
    description = describe(
        name, options=options, steps=train.steps, fields=train.fields, vocabulary_sizes=vocabulary_sizes
    )
    model = build(description)
    logger.info("training '%s' with seed %d on %s rows", name, seed, f"{len(train):,}")
    _check_parts(model, valid, name=name)
    histories = [
        fit(
            part,
            train.of_steps(part.steps),
            valid.of_steps(part.steps),
            options=training,
            main_steps=[step for step in main_steps if step in part.steps] or part.steps,
            seed=seed,
        )
        for part in model.parts()
    ]
    history = histories[0] if len(histories) == 1 else _sum_up(histories)
    return to_weights(model.eval(), description), {"model": name, **history}


def _check_parts(model: Network, valid: Examples, *, name: str) -> None:
    """Independent networks stop on their own steps, so validation must be able to score each of them."""
    if len(model.parts()) == 1:
        return
    for step in valid.steps_of_one_class():
        raise InputError(
            f"validation has only one class of '{step}', so nothing can say when the network of that step in '{name}' "
            f"has learnt enough; give split more validation rows, take the step out of funnel.steps, or '{name}' out "
            f"of MODELS in settings.py"
        )


def _sum_up(histories: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """One history of independent networks, each with its own under "parts"; an epoch is one of each."""
    mean = {name: float(np.mean([history[name] for history in histories])) for name in ("epochs", "best_epoch")}
    seconds, per_epoch, parameters = (
        sum(history[name] for history in histories) for name in ("seconds", "seconds_per_epoch", "parameters")
    )
    common = ("device", "precision", "train_rows", "valid_rows", "seed")
    return {
        "parts": {", ".join(history["main_steps"]): history for history in histories},
        **mean,
        "seconds": round(seconds, 3),
        "seconds_per_epoch": round(per_epoch, 3),
        "rows_per_second": round(histories[0]["train_rows"] / per_epoch, 1),
        "parameters": parameters,
        **{name: histories[0][name] for name in common},
    }


def predict_with_network(weights: Weights, examples: Examples, *, training: Training) -> np.ndarray:
    """Predictions of a trained network, float32 [N, T].

    Raises:
        InputError: the weights are damaged, or were trained on other fields or steps than the examples have.
    """
    check_fits(weights, examples)
    with cpu_threads(training.threads):
        return predict(restore(weights).to(choose_device(training.device)), examples)
