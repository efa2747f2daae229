"""Adam (Kingma and Ba, https://arxiv.org/abs/1412.6980), with a cheap way for embedding tables.

A batch reads a few thousand rows of a table of millions. ``dense`` is plain Adam: at every step it moves every row,
also those that were not read, by their decaying momentum and their L2. ``lazy`` updates the rows of the batch alone;
momenta and L2 of the others stand still until they are read again. Both agree where every batch reads every row. Bias
correction counts the steps of training, not the readings of a row, as torch.optim.SparseAdam does.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any

import torch
from torch import Tensor, nn

from aitm_kedro.learning.layers.embedding import EmbeddingTable
from aitm_kedro.learning.networks.base import Network
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.training.row_updates import Reading, RowReadings

# n = readings of a table in a batch, U = distinct rows among them, R = rows of the table, D = embedding size

BETAS = (0.9, 0.999)
EPSILON = 1e-8


class LazyAdam:
    """Adam over the rows that were read since the last step.

    Args:
        tables: from now on their gradients wait in ``RowReadings``.
        learning_rate: of Adam.
        l2: gradient of l2 / 2 |w|^2 is added for each distinct row of the batch.
    """

    def __init__(self, tables: Sequence[EmbeddingTable], *, learning_rate: float, l2: float) -> None:
        self.learning_rate = learning_rate
        self.l2 = l2
        self.steps = 0
        self.tables = [(RowReadings(table), _Moments(table.weight)) for table in tables]

    def zero_grad(self) -> None:
        """Forget what was read."""
        for read, _ in self.tables:
            read.clear()

    def release(self) -> None:
        """Give the tables back: their gradients go to ``weight.grad`` again."""
        for read, _ in self.tables:
            read.detach()

    @torch.no_grad()
    def step(self) -> None:
        """Update the rows that were read."""
        self.steps += 1
        for read, moments in self.tables:
            if read.readings:
                rows, gradients = moments.sum_by_row(read.readings)
                self._update(read.table.weight, moments.both, rows, gradients)

    def _update(self, weight: Tensor, moments: Tensor, rows: Tensor, gradients: Tensor) -> None:
        """One step of Adam on ``rows`` [U], given their gradients [U, D]."""
        (beta1, beta2), dim = BETAS, weight.shape[1]
        w, both = weight.index_select(0, rows), moments.index_select(0, rows)
        first, second = both[:, :dim], both[:, dim:]
        gradients.add_(w, alpha=self.l2)
        first.lerp_(gradients, 1 - beta1)
        second.mul_(beta2).addcmul_(gradients, gradients, value=1 - beta2)
        scale = second.sqrt().div_(sqrt(1 - beta2**self.steps)).add_(EPSILON)
        w.addcdiv_(first, scale, value=-self.learning_rate / (1 - beta1**self.steps))
        weight.index_copy_(0, rows, w)
        moments.index_copy_(0, rows, both)


class _Moments:
    """Adam's state of one table.

    Attributes:
        both: [R, 2D], first and second moment side by side, so that a row is fetched once.
        owner: int32 [R], scratch: which reading stands for a row.
    """

    def __init__(self, weight: Tensor) -> None:
        rows, dim = weight.shape
        self.both = torch.zeros(rows, 2 * dim, device=weight.device)
        self.owner = torch.zeros(rows, dtype=torch.int32, device=weight.device)

    def sum_by_row(self, readings: Sequence[Reading]) -> tuple[Tensor, Tensor]:
        """Distinct rows [U] and the sum of the gradients of their readings [U, D].

        Instead of sorting, every reading writes its number to its row; whichever stays there stands for the row.
        """
        rows = torch.cat([part.rows for part in readings])
        gradients = torch.cat([_gradient(part.vectors) for part in readings])
        count, dim = gradients.shape
        numbers = torch.arange(count, dtype=torch.int32, device=rows.device)
        self.owner.scatter_(0, rows, numbers)
        standing = self.owner.index_select(0, rows)  # [n]
        cells = standing.long()[:, None] * dim + torch.arange(dim, device=rows.device)
        sums = torch.zeros_like(gradients)
        sums.view(-1).scatter_add_(0, cells.view(-1), gradients.view(-1))
        chosen = (standing == numbers).nonzero().squeeze(1)
        return rows.index_select(0, chosen), sums.index_select(0, chosen)


def _gradient(vectors: Tensor) -> Tensor:
    """Gradient of the vectors of a reading; zero where the loss did not depend on them."""
    return vectors.grad.contiguous() if vectors.grad is not None else torch.zeros_like(vectors)


class Optimiser:
    """Adam for all parameters of a network, with L2 where the network wants it."""

    def __init__(self, model: Network, *, options: Training) -> None:
        tables = [module for module in model.modules() if isinstance(module, EmbeddingTable)]
        weights = [table.weight for table in tables]
        lazy = options.embedding_updates == "lazy"
        decayed = model.regularised() + ([] if lazy else weights)
        special = {id(parameter) for parameter in decayed + weights}
        plain = [parameter for parameter in model.parameters() if id(parameter) not in special]
        self.dense = _adam(plain, decayed, options=options)
        self.lazy = LazyAdam(tables if lazy else [], learning_rate=options.learning_rate, l2=options.l2)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        self.dense.zero_grad()
        self.lazy.zero_grad()

    def step(self) -> None:
        """Update all parameters."""
        self.dense.step()
        self.lazy.step()

    def release(self) -> None:
        """Leave the network as it was found; no further step."""
        self.dense.zero_grad()
        self.lazy.release()


def _adam(plain: list[nn.Parameter], decayed: list[nn.Parameter], *, options: Training) -> torch.optim.Optimizer:
    """Torch's Adam, whose weight decay is the gradient of l2 / 2 |w|^2."""
    groups: list[dict[str, Any]] = [{"params": plain}, {"params": decayed, "weight_decay": options.l2}]
    return torch.optim.Adam(groups, lr=options.learning_rate, betas=BETAS, eps=EPSILON, fused=True)
