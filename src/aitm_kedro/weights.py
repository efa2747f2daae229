"""A trained model as tensors and text: what a safetensors file holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Named arrays of a trained model, with the text needed to build the model again.

    Attributes:
        tensors: name -> array.
        metadata: name -> text, for instance the options as JSON.
    """

    tensors: Mapping[str, np.ndarray]
    metadata: Mapping[str, str] = field(default_factory=dict)
