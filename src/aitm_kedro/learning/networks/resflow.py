"""ResFlow: each layer of a step's tower adds to that of the step before, and so do the logits.

Fu et al., "Residual Multi-Task Learner for Applied Ranking", KDD 2024, https://doi.org/10.48550/arXiv.2411.09705,
section 3; the authors' code is BrunoTruthAlliance/ResFlow. Our deviations: ReLU and dropout as in the towers of all
networks here, where theirs has PReLU and batch normalisation; and no extra weight of positives, which changes what a
probability means.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.learning.layers.batch import Batch
from aitm_kedro.learning.layers.embedding import FeatureEmbedding
from aitm_kedro.learning.layers.grouped import Form, Heads
from aitm_kedro.learning.layers.tower import build_towers
from aitm_kedro.learning.network_options import ResFlowOptions
from aitm_kedro.learning.networks.base import Network

# B = rows of a batch, T = tasks (steps), K = width of a tower's last layer


class ResFlow(Network):
    """Towers with residual connections from each step to the next, layer by layer.

    Shape:
        batch of B rows -> logits [B, T]
    """

    paper: ClassVar[str] = "https://doi.org/10.48550/arXiv.2411.09705"

    def __init__(self, *, features: Sequence[FeatureSpec], steps: Sequence[str], options: ResFlowOptions) -> None:
        super().__init__(steps)
        self.embedding = FeatureEmbedding(features, dim=options.embedding_dim, numeric=options.numeric)
        self.towers = build_towers(self.embedding, count=len(steps), options=options.tower, form=Form(residual=True))
        self.output = Heads(len(steps), options.tower.layers[-1])

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, T] of the end-to-end probabilities."""
        logits: Tensor = self.output(self.towers(batch, self.embedding(batch)))
        return logits.cumsum(1)
