"""PLE with one extraction level: experts that all tasks share beside experts of each task's own.

Tang et al., "Progressive Layered Extraction (PLE)", RecSys 2020, https://doi.org/10.1145/3383313.3412236, equations 1
to 5 (Customized Gate Control). Sizes are those of the AITM paper's Table 4: T shared experts, one of each task's own,
and a single layer for each task on top.
"""

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor

from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.learning.layers.batch import Batch
from aitm_kedro.learning.layers.embedding import FeatureEmbedding
from aitm_kedro.learning.layers.experts import Gates, mix
from aitm_kedro.learning.layers.grouped import Heads
from aitm_kedro.learning.layers.tower import build_towers
from aitm_kedro.learning.network_options import PLEOptions
from aitm_kedro.learning.networks.base import Network

# B = rows of a batch, F = fields, T = tasks (steps), S = shared experts, O = a task's own, K = width of their output


class PLE(Network):
    """A gate for each task over the shared experts and its own.

    Shape:
        batch of B rows -> logits [B, T]
    """

    paper: ClassVar[str] = "https://doi.org/10.1145/3383313.3412236"

    def __init__(self, *, features: Sequence[FeatureSpec], steps: Sequence[str], options: PLEOptions) -> None:
        super().__init__(steps)
        tasks, expert = len(steps), options.expert
        self.shared_count, self.own_count = options.shared_experts_per_task * tasks, options.own_experts
        self.embedding = FeatureEmbedding(features, dim=options.embedding_dim, numeric=options.numeric)
        self.shared = build_towers(self.embedding, count=self.shared_count, options=expert)
        self.own = build_towers(self.embedding, count=self.own_count * tasks, options=expert)
        self.gates = Gates(self.embedding.width, count=tasks, experts=self.shared_count + self.own_count)
        self.output = Heads(tasks, expert.layers[-1])

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, T] of the end-to-end probabilities."""
        vectors = self.embedding(batch)
        shares = self.gates(vectors.t())  # [T, S + O, B]
        own = self.own(batch, vectors).unflatten(0, (len(self.steps), self.own_count))  # [T, O, K, B]
        common = mix(shares[:, : self.shared_count], self.shared(batch, vectors))
        logits: Tensor = self.output(common + mix(shares[:, self.shared_count :], own))
        return logits
