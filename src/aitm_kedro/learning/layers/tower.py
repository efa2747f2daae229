"""Towers f_t, which turn the embedded row into a vector (eq. 4): exchangeable, as section 4.2 of the paper says.

Every kind makes any number of towers at once, one for each task or expert. What the kinds differ in is in
``factorisation.py``; here is the plain one, and the table of all.
"""

from collections.abc import Callable, Sequence
from typing import Any, Literal, Self

from pydantic import Field, model_validator
from torch import Tensor, nn

from aitm_kedro.core.parameters import Parameters
from aitm_kedro.learning.layers.embedding import Ids
from aitm_kedro.learning.layers.factorisation import AFMTowers, DeepFMTowers, NFMTowers, layers_over

# B = rows of a batch, F = fields, D = embedding size, T = towers, K = width of a tower's output


class Tower(Parameters):
    """A task's tower (paper, section A.1); a bare name such as ``tower: nfm`` sets the kind alone."""

    kind: Literal["mlp", "nfm", "deepfm", "afm"] = "mlp"
    layers: tuple[int, ...] = Field((128, 64, 32), min_length=1, description="widths; afm uses the last one alone")
    dropout: tuple[float, ...] = Field((0.1, 0.3, 0.3), description="one rate a layer; afm uses the last one alone")
    attention_factor: int = Field(8, ge=1, description="hidden size of afm's attention over pairs of fields")

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: Any) -> Any:
        return {"kind": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.dropout) != len(self.layers):
            raise ValueError(f"dropout has {len(self.dropout)} rates for {len(self.layers)} layers")
        if any(not 0 <= rate < 1 for rate in self.dropout):
            raise ValueError(f"dropout {list(self.dropout)} must lie in [0, 1)")
        if any(width < 1 for width in self.layers):
            raise ValueError(f"layers {list(self.layers)} must be positive")
        return self


class MLPTowers(nn.Module):
    """Multi-layer perceptrons over the concatenated embeddings.

    Shape:
        ids [B, F], vectors [B, F * D] -> [T, K, B]
    """

    def __init__(
        self, vocabulary_sizes: Sequence[int], dim: int, *, count: int, options: Tower, batch_norm: bool = False
    ) -> None:
        super().__init__()
        self.mlp = layers_over(len(vocabulary_sizes) * dim, count=count, options=options, batch_norm=batch_norm)

    def forward(self, ids: Ids, vectors: Tensor) -> Tensor:
        """Run all towers."""
        result: Tensor = self.mlp(vectors.t())
        return result


KINDS = {"mlp": MLPTowers, "nfm": NFMTowers, "deepfm": DeepFMTowers, "afm": AFMTowers}


def build_towers(
    vocabulary_sizes: Sequence[int], dim: int, *, count: int, options: Tower, batch_norm: bool = False
) -> nn.Module:
    """Towers of one kind over embeddings of F fields.

    Args:
        vocabulary_sizes: ids of each field.
        dim: D.
        count: T.
        options: kind and sizes.
        batch_norm: normalise before each ReLU of the layers.

    Returns:
        A module: ids [B, F], vectors [B, F * D] -> [T, K, B], K the width of the last layer.

    Example:
        >>> import torch
        >>> towers = build_towers([3, 4], 5, count=2, options=Tower(kind="deepfm"))
        >>> towers(torch.zeros(7, 2, dtype=torch.int32), torch.zeros(7, 10)).shape
        torch.Size([2, 32, 7])
    """
    kind: Callable[..., nn.Module] = KINDS[options.kind]
    return kind(vocabulary_sizes, dim, count=count, options=options, batch_norm=batch_norm)
