"""What every network is to the training loop, which knows no model by name."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from aitm_kedro.core.parameters import Parameters
from aitm_kedro.learning.layers.embedding import Ids

# B = rows of a batch, F = fields, T = steps


class NetworkOptions(Parameters):
    """What every network can be told; a network's own options derive from it."""

    embedding_dim: int = Field(5, ge=1)


class Network(nn.Module):
    """A network that predicts every step of the funnel, end to end from the impression.

    A subclass takes ``vocabulary_sizes``, ``steps`` and ``options`` by keyword, and writes ``forward``. It overrides
    ``loss`` and ``probabilities`` where its output is not logits of end-to-end probabilities, ``regularised`` where
    parameters beside the embeddings carry L2, and ``parts`` where it consists of independent networks.

    Attributes:
        paper: where the model comes from.
        Options: class of its options, the value of its key in ``conf/*/parameters``.
        steps: the T step names, in funnel order.
    """

    paper: ClassVar[str]
    Options: ClassVar[type[NetworkOptions]]

    def __init__(self, steps: Sequence[str]) -> None:
        super().__init__()
        self.steps = tuple(steps)

    def forward(self, ids: Ids) -> Tensor:
        """Predict a batch.

        Args:
            ids: int32 or int64 [B, F], each field counting from 0; with list fields, see ``embedding.WithLists``.

        Returns:
            float32 [B, T], which ``probabilities`` and ``loss`` understand; logits of the end-to-end probabilities
            unless the network overrides these two.
        """
        raise NotImplementedError

    def loss(self, output: Tensor, labels: Tensor) -> Tensor:
        """What training minimises: a scalar, from the output [B, T] of ``forward`` and float labels [B, T]."""
        return cross_entropy(output, labels)

    def probabilities(self, output: Tensor) -> Tensor:
        """End-to-end probabilities [B, T] from the output of ``forward``."""
        return torch.sigmoid(output)

    def parts(self) -> "list[Network]":
        """Networks to train one after another, each until its own steps get no better: this one as a whole."""
        return [self]

    def regularised(self) -> list[nn.Parameter]:
        """Parameters beside the embeddings that carry L2."""
        return []


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy summed over the steps, averaged over the rows (eq. 11), stable for any logit.

    Shape:
        logits, labels [B, T] -> scalar
    """
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(logits)
