"""ESMM for any number of steps: each tower predicts its step given the one before; products lead end to end.

Ma et al., "Entire Space Multi-Task Model", SIGIR 2018, https://doi.org/10.1145/3209978.3210104, equations 1 to 3, for
two steps; Wen et al., "Entire Space Multi-Task Modeling via Post-Click Behavior Decomposition", SIGIR 2020,
https://doi.org/10.1145/3397271.3401443, for longer chains. The loss looks at the products alone, over all impressions.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from aitm_kedro.learning.layers.embedding import Embedding, Ids
from aitm_kedro.learning.layers.grouped import Heads
from aitm_kedro.learning.layers.tower import Tower, build_towers
from aitm_kedro.learning.networks.base import Network, NetworkOptions

# B = rows of a batch, F = fields, T = tasks (steps)

NEARLY_ONE = -1e-30
"""Largest log probability in the loss: above it the slope of log(1 - p) leaves the range of float32."""


class ESMMOptions(NetworkOptions):
    """ESMM and ESM²."""

    tower: Tower = Tower()


class ESMM(Network):
    """Towers of conditional probabilities over shared embeddings.

    Shape:
        ids [B, F] -> logits [B, T] of p(step t | step t-1)
    """

    paper: ClassVar[str] = "https://doi.org/10.1145/3209978.3210104"
    Options: ClassVar[type[NetworkOptions]] = ESMMOptions

    def __init__(self, *, vocabulary_sizes: Sequence[int], steps: Sequence[str], options: ESMMOptions) -> None:
        super().__init__(steps)
        self.embedding = Embedding(vocabulary_sizes, dim=options.embedding_dim)
        self.towers = build_towers(vocabulary_sizes, options.embedding_dim, count=len(steps), options=options.tower)
        self.output = Heads(len(steps), options.tower.layers[-1])

    def forward(self, ids: Ids) -> Tensor:
        """Logits [B, T] of the conditional probabilities."""
        logits: Tensor = self.output(self.towers(ids, self.embedding(ids)))
        return logits

    def probabilities(self, output: Tensor) -> Tensor:
        """End-to-end probabilities [B, T]: products of the conditional ones."""
        return log_products(output).exp()

    def loss(self, output: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of the end-to-end probabilities, summed over the steps, averaged over the rows."""
        log_p = log_products(output).clamp_max(NEARLY_ONE)
        log_not_p = torch.log(-torch.expm1(log_p))
        return -(labels * log_p + (1 - labels) * log_not_p).sum() / len(output)


def log_products(logits: Tensor) -> Tensor:
    """Logarithms of the products of sigmoids up to each step.

    Shape:
        [B, T] -> [B, T]
    """
    return F.logsigmoid(logits).cumsum(1)
