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


class WithLists(NamedTuple):
    """A batch of B rows with L list fields beside the F fields that have one id.

    Attributes:
        ids: int32 or int64 [B, F], each field counting from 0.
        list_ids: int64 [n], ids of all lists of the batch, each field counting from 0.
        field: int64 [n], the list field of each, from 0.
        place: int64 [n], row * L + field: the list it belongs to.
        weight: float32 [n], its share of the list; the shares of a list sum to 1.
    """

    ids: Tensor
    list_ids: Tensor
    field: Tensor
    place: Tensor
    weight: Tensor


Ids = Tensor | WithLists
"""What a network sees: ids [B, F], where there are lists with these beside."""


class Embedding(nn.Module):
    """Embeds every field and lays the vectors side by side; a list becomes the weighted mean of its vectors.

    With ``lazy`` set (the optimiser does so), a forward pass in training mode leaves no gradient in ``weight``, which
    would be as large as the table. The rows it read wait in ``gathered`` with their own gradients.

    Shape:
        ids [B, F] -> [B, F * D], or [B, (F + L) * D] with L list fields, which come last

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
        """(F + L) * D, what one row becomes."""
        return len(self.vocabulary_sizes) * self.dim

    def forward(self, ids: Ids) -> Tensor:
        """Embed ids [B, F], each field counting from 0, and lists."""
        if isinstance(ids, Tensor):
            return self._read((ids + self.offsets).flatten()).view(len(ids), self.width)
        rows, fields = ids.ids.shape
        singles = (ids.ids + self.offsets[:fields]).flatten()
        vectors = self._read(torch.cat([singles, ids.list_ids + self.offsets[fields + ids.field]]))
        weighed = vectors[len(singles) :] * ids.weight[:, None]
        lists = len(self.vocabulary_sizes) - fields
        means = vectors.new_zeros(rows * lists, self.dim).scatter_add(
            0, ids.place[:, None].expand(-1, self.dim), weighed
        )
        return torch.cat([vectors[: len(singles)].view(rows, -1), means.view(rows, -1)], dim=1)

    def _read(self, rows: Tensor) -> Tensor:
        return self._gather(rows) if self.lazy and self.training else F.embedding(rows, self.weight)

    def _gather(self, rows: Tensor) -> Tensor:
        vectors = F.embedding(rows, self.weight.detach()).requires_grad_()
        if torch.is_grad_enabled():
            self.gathered.append(Gathered(rows, vectors))
        return vectors
