"""What every network is to the training loop, which knows no model by name."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# B = rows of a batch, F = fields, T = steps


class Network(nn.Module):
    """A network that predicts every step of the funnel, end to end from the impression.

    A subclass writes ``forward``. It overrides ``loss`` and ``probabilities`` where its output is not logits, and
    ``regularised`` where parameters beside the embeddings carry L2.

    Attributes:
        paper: where the model comes from.
        steps: the T step names, in funnel order.
    """

    paper: ClassVar[str]

    def __init__(self, steps: Sequence[str]) -> None:
        super().__init__()
        self.steps = tuple(steps)

    def forward(self, ids: Tensor) -> Tensor:
        """Predict a batch.

        Args:
            ids: int32 or int64 [B, F], each field counting from 0.

        Returns:
            Logits, float32 [B, T], of the end-to-end probabilities.
        """
        raise NotImplementedError

    def loss(self, output: Tensor, labels: Tensor) -> Tensor:
        """What training minimises: a scalar, from the output [B, T] of ``forward`` and float labels [B, T]."""
        return cross_entropy(output, labels)

    def probabilities(self, output: Tensor) -> Tensor:
        """End-to-end probabilities [B, T] from the output of ``forward``."""
        return torch.sigmoid(output)

    def regularised(self) -> list[nn.Parameter]:
        """Parameters beside the embeddings that carry L2."""
        return []


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy summed over the steps, averaged over the rows (eq. 11), stable for any logit.

    Shape:
        logits, labels [B, T] -> scalar
    """
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="sum") / len(logits)
