"""A network as weights, and back: everything needed to build it again travels with the tensors."""

import numpy as np
import torch
from pydantic import ValidationError

from aitm_kedro.core.errors import InputError
from aitm_kedro.learning.description import Description
from aitm_kedro.learning.networks import Network, build_model
from aitm_kedro.learning.networks.registry import find
from aitm_kedro.learning.weights import Weights


def build(description: Description) -> Network:
    """Build an untrained network from its description."""
    return build_model(
        description.model,
        vocabulary_sizes=description.vocabulary_sizes,
        steps=description.steps,
        options=find(description.model).Options.model_validate(description.options),
    )


def to_weights(model: Network, description: Description) -> Weights:
    """Take a network's state, bit by bit; parameters are float32 whatever precision it was trained in."""
    tensors = {name: tensor.detach().cpu().numpy() for name, tensor in model.state_dict().items()}
    return Weights(tensors=tensors, metadata=description.to_metadata())


def restore(weights: Weights) -> Network:
    """Rebuild a network from its weights alone, on the CPU, in evaluation mode.

    Raises:
        InputError: metadata or tensors are missing, unknown or of the wrong shape.
    """
    description = Description.from_metadata(weights)
    try:
        model = build(description)
    except (ValidationError, TypeError) as error:
        raise InputError(
            f"the weights of '{description.model}' were saved with options that this version does not know; train the "
            f"model again"
        ) from error
    _check_tensors(weights, model, name=description.model)
    state = {name: torch.from_numpy(np.array(tensor)) for name, tensor in weights.tensors.items()}
    model.load_state_dict(state)
    return model.eval()


def _check_tensors(weights: Weights, model: Network, *, name: str) -> None:
    expected = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
    missing, unknown = (
        sorted(expected.keys() - weights.tensors.keys()),
        sorted(weights.tensors.keys() - expected.keys()),
    )
    if missing or unknown:
        raise InputError(
            f"the weights of '{name}' lack tensors {missing} and have unknown tensors {unknown}; train the model again"
        )
    for key, shape in expected.items():
        if weights.tensors[key].shape != shape:
            raise InputError(
                f"tensor '{key}' in the weights of '{name}' has shape {weights.tensors[key].shape} instead of {shape}; "
                f"train the model again"
            )
