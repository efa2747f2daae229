"""A moving average of the weights, which predicts better than the last step of a noisy descent.

Polyak and Juditsky, "Acceleration of Stochastic Approximation by Averaging", SIAM J. Control Optim. 1992,
https://doi.org/10.1137/0330046; exponential, by torch's ``AveragedModel``.
"""

from collections.abc import Sequence
from math import exp
from typing import cast

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from aitm_kedro.learning.networks.base import Network

UPDATES_AN_EPOCH = 64
"""Of the average: it looks back over a good part of an epoch, so that more would change nothing but the time."""


class WeightAverage:
    """The exponential moving average of a network's weights and of what its normalisations have seen.

    Until there are as many updates as it looks back over, it is their plain mean, so that the start weighs no more than
    the rest.

    Args:
        network: whose weights are averaged from now on.
        epochs: that it looks back over: older weights count 1/e of new ones.
        batches: of an epoch.
    """

    def __init__(self, network: Network, *, epochs: float, batches: int) -> None:
        self._source = network
        self._every = max(1, batches // UPDATES_AN_EPOCH)
        self._share = 1 - exp(-self._every / (epochs * batches))
        self._steps = 0
        self._average = AveragedModel(network, multi_avg_fn=self._mix, use_buffers=True)

    @property
    def network(self) -> Network:
        """A network with the averaged weights."""
        return cast(Network, self._average.module)

    def update(self) -> None:
        """Note that the network has made a step."""
        self._steps += 1
        if self._steps % self._every == 0:
            self._average.update_parameters(self._source)

    @torch.no_grad()
    def _mix(self, averaged: Sequence[Tensor], current: Sequence[Tensor], updates: Tensor | int) -> None:
        share = max(self._share, 1 / (int(updates) + 1))
        if averaged[0].is_floating_point():
            torch._foreach_lerp_(list(averaged), list(current), share)
        else:  # counters of normalisations
            torch._foreach_copy_(list(averaged), list(current))
