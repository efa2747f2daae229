"""Rows with any number of values each, as flat arrays."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

# N = rows, M = values of all rows

LARGEST_WEIGHT = 3.4e38
"""Of a value; a float32 holds no larger one."""


@dataclass(frozen=True)
class Ragged:
    """N lists of values.

    Attributes:
        offsets: int64 [N + 1]; row n has the values from offsets[n] up to offsets[n + 1].
        values: [M].
        weights: float32 [M], or None where values have none.
    """

    offsets: np.ndarray
    values: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Number of values of each row, int64 [N]."""
        return np.diff(self.offsets)

    def take(self, rows: np.ndarray) -> Self:
        """These rows, in this order.

        Example:
            >>> lists = Ragged(np.array([0, 2, 2, 3]), np.array([7, 8, 9]))
            >>> lists.take(np.array([2, 0])).values.tolist()
            [9, 7, 8]
        """
        starts, lengths = self.offsets[rows], self.offsets[np.asarray(rows) + 1] - self.offsets[rows]
        offsets = offsets_of(lengths)
        places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        return type(self)(offsets, self.values[places], None if self.weights is None else self.weights[places])

    def shares(self) -> np.ndarray:
        """Share of each value in the weight of its row, float32 [M]; values of a row without any weight share alike.

        Example:
            >>> Ragged(np.array([0, 2, 3]), np.array([7, 8, 9]), np.array([3.0, 1.0, 0.0])).shares().tolist()
            [0.75, 0.25, 1.0]
        """
        row = np.repeat(np.arange(len(self)), self.lengths)
        alike = (1 / self.lengths[row]).astype(np.float32)
        if self.weights is None:
            return alike
        total = np.bincount(row, self.weights, minlength=len(self))[row]
        return np.where(total > 0, self.weights / np.where(total > 0, total, 1), alike).astype(np.float32)

    def heaviest(self, count: int) -> Self:
        """At most ``count`` values a row, those of the largest weights (of equal ones the first), in their order.

        Example:
            >>> lists = Ragged(np.array([0, 3]), np.array([7, 8, 9]), np.array([0.5, 0.1, 0.9]))
            >>> lists.heaviest(2).values.tolist()
            [7, 9]
        """
        assert self.weights is not None
        row = np.repeat(np.arange(len(self)), self.lengths)
        order = np.lexsort((-self.weights, row))  # stable, and the rows stay where they are
        kept = np.sort(order[np.arange(len(order)) - self.offsets[row] < count])
        return type(self)(offsets_of(np.minimum(self.lengths, count)), self.values[kept], self.weights[kept])

    @classmethod
    def concatenate(cls, parts: Sequence["Ragged"]) -> Self:
        """The rows of all parts; either all have weights or none."""
        weights = [part.weights for part in parts if part.weights is not None]
        return cls(
            offsets_of(np.concatenate([part.lengths for part in parts])),
            np.concatenate([part.values for part in parts]),
            np.concatenate(weights) if weights else None,
        )


def offsets_of(lengths: np.ndarray) -> np.ndarray:
    """Offsets int64 [N + 1] of rows with these lengths [N]."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
