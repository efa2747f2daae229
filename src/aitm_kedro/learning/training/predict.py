"""Predictions of a trained network."""

import numpy as np
import torch

from aitm_kedro.core.examples import Examples
from aitm_kedro.learning.networks.base import Network
from aitm_kedro.learning.training.batches import ordered_batches

# N = examples, T = steps

BATCH = 8192


def predict(model: Network, examples: Examples, *, batch_size: int = BATCH) -> np.ndarray:
    """Predict every example, in order, on the device where the model is.

    Args:
        model: left in the mode, training or evaluation, in which it came.
        examples: fields as the model was trained with.
        batch_size: changes speed and memory alone.

    Returns:
        End-to-end probabilities, float32 [N, T].
    """
    result = np.empty((len(examples), len(model.steps)), np.float32)
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        start = 0
        read = examples if model.reads_values else examples.without_values()
        for batch in ordered_batches(read, batch_size=batch_size, device=device):
            found = model.probabilities(model(batch)).cpu().numpy()
            result[start : start + len(found)] = found
            start += len(found)
    model.train(was_training)
    return result
