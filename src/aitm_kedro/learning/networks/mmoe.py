"""MMoE: experts shared by all tasks, and a gate for each task that weighs them.

Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018,
https://doi.org/10.1145/3219819.3220007, equations 5 to 7. Sizes are those of the AITM paper's Table 4: 2T experts, and
a single layer for each task on top.
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
from aitm_kedro.learning.network_options import MMoEOptions
from aitm_kedro.learning.networks.base import Network

# B = rows of a batch, F = fields, T = tasks (steps), E = experts, K = width of an expert's output


class MMoE(Network):
    """Mixtures of E experts, one mixture for each gate.

    Shape:
        batch of B rows -> logits [B, T]
    """

    paper: ClassVar[str] = "https://doi.org/10.1145/3219819.3220007"

    def __init__(self, *, features: Sequence[FeatureSpec], steps: Sequence[str], options: MMoEOptions) -> None:
        super().__init__(steps)
        tasks, experts = len(steps), options.experts_per_task * len(steps)
        self.embedding = FeatureEmbedding(features, dim=options.embedding_dim, numeric=options.numeric)
        self.experts = build_towers(self.embedding, count=experts, options=options.expert)
        self.gates = Gates(self.embedding.width, count=self.gate_count(tasks), experts=experts)
        self.output = Heads(tasks, options.expert.layers[-1])

    @staticmethod
    def gate_count(tasks: int) -> int:
        """One gate for each task."""
        return tasks

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, T] of the end-to-end probabilities."""
        vectors = self.embedding(batch)
        mixed = mix(self.gates(vectors.t()), self.experts(batch, vectors))  # [G, K, B]
        logits: Tensor = self.output(mixed.squeeze(0))  # with one gate, one mixture for all tasks
        return logits
