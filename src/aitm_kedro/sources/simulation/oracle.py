"""The oracle: true end-to-end probability of each step, given the complete feature values of a row.

That every step happens inside its window is in it.
"""

import numpy as np

from aitm_kedro.sources.simulation.story import LOADINGS, UNOBSERVED

# N = impressions, S = steps, Q = quadrature nodes of each unobserved variable

NODES = 7


def nodes(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Hermite nodes and weights for the mean of a function of a standard normal variable, [Q] and [Q]."""
    places, weights = np.polynomial.hermite_e.hermegauss(count)
    return places, weights / weights.sum()


def true_probabilities(logits: np.ndarray, in_time: np.ndarray, *, count: int = NODES) -> np.ndarray:
    """Integrate mood and circumstances out of the product of the step probabilities, [S, N] float32.

    Given both, the steps are independent, so that P(y_t = 1) = E[prod_{s<=t} sigmoid(logit_s + a_s mood + b_s
    circumstances)] * prod_{s<=t} P(in time).

    Args:
        logits: observable part of the step logits, intercepts included, [S, N] float32.
        in_time: P(a step that happens does so inside its window), [S, N] float32.
        count: quadrature nodes of each variable.
    """
    loads = LOADINGS @ UNOBSERVED
    places, weights = nodes(count)
    odds = np.exp(-logits)  # sigmoid(z + a) = 1 / (1 + e^-z e^-a): one exponential a row and step, not one a node
    total = np.zeros_like(logits)
    for mood, mood_weight in zip(places, weights, strict=True):
        for circumstance, weight in zip(places, weights, strict=True):
            _add(total, odds, loads @ (mood, circumstance), np.float32(mood_weight * weight))
    return total * np.cumprod(in_time, axis=0)


def _add(total: np.ndarray, odds: np.ndarray, shifts: np.ndarray, weight: np.float32) -> None:
    """Add weight * P(steps 1 .. t | mood, circumstances) to ``total``, [S, N]."""
    chain: np.ndarray | np.float32 = weight
    for step, shift in enumerate(shifts):
        chain = _sigmoid(odds[step], shift) * chain
        total[step] += chain


def _sigmoid(odds: np.ndarray, shift: float) -> np.ndarray:
    chance = odds * np.float32(np.exp(-shift))
    chance += np.float32(1)
    return np.divide(np.float32(1), chance, out=chance)
