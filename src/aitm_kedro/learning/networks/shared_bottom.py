"""Shared bottom: one network for all tasks, and a single layer for each of them on top.

Caruana, "Multitask Learning", Machine Learning 1997, https://doi.org/10.1023/A:1007379606734, section 2.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from aitm_kedro.learning.layers.embedding import Embedding, Ids
from aitm_kedro.learning.layers.grouped import Heads
from aitm_kedro.learning.layers.tower import Tower, build_towers
from aitm_kedro.learning.networks.base import Network, NetworkOptions


class SharedBottomOptions(NetworkOptions):
    """Shared bottom."""

    bottom: Tower = Tower()


class SharedBottom(Network):
    """One tower for all tasks.

    Shape:
        ids [B, F] -> logits [B, T]
    """

    paper: ClassVar[str] = "https://doi.org/10.1023/A:1007379606734"
    Options: ClassVar[type[NetworkOptions]] = SharedBottomOptions

    def __init__(self, *, vocabulary_sizes: Sequence[int], steps: Sequence[str], options: SharedBottomOptions) -> None:
        super().__init__(steps)
        self.embedding = Embedding(vocabulary_sizes, dim=options.embedding_dim)
        self.bottom = build_towers(vocabulary_sizes, options.embedding_dim, count=1, options=options.bottom)
        self.output = Heads(len(steps), options.bottom.layers[-1])

    def forward(self, ids: Ids) -> Tensor:
        """Logits [B, T] of the end-to-end probabilities."""
        shared = self.bottom(ids, self.embedding(ids))[0]  # [K, B]
        logits: Tensor = self.output(shared)
        return logits
