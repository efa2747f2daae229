"""Shared bottom: one network for all tasks, and a single layer for each of them on top.

Caruana, "Multitask Learning", Machine Learning 1997, https://doi.org/10.1023/A:1007379606734, section 2.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.learning.layers.batch import Batch
from aitm_kedro.learning.layers.embedding import FeatureEmbedding
from aitm_kedro.learning.layers.grouped import Heads
from aitm_kedro.learning.layers.tower import build_towers
from aitm_kedro.learning.network_options import SharedBottomOptions
from aitm_kedro.learning.networks.base import Network


class SharedBottom(Network):
    """One tower for all tasks.

    Shape:
        batch of B rows -> logits [B, T]
    """

    paper: ClassVar[str] = "https://doi.org/10.1023/A:1007379606734"

    def __init__(self, *, features: Sequence[FeatureSpec], steps: Sequence[str], options: SharedBottomOptions) -> None:
        super().__init__(steps)
        self.embedding = FeatureEmbedding(features, dim=options.embedding_dim, numeric=options.numeric)
        self.bottom = build_towers(self.embedding, count=1, options=options.bottom)
        self.output = Heads(len(steps), options.bottom.layers[-1])

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, T] of the end-to-end probabilities."""
        shared = self.bottom(batch, self.embedding(batch))[0]  # [K, B]
        logits: Tensor = self.output(shared)
        return logits
