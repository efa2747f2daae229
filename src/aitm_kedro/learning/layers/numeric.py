"""Embeddings of numeric features by their values."""

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

import torch
from torch import Tensor, nn

from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.learning.layers.embedding import INITIAL_STD, NumericEmbedding

# B = rows of a batch, V = numeric fields, D = embedding size, n = pieces of the field that has most


class PiecewiseLinear(NumericEmbedding):
    """Piecewise-linear encodings over the quantile bins, then a linear layer for each feature.

    Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep Learning", NeurIPS 2022,
    https://arxiv.org/abs/2203.05556, equation 1 (quantile bins) and section 3.4 (Q-L). A piece that lies below a value
    is 1, one above it 0, and the one it is in tells how far in. Our deviations: values beyond those of train count as
    its smallest or largest, so that an outlier cannot carry a prediction away; and a null has a vector of its own.

    Shape:
        values float32 [B, V], NaN where null -> [B, V, D]
    """

    starts: Tensor
    slopes: Tensor

    def __init__(self, features: Sequence[FeatureSpec], *, dim: int) -> None:
        super().__init__(features, dim=dim)
        knots = [_knots(feature) for feature in features]
        pieces = max(len(places) for places in knots) - 1
        self.register_buffer("starts", _padded([k[:-1] for k in knots], pieces), persistent=False)
        slopes = [[1 / (b - a) if b > a else 0.0 for a, b in pairwise(k)] for k in knots]  # 0: all values are equal
        self.register_buffer("slopes", _padded(slopes, pieces), persistent=False)
        bound = 1 / sqrt(pieces)
        self.weight = nn.Parameter(torch.empty(len(features), pieces, dim).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(len(features), 1, dim).uniform_(-bound, bound))
        self.null = nn.Parameter(torch.empty(len(features), 1, dim).normal_(std=INITIAL_STD))

    def forward(self, values: Tensor) -> Tensor:
        """Embed values."""
        columns = values.t()[:, :, None]  # [V, B, 1]
        # In place, which takes 0.6 of the time: no gradient flows to the values.
        pieces = (columns.nan_to_num(0.0) - self.starts[:, None]).mul_(self.slopes[:, None]).clamp_(0, 1)  # [V, B, n]
        vectors = torch.baddbmm(self.bias, pieces, self.weight)
        return torch.where(columns.isnan(), self.null, vectors).transpose(0, 1)


def _knots(feature: FeatureSpec) -> list[float]:
    """Ends of the pieces of a feature, rising: its smallest value, the edges between bins, its largest value."""
    assert feature.statistics is not None, "statistics stand in the spec of every numeric feature"
    low, high = feature.statistics.minimum, feature.statistics.maximum
    return [low, *(edge for edge in feature.edges if low < edge < high), high]


def _padded(rows: Sequence[Sequence[float]], width: int) -> Tensor:
    """With pieces of slope 0, which add nothing; finite ones, since a moving average of the network takes them in."""
    return torch.tensor([[*row, *[0.0] * (width - len(row))] for row in rows])
