"""MLP: an independent network for each step, its embeddings included. What multi-task learning has to beat.

Xi et al., KDD 2021, https://doi.org/10.1145/3447548.3467071, section 5.3: the base structure of AITM as a single-task
model.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.learning.layers.batch import Batch
from aitm_kedro.learning.layers.embedding import FeatureEmbedding
from aitm_kedro.learning.layers.grouped import Heads
from aitm_kedro.learning.layers.tower import build_towers
from aitm_kedro.learning.network_options import MLPOptions
from aitm_kedro.learning.networks.base import Network

# B = rows of a batch, F = fields, T = tasks (steps)


class SingleTask(Network):
    """One step's network.

    Shape:
        batch of B rows -> logits [B, 1]
    """

    def __init__(self, *, features: Sequence[FeatureSpec], step: str, options: MLPOptions) -> None:
        super().__init__([step])
        self.embedding = FeatureEmbedding(features, dim=options.embedding_dim, numeric=options.numeric)
        self.tower = build_towers(self.embedding, count=1, options=options.tower)
        self.output = Heads(1, options.tower.layers[-1])

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, 1] of the step's end-to-end probability."""
        logits: Tensor = self.output(self.tower(batch, self.embedding(batch)))
        return logits


class MLP(Network):
    """T networks that share nothing: each is trained by itself, and stops when its own step is at its best.

    Shape:
        batch of B rows -> logits [B, T]
    """

    paper: ClassVar[str] = "https://doi.org/10.1145/3447548.3467071"

    def __init__(self, *, features: Sequence[FeatureSpec], steps: Sequence[str], options: MLPOptions) -> None:
        super().__init__(steps)
        self.networks = nn.ModuleList(SingleTask(features=features, step=step, options=options) for step in steps)

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, T] of the end-to-end probabilities."""
        return torch.cat([network(batch) for network in self.networks], dim=1)

    def parts(self) -> list[Network]:
        """The networks of the steps."""
        return list(self.networks)  # type: ignore[arg-type]
