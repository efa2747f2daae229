"""From features to one vector a row (eq. 3): a table for all ids, and embeddings of values."""

from collections.abc import Sequence
from importlib import import_module
from itertools import accumulate
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from aitm_kedro.core.features import FeatureSpec, sizes_of
from aitm_kedro.learning.layers.batch import Batch
from aitm_kedro.learning.network_options import NUMERIC_KINDS

# B = rows of a batch, F = fields with one id, V = numeric fields, L = list fields, D = embedding size, R = rows of the
# table, those of all fields

INITIAL_STD = 0.01
"""Of embeddings and attention matrices, as in the authors' release."""


class EmbeddingTable(nn.Module):
    """Vectors of R rows. Which of them a step changes is the optimiser's affair (``training.row_updates``).

    Shape:
        rows int64 [n] -> [n, D]
    """

    def __init__(self, rows: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, dim).normal_(std=INITIAL_STD))

    def forward(self, rows: Tensor) -> Tensor:
        """Read rows."""
        return F.embedding(rows, self.weight)


class NumericEmbedding(nn.Module):
    """Base of the ways to embed numeric features by their values: one a file, one line each in ``NUMERIC_KINDS``.

    Args:
        features: specs of the V numeric features, whose edges and statistics it may use.
        dim: D.

    Shape:
        values float32 [B, V], NaN where null -> [B, V, D]
    """

    def __init__(self, features: Sequence[FeatureSpec], *, dim: int) -> None:
        super().__init__()


class FeatureEmbedding(nn.Module):
    """Embeds every feature and lays the vectors side by side; a list becomes the weighted mean of its vectors.

    Args:
        features: specs, in the order of the fields: those with one id (numeric ones last), then lists.
        dim: D.
        numeric: a key of ``NUMERIC_KINDS``; ``bins`` reads numeric features by their ids, like all others.

    Shape:
        ids [B, F], values [B, V], L lists -> [B, (F + L) * D]

    Example:
        >>> age, city = (
        ...     FeatureSpec(name="age", kind="numeric", ids=3),
        ...     FeatureSpec(name="city", kind="categorical", ids=4),
        ... )
        >>> FeatureEmbedding([city, age], dim=5)(Batch(torch.tensor([[2, 0], [0, 1]]))).shape
        torch.Size([2, 10])
    """

    offsets: Tensor

    def __init__(self, features: Sequence[FeatureSpec], *, dim: int, numeric: str = "bins") -> None:
        super().__init__()
        kinds = [feature.kind for feature in features]
        assert kinds == sorted(kinds, key=("categorical", "numeric", "list").index), "features by kind, as they come"
        self.features, self.dim, self.kind = tuple(features), dim, numeric
        by_value = [feature for feature in features if feature.kind == "numeric" and numeric != "bins"]
        by_id = [feature for feature in features if feature not in by_value]
        self.single = sum(feature.kind != "list" for feature in by_id)
        sizes = sizes_of(by_id)
        self.table = EmbeddingTable(sum(sizes), dim)
        self.numeric = _numeric_embedding(numeric, by_value, dim=dim) if by_value else None
        self.register_buffer("offsets", torch.tensor([0, *accumulate(sizes)][:-1], dtype=torch.int64), persistent=False)

    @property
    def width(self) -> int:
        """(F + L) * D, what one row becomes."""
        return len(self.features) * self.dim

    @property
    def reads_values(self) -> bool:
        """Whether a batch has to bring values."""
        return self.numeric is not None

    def like_this(self, *, dim: int) -> Self:
        """Another embedding of the same features."""
        return type(self)(self.features, dim=dim, numeric=self.kind)

    def forward(self, batch: Batch) -> Tensor:
        """Embed a batch."""
        rows = len(batch.ids)
        # Numeric features come last among those with one id, so that the others are the first columns.
        singles = (batch.ids[:, : self.single] + self.offsets[: self.single]).flatten()
        if batch.lists is None:
            parts = [self.table(singles).view(rows, self.single * self.dim)]
        else:
            lists = batch.lists
            vectors = self.table(torch.cat([singles, lists.ids + self.offsets[self.single + lists.field]]))
            weighed = vectors[len(singles) :] * lists.share[:, None]
            count = len(self.offsets) - self.single
            means = vectors.new_zeros(rows * count, self.dim).scatter_add(
                0, lists.place[:, None].expand(-1, self.dim), weighed
            )
            width = self.single * self.dim
            parts = [vectors[: len(singles)].view(rows, width), means.view(rows, count * self.dim)]
        if self.numeric is not None:
            parts.insert(1, self.numeric(batch.values).flatten(1))
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _numeric_embedding(kind: str, features: Sequence[FeatureSpec], *, dim: int) -> nn.Module:
    module, _, name = NUMERIC_KINDS[kind].partition(":")
    embedding: nn.Module = getattr(import_module(module), name)(features, dim=dim)
    return embedding
