"""Finds the intercepts at which the steps have the rates asked for, one step after the other.

They are solved for on the sample of mature impressions, with what cannot be observed integrated out.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq

from aitm_kedro.core.errors import InputError
from aitm_kedro.sources.simulation.events import in_time_of
from aitm_kedro.sources.simulation.logits import Effects, fitted_effects, sample
from aitm_kedro.sources.simulation.oracle import true_probabilities
from aitm_kedro.sources.simulation.population import Features
from aitm_kedro.sources.simulation.settings import STEPS, Rates

_NODES = 5  # a mean over many rows needs fewer than one row does
_RANGE = 25.0


@dataclass(frozen=True, kw_only=True)
class Truth:
    """The story with intercepts: complete features in, logits out.

    Attributes:
        effects: the scaled terms.
        intercepts: of the step logits, [S] float32.
    """

    effects: Effects
    intercepts: np.ndarray

    def logits(self, features: Features, days: np.ndarray) -> np.ndarray:
        """Observable part of the step logits, [S, N] float32."""
        return np.asarray(self.effects.logits(features, days) + self.intercepts[:, None])


@cache
def truth_at(rates: Rates) -> Truth:
    """The truth with the intercepts for ``rates``; takes a few seconds, once in a process.

    Raises:
        InputError: rates that no intercept reaches.
    """
    effects = fitted_effects()
    logits = effects.logits(sample().features, sample().days)
    in_time = in_time_of(sample().features)
    intercepts = np.zeros(len(STEPS), np.float32)
    for step, (name, rate) in enumerate(zip(STEPS, rates.values, strict=True)):
        intercepts[step] = _solve(logits, in_time, intercepts, step, name, rate)
    return Truth(effects=effects, intercepts=intercepts)


def _solve(
    logits: np.ndarray, in_time: np.ndarray, intercepts: np.ndarray, step: int, name: str, rate: float
) -> np.float32:
    """The intercept of one step, given those before it."""
    # As one step is solved, the later ones are idle: their logits say "surely".
    used = np.where(np.arange(len(logits))[:, None] <= step, logits + intercepts[:, None], np.float32(_RANGE))

    def excess(intercept: float) -> float:
        used[step] = logits[step] + np.float32(intercept)
        return float(true_probabilities(used, in_time, count=_NODES)[step].mean(dtype=np.float64)) - rate

    if excess(_RANGE) <= 0:
        raise InputError(f"simulation rate of {name} {rate} is too close to that of the step before; lower it")
    return np.float32(brentq(excess, -_RANGE, _RANGE, xtol=1e-4))
