"""Layers of several networks at once (the towers of all tasks, all experts), and a cheap dropout.

Activations are held features first, [T, H, B]: the first layer of all towers is then one matrix product, the others are
one batched product each, and no step needs a copy to change the layout.
"""

from collections.abc import Sequence
from math import sqrt
from typing import Any, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# B = rows of a batch, I = inputs of a layer, H = its outputs, T = networks side by side, K = width of their last layer

BYTE = 256


class _ReluDropout(torch.autograd.Function):
    """max(x, 0) times a random mask; backward needs the output alone, which is 0 wherever nothing flows.

    The mask comes from random bytes, the resolution of the rate is therefore 1/256; what is kept is scaled by the exact
    inverse of the share that bytes keep, so that the mean is right. Drawing Bernoulli numbers costs 20 times as much.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, dropped: int) -> Tensor:
        ctx.scale = BYTE / (BYTE - dropped)
        y = x.clamp_min(0)
        if dropped:
            # Bytes 0..255 are exact in every float type; this keeps y where byte > dropped - 1, in one sweep.
            bytes_ = random_bytes(y.numel(), device=y.device).to(y.dtype).view(y.shape)
            torch.ops.aten.threshold_backward.grad_input(y, bytes_, dropped - 1, grad_input=y)
            y.mul_(ctx.scale)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        gradient = torch.ops.aten.threshold_backward(gradients[0], y, 0)
        return gradient.mul_(ctx.scale) if ctx.scale != 1 else gradient, None


def random_bytes(count: int, *, device: torch.device) -> Tensor:
    """Random bytes, eight from each word of the generator: uint8 [count]."""
    words = torch.empty((count + 7) // 8, dtype=torch.int64, device=device)
    return words.random_(-(2**63), None).view(torch.uint8)[:count]


def relu_dropout(x: Tensor, *, rate: float, training: bool) -> Tensor:
    """ReLU, then dropout in training.

    Args:
        x: result of an affine map.
        rate: share to drop, rounded to a multiple of 1/256.
        training: False leaves dropout out.
    """
    dropped = min(round(rate * BYTE), BYTE - 1) if training else 0
    return cast(Tensor, _ReluDropout.apply(x, dropped))  # type: ignore[no-untyped-call]


class GroupedLinear(nn.Module):
    """T affine maps of T inputs, or of one common input.

    Shape:
        [T, I, B] -> [T, H, B], or [I, B] -> [T, H, B]
    """

    def __init__(self, tasks: int, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        bound = 1 / sqrt(inputs)  # as torch.nn.Linear
        self.weight = nn.Parameter(torch.empty(tasks, outputs, inputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(tasks, outputs, 1).uniform_(-bound, bound)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Apply the maps."""
        tasks, outputs, inputs = self.weight.shape
        if x.dim() == 2 and self.bias is not None:
            y = torch.addmm(self.bias.view(-1, 1), self.weight.view(-1, inputs), x)
            return y.view(tasks, outputs, -1)
        if self.bias is None:
            return torch.matmul(self.weight, x)
        return torch.baddbmm(self.bias, self.weight, x)


class GroupedBatchNorm(nn.Module):
    """Batch normalisation of each feature of each task. A batch of one row, which has no spread, uses running values.

    Shape:
        [T, H, B] -> [T, H, B]
    """

    def __init__(self, tasks: int, features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(tasks * features)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise over the batch."""
        norm, rows = self.norm, x.shape[-1]
        columns = x.flatten(0, 1).t()  # [B, T * H]
        y = F.batch_norm(
            columns,
            norm.running_mean,
            norm.running_var,
            norm.weight,
            norm.bias,
            training=self.training and rows > 1,
            momentum=norm.momentum or 0.0,
            eps=norm.eps,
        )
        return y.t().contiguous().view(x.shape)


class Form(NamedTuple):
    """What layers of several networks do beside an affine map, ReLU and dropout.

    Attributes:
        batch_norm: normalise before each ReLU.
        residual: add to the output of a layer those of the same layer in all networks before.
    """

    batch_norm: bool = False
    residual: bool = False


PLAIN = Form()


class GroupedMLP(nn.Module):
    """T multi-layer perceptrons over one input: layers of affine map, ReLU, dropout.

    Args:
        inputs: I.
        count: T.
        layers: widths; the last one is K.
        dropout: a rate for each layer, rounded to multiples of 1/256.
        form: of the layers.

    Shape:
        [I, B] -> [T, K, B]

    Example:
        >>> GroupedMLP(90, count=2, layers=[64, 32], dropout=[0.1, 0.3])(torch.zeros(90, 7)).shape
        torch.Size([2, 32, 7])
    """

    def __init__(
        self, inputs: int, *, count: int, layers: Sequence[int], dropout: Sequence[float], form: Form = PLAIN
    ) -> None:
        super().__init__()
        self.residual = form.residual
        widths: Sequence[int] = (inputs, *layers)
        self.dropout = tuple(dropout)
        self.layers = nn.ModuleList(GroupedLinear(count, i, h) for i, h in zip(widths, layers, strict=False))
        self.norms = nn.ModuleList(GroupedBatchNorm(count, h) if form.batch_norm else nn.Identity() for h in layers)

    def forward(self, x: Tensor) -> Tensor:
        """Run all networks."""
        for layer, norm, rate in zip(self.layers, self.norms, self.dropout, strict=True):
            x = relu_dropout(norm(layer(x)), rate=rate, training=self.training)
            if self.residual:
                x = x.cumsum(0)
        return x


class Heads(GroupedLinear):
    """A single layer for each task: from what it has made of a row to its logit (eq. 10).

    Shape:
        [T, K, B], or [K, B] common to all tasks -> logits, float32 [B, T]

    Example:
        >>> Heads(2, 32)(torch.zeros(32, 7)).shape
        torch.Size([7, 2])
    """

    def __init__(self, tasks: int, width: int) -> None:
        super().__init__(tasks, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of all tasks."""
        return super().forward(x).squeeze(1).t().float()
