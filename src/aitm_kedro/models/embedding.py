"""One embedding table for all fields (eq. 3)."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# B = rows of a batch, F = fields, D = embedding size, R = rows of the table, those of all fields

INITIAL_STD = 0.01
"""Of embeddings and attention matrices, as in the authors' release."""


class Gathered(NamedTuple):
    """Rows that one forward pass read.

    Attributes:
        rows: int64 [B * F], with repetitions.
        vectors: [B * F, D], a leaf whose gradient is that of each reading.
    """

    rows: Tensor
    vectors: Tensor


class Embedding(nn.Module):
    """Embeds every field and lays the vectors side by side.

    With ``lazy`` set (the optimiser does so), a forward pass in training mode leaves no gradient in ``weight``, which
    would be as large as the table. The rows it read wait in ``gathered`` with their own gradients.

    Shape:
        ids [B, F] -> [B, F * D]

    Example:
        >>> Embedding([3, 4], dim=5)(torch.tensor([[2, 0], [0, 3]])).shape
        torch.Size([2, 10])
    """

    offsets: Tensor

    def __init__(self, vocabulary_sizes: Sequence[int], *, dim: int) -> None:
        super().__init__()
        self.vocabulary_sizes = tuple(vocabulary_sizes)
        self.dim = dim
        self.lazy = False
        self.gathered: list[Gathered] = []
        self.weight = nn.Parameter(torch.empty(sum(vocabulary_sizes), dim).normal_(std=INITIAL_STD))
        starts = [0, *accumulate(vocabulary_sizes)][:-1]
        self.register_buffer("offsets", torch.tensor(starts, dtype=torch.int64), persistent=False)

    @property
    def width(self) -> int:
        """F * D, what one row becomes."""
        return len(self.vocabulary_sizes) * self.dim

    def forward(self, ids: Tensor) -> Tensor:
        """Embed ids [B, F], each field counting from 0."""
        rows = (ids + self.offsets).flatten()
        vectors = self._gather(rows) if self.lazy and self.training else F.embedding(rows, self.weight)
        return vectors.view(len(ids), self.width)

    def _gather(self, rows: Tensor) -> Tensor:
        vectors = F.embedding(rows, self.weight.detach()).requires_grad_()
        if torch.is_grad_enabled():
            self.gathered.append(Gathered(rows, vectors))
        return vectors
