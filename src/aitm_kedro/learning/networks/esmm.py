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

from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.learning.layers.batch import ALL_ALIKE, Batch, LossWeights
from aitm_kedro.learning.layers.embedding import FeatureEmbedding
from aitm_kedro.learning.layers.grouped import Heads
from aitm_kedro.learning.layers.tower import build_towers
from aitm_kedro.learning.network_options import ESMMOptions
from aitm_kedro.learning.networks.base import Network

# B = rows of a batch, F = fields, T = tasks (steps)

NEARLY_ONE = -1e-30
"""Largest log probability in the loss: above it the slope of log(1 - p) leaves the range of float32."""


class ESMM(Network):
    """Towers of conditional probabilities over shared embeddings.

    Shape:
        batch of B rows -> logits [B, T] of p(step t | step t-1)
    """

    paper: ClassVar[str] = "https://doi.org/10.1145/3209978.3210104"

    def __init__(self, *, features: Sequence[FeatureSpec], steps: Sequence[str], options: ESMMOptions) -> None:
        super().__init__(steps)
        self.embedding = FeatureEmbedding(features, dim=options.embedding_dim, numeric=options.numeric)
        self.towers = build_towers(self.embedding, count=len(steps), options=options.tower)
        self.output = Heads(len(steps), options.tower.layers[-1])

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, T] of the conditional probabilities."""
        logits: Tensor = self.output(self.towers(batch, self.embedding(batch)))
        return logits

    def probabilities(self, output: Tensor) -> Tensor:
        """End-to-end probabilities [B, T]: products of the conditional ones."""
        return log_products(output).exp()

    def loss(self, output: Tensor, labels: Tensor, weights: LossWeights = ALL_ALIKE) -> Tensor:
        """Cross-entropy of the end-to-end probabilities, summed over the steps, averaged over the rows."""
        log_p = log_products(output).clamp_max(NEARLY_ONE)
        log_not_p = torch.log(-torch.expm1(log_p))
        likelihoods, matrix = labels * log_p + (1 - labels) * log_not_p, weights.matrix()
        return -(likelihoods if matrix is None else likelihoods * matrix).sum() / len(output)


def log_products(logits: Tensor) -> Tensor:
    """Logarithms of the products of sigmoids up to each step.

    Shape:
        [B, T] -> [B, T]
    """
    return F.logsigmoid(logits).cumsum(1)
