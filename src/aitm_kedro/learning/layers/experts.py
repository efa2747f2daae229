"""Mixtures of experts: gates that weigh what several small networks make of a row.

Ma et al., "Modeling Task Relationships in Multi-task Learning with Multi-gate Mixture-of-Experts", KDD 2018,
https://doi.org/10.1145/3219819.3220007, equations 5 to 7.
"""

import torch
from torch import Tensor, nn

from aitm_kedro.learning.layers.grouped import GroupedLinear

# B = rows of a batch, I = inputs of a gate, G = gates, E = experts, K = width of an expert's output


class Gates(nn.Module):
    """G gates over E experts: softmax(W x), a single layer without bias.

    Shape:
        [I, B] -> [G, E, B], which sum to 1 over E

    Example:
        >>> Gates(90, count=2, experts=8)(torch.zeros(90, 7))[:, :, 0].sum(1).tolist()
        [1.0, 1.0]
    """

    def __init__(self, inputs: int, *, count: int, experts: int) -> None:
        super().__init__()
        self.linear = GroupedLinear(count, inputs, experts, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Shares of the experts."""
        return torch.softmax(self.linear(x), dim=1)


def mix(shares: Tensor, experts: Tensor) -> Tensor:
    """Sum of the experts, weighed by the shares of each gate.

    Shape:
        shares [G, E, B], experts [E, K, B], or [G, E, K, B] where each gate has its own -> [G, K, B]
    """
    return (shares.unsqueeze(2) * experts).sum(1)
