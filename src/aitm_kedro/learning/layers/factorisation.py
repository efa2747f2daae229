"""Towers of the factorisation-machine family: NFM, DeepFM and AFM.

In their papers these models end in one number, y = h . (deep vector) + (first-order terms) [+ (pairwise terms)]. A
tower has to hand on a vector, so the deep vector is kept, and the scalar terms are added to it along a direction that
each tower learns: with a single layer on top, whose weights are h, y comes out as in the paper wherever h . direction
is 1. Pairwise terms use the embeddings that all towers share; first-order weights are each tower's own.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aitm_kedro.learning.layers.batch import Batch
from aitm_kedro.learning.layers.embedding import FeatureEmbedding
from aitm_kedro.learning.layers.grouped import PLAIN, Form, GroupedLinear, GroupedMLP
from aitm_kedro.learning.network_options import Tower

# B = rows of a batch, F = fields, D = embedding size, T = towers, K = width of a tower's output, P = F(F-1)/2 pairs,
# A = attention factor


def layers_over(inputs: int, *, count: int, options: Tower, form: Form) -> GroupedMLP:
    """The layers of a tower, over ``inputs`` numbers a row."""
    return GroupedMLP(inputs, count=count, layers=options.layers, dropout=options.dropout, form=form)


class Scalars(nn.Module):
    """First-order terms sum_i w_i x_i of T towers, and the direction along which a tower's scalar joins its vector."""

    def __init__(self, embedding: FeatureEmbedding, *, count: int, width: int) -> None:
        super().__init__()
        self.first_order = embedding.like_this(dim=count)
        self.direction = nn.Parameter(torch.full((count, width, 1), 1 / width))

    def forward(self, batch: Batch, pairwise: Tensor | None = None) -> Tensor:
        """First-order terms, plus ``pairwise`` [B] common to all towers: batch of B rows -> [T, K, B]."""
        terms = self.first_order(batch).unflatten(1, (-1, self.first_order.dim)).sum(1)  # [B, T]
        if pairwise is not None:
            terms = terms + pairwise[:, None]
        spread: Tensor = self.direction * terms.t()[:, None]
        return spread


def bi_interaction(vectors: Tensor) -> Tensor:
    """Sum of the elementwise products of all pairs of vectors, in one pass: ((sum v)^2 - sum v^2) / 2.

    He and Chua, "Neural Factorization Machines", SIGIR 2017, https://doi.org/10.1145/3077136.3080777, equation 4.

    Shape:
        [B, F, D] -> [B, D]
    """
    return (vectors.sum(1).square() - vectors.square().sum(1)) / 2


class NFMTowers(nn.Module):
    """Neural factorization machines: layers over the bi-interaction of the embeddings.

    He and Chua, SIGIR 2017, https://doi.org/10.1145/3077136.3080777, equations 2 to 5.

    Shape:
        batch of B rows, vectors [B, F * D] -> [T, K, B]
    """

    def __init__(self, embedding: FeatureEmbedding, *, count: int, options: Tower, form: Form = PLAIN) -> None:
        super().__init__()
        self.dim = embedding.dim
        self.mlp = layers_over(embedding.dim, count=count, options=options, form=form)
        self.scalars = Scalars(embedding, count=count, width=options.layers[-1])

    def forward(self, batch: Batch, vectors: Tensor) -> Tensor:
        """Run all towers."""
        tower: Tensor = self.mlp(bi_interaction(vectors.unflatten(1, (-1, self.dim))).t()) + self.scalars(batch)
        return tower


class DeepFMTowers(nn.Module):
    """DeepFM: layers over the concatenated embeddings beside a factorization machine over the same embeddings.

    Guo et al., "DeepFM", IJCAI 2017, https://doi.org/10.24963/ijcai.2017/239, equations 1 to 4.

    Shape:
        batch of B rows, vectors [B, F * D] -> [T, K, B]
    """

    def __init__(self, embedding: FeatureEmbedding, *, count: int, options: Tower, form: Form = PLAIN) -> None:
        super().__init__()
        self.dim = embedding.dim
        self.mlp = layers_over(embedding.width, count=count, options=options, form=form)
        self.scalars = Scalars(embedding, count=count, width=options.layers[-1])

    def forward(self, batch: Batch, vectors: Tensor) -> Tensor:
        """Run all towers."""
        pairwise = bi_interaction(vectors.unflatten(1, (-1, self.dim))).sum(1)  # [B]
        tower: Tensor = self.mlp(vectors.t()) + self.scalars(batch, pairwise)
        return tower


class AFMTowers(nn.Module):
    """Attentional factorization machines: products of pairs of embeddings, weighed by attention.

    Xiao et al., "Attentional Factorization Machines", IJCAI 2017, https://doi.org/10.24963/ijcai.2017/435, equations 2
    to 6. There are no layers: of the tower's options the last width and the last dropout count. Memory and time grow
    with the square of the number of fields.

    Shape:
        batch of B rows, vectors [B, F * D] -> [T, K, B]
    """

    left: Tensor
    right: Tensor

    def __init__(self, embedding: FeatureEmbedding, *, count: int, options: Tower, form: Form = PLAIN) -> None:
        super().__init__()
        assert not form.batch_norm, "there is no layer to normalise"
        self.residual = form.residual
        self.dim, self.count, self.dropout = embedding.dim, count, options.dropout[-1]
        pairs = torch.combinations(torch.arange(len(embedding.features)), 2)  # [P, 2]
        self.register_buffer("left", pairs[:, 0], persistent=False)
        self.register_buffer("right", pairs[:, 1], persistent=False)
        self.attention = GroupedLinear(count, self.dim, options.attention_factor)
        self.score = GroupedLinear(count, options.attention_factor, 1, bias=False)
        self.projection = GroupedLinear(count, self.dim, options.layers[-1])
        self.scalars = Scalars(embedding, count=count, width=options.layers[-1])

    def forward(self, batch: Batch, vectors: Tensor) -> Tensor:
        """Run all towers."""
        fields = vectors.t().unflatten(0, (-1, self.dim))  # [F, D, B]
        products = (fields[self.left] * fields[self.right]).transpose(0, 1)  # [D, P, B]
        hidden = torch.relu(self.attention(products.flatten(1)))  # [T, A, P * B]
        scores = self.score(hidden).view(self.count, 1, len(self.left), len(vectors))
        shares = torch.softmax(scores, dim=2)  # [T, 1, P, B]
        pooled = (shares * products).sum(2)  # [T, D, B]
        projected: Tensor = self.projection(F.dropout(pooled, self.dropout, self.training))
        tower: Tensor = (projected.cumsum(0) if self.residual else projected) + self.scalars(batch)
        return tower
