"""AITM: Adaptive Information Transfer Multi-task framework.

Xi et al., "Modeling the Sequential Dependence among Audience Multi-step Conversions with Multi-task Learning in
Targeted Display Advertising", KDD 2021, https://doi.org/10.1145/3447548.3467071; equations 3 to 13.

Where the paper is silent the authors' release is followed: g has ReLU and dropout 0.3, h_1, h_2 and h_3 are linear
without bias and shared by all stages, they and the embeddings start from N(0, 0.01). Options bring in what the release
does otherwise. Our deviations: other layers start as torch.nn.Linear; dropout rates are rounded to 1/256; and in the
preset ``tuned`` the heads are probabilities of each step given the one before, whose products keep the order of the
steps, so that the calibrator has nothing to do.
"""

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.learning.layers.batch import ALL_ALIKE, Batch, LossWeights
from aitm_kedro.learning.layers.embedding import FeatureEmbedding
from aitm_kedro.learning.layers.grouped import Form, Heads
from aitm_kedro.learning.layers.tower import build_towers
from aitm_kedro.learning.layers.transfer import AIT, Transfer
from aitm_kedro.learning.network_options import AITMOptions
from aitm_kedro.learning.networks.base import Network, cross_entropy, log_products, product_cross_entropy

# B = rows of a batch, F = fields, T = tasks (steps), K = width of a tower's output


class Inspection(NamedTuple):
    """What AITM computes on its way, for the figures; p and transfer_weight belong to the tasks 2 … T.

    Attributes:
        q: [B, T, K], a task's own information (eq. 4).
        p: [B, T-1, K], what it was told by the task before (eq. 6).
        z: [B, T, K], what AIT made of both (eq. 7).
        transfer_weight: [B, T-1], weight of p (eq. 8).
    """

    q: Tensor
    p: Tensor
    z: Tensor
    transfer_weight: Tensor


class AITM(Network):
    """The paper's model for any number of tasks T >= 1.

    Shape:
        batch of B rows -> logits [B, T]

    Example:
        >>> cities = FeatureSpec(name="city", kind="categorical", ids=4)
        >>> model = AITM(features=[cities], steps=["click", "buy"], options=AITMOptions())
        >>> model(Batch(torch.zeros(7, 1, dtype=torch.int32))).shape
        torch.Size([7, 2])
    """

    paper: ClassVar[str] = "https://doi.org/10.1145/3447548.3467071"

    def __init__(self, *, features: Sequence[FeatureSpec], steps: Sequence[str], options: AITMOptions) -> None:
        super().__init__(steps)
        tasks, width = len(steps), options.tower.layers[-1]
        self.alpha, self.is_product, self.residual = options.alpha, options.output == "product", options.residual
        self.embedding = FeatureEmbedding(features, dim=options.embedding_dim, numeric=options.numeric)
        self.towers = build_towers(self.embedding, count=tasks, options=options.tower, form=Form(options.batch_norm))
        self.transfers = nn.ModuleList(Transfer(width, dropout=options.transfer_dropout) for _ in range(tasks - 1))
        self.ait = AIT(width, bias=options.attention_bias) if tasks > 1 else None
        self.output = Heads(tasks, width)

    def forward(self, batch: Batch) -> Tensor:
        """Logits [B, T]: of the end-to-end probabilities (eq. 10), or of each step given the one before."""
        _, _, z, _ = self._pass(batch)
        logits: Tensor = self.output(torch.stack(z))
        return logits.cumsum(1) if self.residual else logits

    def probabilities(self, output: Tensor) -> Tensor:
        """End-to-end probabilities [B, T]."""
        return log_products(output).exp() if self.is_product else torch.sigmoid(output)

    def loss(self, output: Tensor, labels: Tensor, weights: LossWeights = ALL_ALIKE) -> Tensor:
        """Cross-entropy plus alpha times the behavioural expectation calibrator (eq. 13), or that of products alone."""
        if self.is_product:
            return product_cross_entropy(output, labels, weights)
        entropy = cross_entropy(output, labels, weights)
        return entropy + self.alpha * calibrator(self.probabilities(output), weights.rows)

    def regularised(self) -> list[nn.Parameter]:
        """The attention matrices."""
        return [self.ait.weight] if self.ait is not None else []

    @torch.no_grad()
    def inspect(self, batch: Batch) -> Inspection:
        """What the model computes on its way to the logits of a batch."""
        q, p, z, weights = self._pass(batch)
        none = q.new_empty(q.shape[-1], 0)
        return Inspection(
            q=q.permute(2, 0, 1),
            p=torch.stack(p).permute(2, 0, 1) if p else none.view(q.shape[-1], 0, q.shape[1]),
            z=torch.stack(z).permute(2, 0, 1),
            transfer_weight=torch.stack(weights, dim=1) if weights else none,
        )

    def _pass(self, batch: Batch) -> tuple[Tensor, list[Tensor], list[Tensor], list[Tensor]]:
        q = self.towers(batch, self.embedding(batch))  # [T, K, B]
        p: list[Tensor] = []
        z: list[Tensor] = [q[0]]  # eq. 9
        weights: list[Tensor] = []
        for own, transfer in zip(q[1:], self.transfers, strict=True):
            assert self.ait is not None
            p.append(transfer(z[-1]))
            mixed = self.ait(p[-1], own)
            z.append(mixed.z)
            weights.append(mixed.transfer_weight)
        return q, p, z, weights


def calibrator(probabilities: Tensor, row_weights: Tensor | None = None) -> Tensor:
    """How far a step's probability exceeds that of the step before, averaged over the rows (eq. 12).

    Shape:
        probabilities [B, T], row_weights [B] or None -> scalar
    """
    excess = (probabilities[:, 1:] - probabilities[:, :-1]).clamp_min(0)
    if row_weights is not None:
        excess = excess * row_weights[:, None]
    return excess.sum() / len(probabilities)
