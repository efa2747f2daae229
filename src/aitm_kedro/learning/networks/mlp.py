"""MLP: an independent network for each step, its embeddings included. What multi-task learning has to beat.

Xi et al., KDD 2021, https://doi.org/10.1145/3447548.3467071, section 5.3: the base structure of AITM as a single-task
model.
"""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from aitm_kedro.learning.layers.embedding import Embedding, Ids
from aitm_kedro.learning.layers.grouped import Heads
from aitm_kedro.learning.layers.tower import Tower, build_towers
from aitm_kedro.learning.networks.base import Network, NetworkOptions

# B = rows of a batch, F = fields, T = tasks (steps)


class MLPOptions(NetworkOptions):
    """T independent networks."""

    tower: Tower = Tower()


class SingleTask(Network):
    """One step's network.

    Shape:
        ids [B, F] -> logits [B, 1]
    """

    def __init__(self, *, vocabulary_sizes: Sequence[int], step: str, options: MLPOptions) -> None:
        super().__init__([step])
        self.embedding = Embedding(vocabulary_sizes, dim=options.embedding_dim)
        self.tower = build_towers(vocabulary_sizes, options.embedding_dim, count=1, options=options.tower)
        self.output = Heads(1, options.tower.layers[-1])

    def forward(self, ids: Ids) -> Tensor:
        """Logits [B, 1] of the step's end-to-end probability."""
        logits: Tensor = self.output(self.tower(ids, self.embedding(ids)))
        return logits


class MLP(Network):
    """T networks that share nothing: each is trained by itself, and stops when its own step is at its best.

    Shape:
        ids [B, F] -> logits [B, T]
    """

    paper: ClassVar[str] = "https://doi.org/10.1145/3447548.3467071"
    Options: ClassVar[type[NetworkOptions]] = MLPOptions

    def __init__(self, *, vocabulary_sizes: Sequence[int], steps: Sequence[str], options: MLPOptions) -> None:
        super().__init__(steps)
        self.networks = nn.ModuleList(
            SingleTask(vocabulary_sizes=vocabulary_sizes, step=step, options=options) for step in steps
        )

    def forward(self, ids: Ids) -> Tensor:
        """Logits [B, T] of the end-to-end probabilities."""
        return torch.cat([network(ids) for network in self.networks], dim=1)

    def parts(self) -> list[Network]:
        """The networks of the steps."""
        return list(self.networks)  # type: ignore[arg-type]
