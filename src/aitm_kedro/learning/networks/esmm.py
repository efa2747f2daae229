"""ESMM for any number of steps: each tower predicts its step given the one before; products lead end to end.

Ma et al., "Entire Space Multi-Task Model", SIGIR 2018, https://doi.org/10.1145/3209978.3210104, equations 1 to 3, for
two steps; Wen et al., "Entire Space Multi-Task Modeling via Post-Click Behavior Decomposition", SIGIR 2020,
https://doi.org/10.1145/3397271.3401443, for longer chains. The loss looks at the products alone, over all impressions.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.learning.layers.batch import ALL_ALIKE, Batch, LossWeights
from aitm_kedro.learning.layers.embedding import FeatureEmbedding
from aitm_kedro.learning.layers.grouped import Heads
from aitm_kedro.learning.layers.tower import build_towers
from aitm_kedro.learning.network_options import ESMMOptions
from aitm_kedro.learning.networks.base import Network, log_products, product_cross_entropy

# B = rows of a batch, F = fields, T = tasks (steps)


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
        return product_cross_entropy(output, labels, weights)
