"""Representations that towers and transfer make of impressions, by t-SNE (paper, section 5.5, Figures 4 and 7).

For each step the same number of positives and negatives is drawn from test. Positives are ranked by their score
downwards and negatives upwards, so that the first quarter is what the model is surest and most right about, and the
last what it gets wrong.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

# N = rows of test, n = rows drawn, K = tower width

QUARTERS = ("0-25 %", "25-50 %", "50-75 %", "75-100 %")
"""Quarters of a ranking."""

ORIGINAL, ADDED, AIT = "original", "transferred + original", "AIT"
"""q_t, p_{t-1} + q_t and z_t."""

MIN_ROWS = 8
"""Rows of each class below which a picture says nothing: two in each quarter."""

_NEIGHBOURS = 10


def quarter_of_rank(keys: np.ndarray) -> np.ndarray:
    """Quarter of each row when sorted by ``keys`` upwards: 0, 1, 2 or 3, int64 [n]; ties by position."""
    ranks = np.empty(len(keys), np.int64)
    ranks[np.argsort(keys, kind="stable")] = np.arange(len(keys))
    return ranks * len(QUARTERS) // max(len(keys), 1)


def draw_balanced(labels: np.ndarray, *, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Draw as many positives as negatives, ``rows`` of each at most.

    Args:
        labels: 0/1 [N].
        rows: of each class, at most; fewer where a class has fewer.
        rng: source of chance.

    Returns:
        Positions int64 [n], ascending.
    """
    classes = [np.flatnonzero(labels == value) for value in (1, 0)]
    size = min(rows, *(len(positions) for positions in classes))
    return np.sort(np.concatenate([rng.choice(positions, size, replace=False) for positions in classes]))


def lay_out(
    components: Mapping[str, np.ndarray], labels: np.ndarray, scores: np.ndarray, *, step: str, seed: int
) -> pd.DataFrame:
    """Project each component of a step on a plane by t-SNE.

    Args:
        components: name -> float [n, K].
        labels: 0/1 [n].
        scores: float [n], the model's prediction of the step.
        step: its name.
        seed: of t-SNE.

    Returns:
        One row for each drawn row and component: step, component, label, score, quarter (0 to 3), x, y, and
        same_class, the share of the ten nearest rows (in the K dimensions, not on the plane) that have the row's label:
        one half where the component cannot tell the classes apart.
    """
    quarter = np.empty(len(labels), np.int64)
    for value, sign in ((1, -1.0), (0, 1.0)):
        quarter[labels == value] = quarter_of_rank(sign * scores[labels == value])
    parts = []
    for name, vectors in components.items():
        plane = _project(vectors, seed=seed)
        part = {"step": step, "component": name, "label": labels.astype(np.int8), "score": scores, "quarter": quarter}
        parts.append(pd.DataFrame(part | {"x": plane[:, 0], "y": plane[:, 1], "same_class": _agree(vectors, labels)}))
    return pd.concat(parts, ignore_index=True)


def _project(vectors: np.ndarray, *, seed: int) -> np.ndarray:
    """t-SNE of [n, K], as [n, 2]."""
    if len(vectors) < 4 or (vectors == vectors[:1]).all():  # nothing to lay out: few rows, or a tower that is silent
        return np.zeros((len(vectors), 2))
    from sklearn.manifold import TSNE  # slow to import, and no other stage needs it

    init = "pca" if vectors.shape[1] > 1 else "random"
    tsne = TSNE(perplexity=min(30, (len(vectors) - 1) / 3), init=init, max_iter=500, random_state=seed)
    with threadpool_limits(1):  # so few points: threads that wait for each other cost more than they do
        plane = tsne.fit_transform(vectors.astype(np.float32))
    return np.asarray(plane, np.float64)


def _agree(vectors: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Share of each row's nearest rows with its label, float64 [n]."""
    from scipy.spatial import KDTree  # slow to import, and no other stage needs it

    neighbours = min(_NEIGHBOURS, len(vectors) - 1)
    if neighbours < 1:
        return np.full(len(vectors), np.nan)
    # Rows may coincide, so the row itself need not come first: it is struck out by its position.
    nearest: np.ndarray = KDTree(vectors).query(vectors, k=neighbours + 1)[1]  # [n, neighbours + 1]
    others = nearest != np.arange(len(vectors))[:, None]
    others[others.all(axis=1), -1] = False
    same = (labels[nearest] == labels[:, None]) & others
    agreeing: np.ndarray = same.sum(axis=1)
    return agreeing / neighbours
