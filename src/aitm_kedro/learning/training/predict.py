"""Predictions of a trained network."""

import numpy as np
import torch

from aitm_kedro.core.examples import Examples
from aitm_kedro.learning.networks import Network
from aitm_kedro.learning.training.batches import ordered_ids

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
        for ids in ordered_ids(examples, batch_size=batch_size, device=device):
            found = model.probabilities(model(ids)).cpu().numpy()
            result[start : start + len(found)] = found
            start += len(found)
    model.train(was_training)
    return result
