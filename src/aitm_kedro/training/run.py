"""From encoded examples to weights, and from weights to predictions: what the modelling nodes call."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from aitm_kedro.description import check_fits, check_ids, describe
from aitm_kedro.examples import Examples
from aitm_kedro.parameters import Parameters, Training
from aitm_kedro.training.checkpoint import build, restore, to_weights
from aitm_kedro.training.devices import choose_device, cpu_threads
from aitm_kedro.training.loop import fit
from aitm_kedro.training.predict import predict
from aitm_kedro.weights import Weights

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
    history = fit(model, train, valid, options=training, main_steps=main_steps, seed=seed)
    return to_weights(model, description), {"model": name, **history}


def predict_with_network(weights: Weights, examples: Examples, *, training: Training) -> np.ndarray:
    """Predictions of a trained network, float32 [N, T].

    Raises:
        InputError: the weights are damaged, or were trained on other fields or steps than the examples have.
    """
    check_fits(weights, examples)
    with cpu_threads(training.threads):
        return predict(restore(weights).to(choose_device(training.device)), examples)
