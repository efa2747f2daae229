"""Base class of all networks: what the training loop, which knows no model by name, asks of one."""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aitm_kedro.learning.layers.batch import ALL_ALIKE, Batch, LossWeights
from aitm_kedro.learning.layers.embedding import FeatureEmbedding

# B = rows of a batch, F = fields, T = steps

NEARLY_ONE = -1e-30
"""Largest log probability in a loss: above it the slope of log(1 - p) leaves the range of float32."""


class Network(nn.Module):
    """A network that predicts every step of the funnel, end to end from the impression.

    A subclass takes ``features``, ``steps`` and ``options`` by keyword, and writes ``forward``. It overrides
    ``loss`` and ``probabilities`` where its output is not logits of end-to-end probabilities, ``regularised`` where
    parameters beside the embeddings carry L2, and ``parts`` where it consists of independent networks.

    Attributes:
        paper: where the model comes from.
        steps: the T step names, in funnel order.
    """

    paper: ClassVar[str]

    def __init__(self, steps: Sequence[str]) -> None:
        super().__init__()
        self.steps = tuple(steps)

    def forward(self, batch: Batch) -> Tensor:
        """Predict a batch.

        Args:
            batch: B rows.

        Returns:
            float32 [B, T], which ``probabilities`` and ``loss`` understand; logits of the end-to-end probabilities
            unless the network overrides these two.
        """
        raise NotImplementedError

    def loss(self, output: Tensor, labels: Tensor, weights: LossWeights = ALL_ALIKE) -> Tensor:
        """What training minimises: a scalar, from the output [B, T] of ``forward`` and float labels [B, T]."""
        return cross_entropy(output, labels, weights)

    def probabilities(self, output: Tensor) -> Tensor:
        """End-to-end probabilities [B, T] from the output of ``forward``."""
        return torch.sigmoid(output)

    def parts(self) -> "list[Network]":
        """Networks to train one after another, each until its own steps get no better: this one as a whole."""
        return [self]

    def regularised(self) -> list[nn.Parameter]:
        """Parameters beside the embeddings that carry L2."""
        return []

    @property
    def reads_values(self) -> bool:
        """Whether a batch has to bring the values of numeric features."""
        return any(module.reads_values for module in self.modules() if isinstance(module, FeatureEmbedding))


def cross_entropy(logits: Tensor, labels: Tensor, weights: LossWeights = ALL_ALIKE) -> Tensor:
    """Cross-entropy summed over the steps, averaged over the rows (eq. 11), stable for any logit.

    Shape:
        logits, labels [B, T] -> scalar
    """
    summed = F.binary_cross_entropy_with_logits(logits, labels, weight=weights.matrix(), reduction="sum")
    return summed / len(logits)


def log_products(logits: Tensor) -> Tensor:
    """Logarithms of the products of conditional probabilities up to each step.

    Shape:
        logits of the conditional probabilities [B, T] -> [B, T]
    """
    return F.logsigmoid(logits).cumsum(1)


def product_cross_entropy(logits: Tensor, labels: Tensor, weights: LossWeights = ALL_ALIKE) -> Tensor:
    """``cross_entropy`` of the products of conditional probabilities, over all rows and not only where a step can be.

    Ma et al., "Entire Space Multi-Task Model", SIGIR 2018, https://doi.org/10.1145/3209978.3210104, equation 3.

    Shape:
        logits of the conditional probabilities, labels end to end: [B, T] -> scalar
    """
    log_p = log_products(logits).clamp_max(NEARLY_ONE)
    log_not_p = torch.log(-torch.expm1(log_p))
    likelihoods, matrix = labels * log_p + (1 - labels) * log_not_p, weights.matrix()
    return -(likelihoods if matrix is None else likelihoods * matrix).sum() / len(logits)
