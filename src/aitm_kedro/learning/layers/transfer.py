"""Adaptive Information Transfer (AIT): how much of what came before, how much of one's own (eq. 5-8)."""

from math import sqrt
from typing import NamedTuple

import torch
from torch import Tensor, nn

from aitm_kedro.learning.layers.embedding import INITIAL_STD
from aitm_kedro.learning.layers.grouped import relu_dropout

# B = rows of a batch, K = width of a tower's output


class Mixed(NamedTuple):
    """Result of AIT.

    Attributes:
        z: [K, B], eq. 7.
        transfer_weight: [B], w of p in eq. 8; that of q is 1 minus it.
    """

    z: Tensor
    transfer_weight: Tensor


class AIT(nn.Module):
    """Attention over the transferred p and the task's own q; h_1, h_2 and h_3 are single layers.

    Shape:
        p [K, B], q [K, B] -> z [K, B], transfer_weight [B]

    Example:
        >>> AIT(32)(torch.zeros(32, 3), torch.zeros(32, 3)).transfer_weight.tolist()
        [0.5, 0.5, 0.5]
    """

    def __init__(self, width: int, *, bias: bool = False) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(3, width, width).normal_(std=INITIAL_STD))  # h_1, h_2, h_3
        self.bias = nn.Parameter(torch.zeros(3, width)) if bias else None

    def forward(self, p: Tensor, q: Tensor) -> Mixed:
        """Mix p and q."""
        width, rows = q.shape
        u = torch.cat((p, q), dim=1)  # [K, 2B]
        weight = self.weight.view(-1, width)
        h = torch.mm(weight, u) if self.bias is None else torch.addmm(self.bias.view(-1, 1), weight, u)
        value, query, key = h.view(3, width, 2, rows)  # each [K, 2, B]
        score = (query * key).sum(0) / sqrt(width)  # [2, B]
        of_p = torch.sigmoid(score[0] - score[1])  # softmax over two is the sigmoid of their difference
        z = torch.lerp(value[:, 1], value[:, 0], of_p.to(value.dtype).expand(width, rows))
        return Mixed(z, of_p)


class Transfer(nn.Module):
    """g (eq. 6): what the next task is told, one layer with ReLU and dropout as in the release.

    Shape:
        z [K, B] -> p [K, B]
    """

    def __init__(self, width: int, *, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.linear = nn.Linear(width, width)

    def forward(self, z: Tensor) -> Tensor:
        """Transform z."""
        y = torch.addmm(self.linear.bias.view(-1, 1), self.linear.weight, z)
        return relu_dropout(y, rate=self.dropout, training=self.training)
