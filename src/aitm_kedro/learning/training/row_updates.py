"""How embedding tables are updated: an object beside the table, so that networks know nothing of it.

A batch reads a few thousand rows of a table of millions. A plain gradient is as large as the table; ``RowReadings``
keeps instead the rows that were read, each with a gradient of its own.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from aitm_kedro.learning.layers.embedding import EmbeddingTable

# n = readings of a table in a batch, D = embedding size


class Reading(NamedTuple):
    """Rows that one forward pass read.

    Attributes:
        rows: int64 [n], with repetitions.
        vectors: [n, D], a leaf whose gradient is that of each reading.
    """

    rows: Tensor
    vectors: Tensor


class RowReadings:
    """Rows of a table that forward passes in training mode have read since the last ``clear``.

    While it is attached, the table's own weight gets no gradient.
    """

    def __init__(self, table: EmbeddingTable) -> None:
        self.table = table
        self.readings: list[Reading] = []
        table.weight.requires_grad_(False)
        self._handle = table.register_forward_hook(self._note)

    def clear(self) -> None:
        """Forget what was read."""
        self.readings.clear()

    def detach(self) -> None:
        """Leave the table as it was found: gradients go to its weight again."""
        self.clear()
        self._handle.remove()
        self.table.weight.requires_grad_(True)

    def _note(self, table: torch.nn.Module, inputs: tuple[Any, ...], vectors: Tensor) -> Tensor | None:
        if not (table.training and torch.is_grad_enabled()):
            return None
        vectors.requires_grad_()  # fresh from a table without gradient, hence a leaf
        self.readings.append(Reading(inputs[0], vectors))
        return vectors
