"""Named arrays in a safetensors file: numbers of a trained model, without code that runs when they are read."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from aitm_kedro.core.errors import InputError

TENSORS_FILE = "weights.safetensors"


def write_tensors(folder: Path, tensors: Mapping[str, np.ndarray]) -> None:
    """Write arrays into the folder of a model."""
    from safetensors.numpy import save_file

    save_file({name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}, folder / TENSORS_FILE)


def read_tensors(folder: Path, shapes: Mapping[str, tuple[int, ...]], *, model: str) -> dict[str, np.ndarray]:
    """Read the arrays of a model.

    Args:
        folder: of the model.
        shapes: name and shape of every array that the model needs.
        model: its name, for the sentence of an error.

    Raises:
        InputError: the file is damaged, or arrays are missing, unknown or of another shape.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = folder / TENSORS_FILE
    try:
        tensors: dict[str, np.ndarray] = load_file(path)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(
            f"the weights of '{model}' in '{path}' cannot be read: missing, cut short or damaged ({error}); train the "
            "model again"
        ) from error
    missing, unknown = sorted(shapes.keys() - tensors.keys()), sorted(tensors.keys() - shapes.keys())
    if missing or unknown:
        raise InputError(
            f"the weights of '{model}' lack tensors {missing} and have unknown tensors {unknown}; train the model again"
        )
    for name, shape in shapes.items():
        if tensors[name].shape != tuple(shape):
            raise InputError(
                f"tensor '{name}' in the weights of '{model}' has shape {tensors[name].shape} instead of "
                f"{tuple(shape)}; train the model again"
            )
    return tensors
