"""Trained models as numbers and text: what is kept of them on disk."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Named arrays of a trained model, with the text needed to build the model again: a safetensors file.

    Attributes:
        tensors: name -> array.
        metadata: name -> text, for instance the options as JSON.
    """

    tensors: Mapping[str, np.ndarray]
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Boosters:
    """Boosted trees of every step, with the text needed to use them: a folder of LightGBM's own text files.

    Attributes:
        texts: step -> model in LightGBM's text format.
        metadata: name -> text, for instance the options as JSON.
    """

    texts: Mapping[str, str]
    metadata: Mapping[str, str] = field(default_factory=dict)
