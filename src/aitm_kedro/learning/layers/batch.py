"""What a network sees of some rows."""

from typing import NamedTuple

from torch import Tensor

# B = rows of a batch, F = fields with one id, V = numeric fields, L = list fields, T = tasks (steps)


class Lists(NamedTuple):
    """Lists of L fields in B rows, flat.

    Attributes:
        ids: int64 [n], ids of all lists, each field counting from 0.
        field: int64 [n], the list field of each, from 0.
        place: int64 [n], row * L + field: the list it belongs to.
        share: float32 [n], its share of the list; the shares of a list sum to 1.
    """

    ids: Tensor
    field: Tensor
    place: Tensor
    share: Tensor


class Batch(NamedTuple):
    """B rows.

    Attributes:
        ids: int32 or int64 [B, F], each field counting from 0.
        values: float32 [B, V] of the numeric fields, NaN where null; None if no network reads them.
        lists: of the list fields, None if there are none.
    """

    ids: Tensor
    values: Tensor | None = None
    lists: Lists | None = None


class LossWeights(NamedTuple):
    """What rows and tasks count in the loss; None: all alike.

    Attributes:
        rows: float32 [B].
        tasks: float32 [T].
    """

    rows: Tensor | None = None
    tasks: Tensor | None = None

    def matrix(self) -> Tensor | None:
        """What each label counts: [B, T], [B, 1] or [T]; None: all alike."""
        rows = None if self.rows is None else self.rows[:, None]
        if rows is None or self.tasks is None:
            return self.tasks if rows is None else rows
        return rows * self.tasks


ALL_ALIKE = LossWeights()
