"""Noise of the simulated log: lost values, inconsistent labels, clocks that run backwards, duplicated impressions.

Rows are chosen without a look at their features or at what came of them, so that the rows that stay clean are a
random sample and the truth stays true of them.
"""

import numpy as np

from aitm_kedro.sources.simulation.population import Features
from aitm_kedro.sources.simulation.settings import Noise

# N = impressions, S = steps

# Share of the values that are lost, on top of those that do not exist.
LOST = {
    "income_index": 0.05,
    "payment_delay_days": 0.03,
    "installment_share": 0.02,
    "tenure_days": 0.01,
    "sessions_7d": 0.01,
    "place_of_interest": 0.04,
    "occupation": 0.05,
    "education": 0.08,
    "city": 0.01,
    "search_topic": 0.1,
}

_MINUTE = 1 / 1440  # of a day

# Steps of an impossible sequence: 1 it is in the log, 0 it is not.
_INCONSISTENT = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 0, 1], [1, 1, 0, 1]], bool)


def lose_values(rows: int, rng: np.random.Generator) -> Features:
    """{field: [N] bool, True where the value is lost}."""
    return {field: rng.random(rows, np.float32) < share for field, share in LOST.items()}


def spoil_events(times: np.ndarray, days: np.ndarray, noise: Noise, rng: np.random.Generator) -> None:
    """Overwrite the event times [S, N] of some rows, in place.

    Some get inconsistent labels, one of four impossible sequences (a step without the one before); others go backwards:
    an application that is earlier than its click, sometimes also an approval.
    """
    chance = rng.random(len(days), np.float32)
    inconsistent = np.flatnonzero(chance < noise.illegal)
    backwards = np.flatnonzero((chance >= noise.illegal) & (chance < noise.illegal + noise.backwards))
    pattern = _INCONSISTENT[rng.integers(0, len(_INCONSISTENT), len(inconsistent))].T
    minutes = np.cumsum(rng.integers(1, 60, (len(times), len(inconsistent))), axis=0)
    times[:, inconsistent] = np.where(pattern, days[inconsistent] + minutes * _MINUTE, np.nan)
    click, early, late = rng.integers(1, 30, (3, len(backwards)))
    times[:, backwards] = np.nan
    times[0, backwards] = days[backwards] + (click + early) * _MINUTE
    times[1, backwards] = days[backwards] + click * _MINUTE
    times[2, backwards] = np.where(late > 15, days[backwards] + (click + early + late) * _MINUTE, np.nan)


def copies(rows: int, noise: Noise, rng: np.random.Generator) -> np.ndarray:
    """Row numbers in order, duplicated rows twice, [rows + duplicates] int64."""
    twice = rng.random(rows, np.float32) < noise.duplicated
    return np.repeat(np.arange(rows), 1 + twice)
