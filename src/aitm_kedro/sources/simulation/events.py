"""Draws what happens after an impression, and when: outcomes of the steps, and delays between them."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from aitm_kedro.sources.simulation.clock import DAYS, MILLISECONDS, WINDOWS
from aitm_kedro.sources.simulation.draws import stream
from aitm_kedro.sources.simulation.population import Features
from aitm_kedro.sources.simulation.settings import STEPS
from aitm_kedro.sources.simulation.story import LOADINGS, UNOBSERVED

# N = impressions, S = steps, B = banks, C = city tiers


@dataclass(frozen=True)
class Delay:
    """Weibull time from one step to the next: P(delay <= t) = 1 - exp(-(t / scale)^shape), in days.

    The scale differs by bank (``spread`` is the standard deviation of its logarithm) and rises with the city tier.
    """

    scale: float
    shape: float
    spread: float = 0.0
    per_tier: float = 0.0


DELAYS = {
    "click": Delay(scale=0.0003, shape=0.7),
    "application": Delay(scale=0.02, shape=0.45, spread=0.2),
    "approval": Delay(scale=0.01, shape=0.4, spread=0.5),
    "activation": Delay(scale=6.0, shape=1.1, spread=0.15, per_tier=0.08),
}


@cache
def scales() -> np.ndarray:
    """Scale of each step's delay, [S, B, C]."""
    result = np.empty((len(STEPS), 12, 5))
    for position, step in enumerate(STEPS):
        delay = DELAYS[step]
        bank = np.exp(delay.spread * stream("delay", step).normal(size=(12, 1)))
        result[position] = delay.scale * bank * np.exp(delay.per_tier * (np.arange(5) - 2))
    return result


@cache
def in_time() -> np.ndarray:
    """P(a step that happens does so inside its window), [S, B, C] float32."""
    shape = np.array([DELAYS[step].shape for step in STEPS])[:, None, None]
    window = np.array([WINDOWS[step] for step in STEPS])[:, None, None]
    return np.asarray(1 - np.exp(-((window / scales()) ** shape)), np.float32)


def in_time_of(features: Features) -> np.ndarray:
    """The same for each impression, [S, N] float32."""
    return in_time().reshape(len(STEPS), -1)[:, _place(features)]


def draw_events(logits: np.ndarray, days: np.ndarray, features: Features, rng: np.random.Generator) -> np.ndarray:
    """Event times in days since the start of the log, [S, N] float64, NaN where a step never happened.

    A step needs the one before to have happened, at whatever time; what would happen after the end of the log is not
    in the log.

    Args:
        logits: the observable part of the step logits, intercepts included, [S, N].
        days: times of the impressions, [N].
        features: complete feature values; delays go by bank and city tier.
        rng: draws what is unobserved, the outcomes, and the delays.
    """
    n = len(days)
    unobserved = rng.standard_normal((UNOBSERVED.shape[1], n), np.float32)
    loads = (LOADINGS @ UNOBSERVED).astype(np.float32)
    chance = rng.random((len(STEPS), n), np.float32)
    times = np.full((len(STEPS), n), np.nan)
    place = _place(features)
    rows, clock = np.arange(n), days
    for step, name in enumerate(STEPS):
        logit = logits[step, rows] + loads[step] @ unobserved[:, rows]
        happened = chance[step, rows] * (1 + np.exp(-logit)) < 1
        rows, clock = rows[happened], clock[happened]
        clock = clock + _delays(step, name, place[rows], rng)
        times[step, rows] = clock
    times[times > DAYS] = np.nan
    return times


def _delays(step: int, name: str, place: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Delays in days, whole milliseconds, at least one."""
    scale = scales()[step].ravel()[place]
    days = scale * rng.standard_exponential(len(place)) ** (1 / DELAYS[name].shape)
    return np.asarray(np.ceil(days * MILLISECONDS) / MILLISECONDS)


def _place(features: Features) -> np.ndarray:
    return features["bank"].astype(np.int32) * 5 + features["city_tier"]
