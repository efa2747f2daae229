"""Towers f_t, which turn the embedded row into a vector (eq. 4): exchangeable, as section 4.2 of the paper says.

Every kind makes any number of towers at once, one for each task or expert. What the kinds differ in is in
``factorisation.py``; here is the plain one, and the table of all.
"""

from collections.abc import Callable

from torch import Tensor, nn

from aitm_kedro.learning.layers.batch import Batch
from aitm_kedro.learning.layers.embedding import FeatureEmbedding
from aitm_kedro.learning.layers.factorisation import AFMTowers, DeepFMTowers, NFMTowers, layers_over
from aitm_kedro.learning.layers.grouped import PLAIN, Form
from aitm_kedro.learning.network_options import Tower

# B = rows of a batch, F = fields, D = embedding size, T = towers, K = width of a tower's output


class MLPTowers(nn.Module):
    """Multi-layer perceptrons over the concatenated embeddings.

    Shape:
        batch of B rows, vectors [B, F * D] -> [T, K, B]
    """

    def __init__(self, embedding: FeatureEmbedding, *, count: int, options: Tower, form: Form = PLAIN) -> None:
        super().__init__()
        self.mlp = layers_over(embedding.width, count=count, options=options, form=form)

    def forward(self, batch: Batch, vectors: Tensor) -> Tensor:
        """Run all towers."""
        result: Tensor = self.mlp(vectors.t())
        return result


KINDS = {"mlp": MLPTowers, "nfm": NFMTowers, "deepfm": DeepFMTowers, "afm": AFMTowers}


def build_towers(embedding: FeatureEmbedding, *, count: int, options: Tower, form: Form = PLAIN) -> nn.Module:
    """Towers of one kind over embeddings of F fields.

    Args:
        embedding: of the features; what it makes of a row is what the towers work on.
        count: T.
        options: kind and sizes.
        form: of the layers.

    Returns:
        A module: batch of B rows, vectors [B, F * D] -> [T, K, B], K the width of the last layer.

    Example:
        >>> import torch
        >>> from aitm_kedro.core.features import FeatureSpec
        >>> embedding = FeatureEmbedding([FeatureSpec(name="city", kind="categorical", ids=4)], dim=5)
        >>> towers, batch = (
        ...     build_towers(embedding, count=2, options=Tower(kind="deepfm")),
        ...     Batch(torch.zeros(7, 1).int()),
        ... )
        >>> towers(batch, embedding(batch)).shape
        torch.Size([2, 32, 7])
    """
    kind: Callable[..., nn.Module] = KINDS[options.kind]
    return kind(embedding, count=count, options=options, form=form)
