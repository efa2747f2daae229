"""Drift: how far two samples of a variable differ, by the population stability index, and whether that may be chance.

The population stability index (PSI) of two histograms over the same B bins, with shares p_b of the reference and q_b of
the current sample, is

    PSI = sum over b of (q_b - p_b) * ln(q_b / p_b),

the symmetric Kullback-Leibler (Jeffreys) divergence (Siddiqi, Credit Risk Scorecards, 2006, from where the thresholds
0.1 and 0.25 are known as well). Where both samples, of N and M rows, come from the same distribution, PSI is
approximately (1/N + 1/M) times a chi-squared variable with B - 1 degrees of freedom (Yurdakul, Statistical Properties
of Population Stability Index, 2018, https://scholarworks.wmich.edu/dissertations/3208): small tables show a large PSI
by chance alone.
"""

import math
from typing import Literal, NamedTuple

import numpy as np

# B = bins

MODERATE_PSI = 0.1
"""From here on a distribution has changed somewhat, beyond chance."""

LARGE_PSI = 0.25
"""From here on it is another one: what was learnt from the reference need not hold."""

MODERATE_RATIO = 1.25
"""Rates that differ by this factor (either way) have changed somewhat; PSI hardly sees a rare step double."""

LARGE_RATIO = 1.5
"""Rates that differ by this factor are different ones: a prediction that was right is wrong by half."""

SMOOTHING = 0.5
"""Added to the count of every bin, so that a bin that is empty in one of the samples gives no infinite PSI."""

DEVIATIONS = 4.0
"""Standard deviations above what is expected by chance from which on a difference is not called chance; a table has
dozens of features, of which none should be named for nothing."""

Level = Literal["none", "moderate", "large"]

_LEVELS: tuple[Level, ...] = ("none", "moderate", "large")


class Drift(NamedTuple):
    """How far two histograms differ.

    Attributes:
        psi: the population stability index.
        by_chance: the PSI that two samples of the same distribution would show on average.
        level: of what is above ``by_chance``; 'none' if the PSI is within ``DEVIATIONS`` of it.
    """

    psi: float
    by_chance: float
    level: Level


class RateDrift(NamedTuple):
    """How far two rates differ.

    Attributes:
        psi: of the histograms of two bins, happened or not.
        by_chance: the PSI expected by chance.
        ratio: the current rate divided by the reference, smoothed.
        level: the higher one of PSI and ratio; 'none' if the difference may be chance.
    """

    psi: float
    by_chance: float
    ratio: float
    level: Level


def population_stability_index(reference: np.ndarray, current: np.ndarray) -> Drift:
    """PSI of two histograms, and whether it is more than chance.

    Args:
        reference: counts [B], such as those of train.
        current: counts [B] by the same bins, such as those of test or of last week.

    Raises:
        ValueError: the histograms have different bins, or one of them has no rows.

    Example:
        >>> drift = population_stability_index(np.array([500, 500]), np.array([900, 100]))
        >>> round(drift.psi, 2), drift.by_chance, drift.level
        (0.88, 0.002, 'large')
    """
    if reference.shape != current.shape or reference.ndim != 1:
        raise ValueError(f"histograms have the bins {reference.shape} and {current.shape}; give both the same, [B]")
    rows, other_rows = float(reference.sum()), float(current.sum())
    if not rows or not other_rows:
        raise ValueError(f"histograms have {rows:g} and {other_rows:g} rows; each needs at least one")
    seen = (reference > 0) | (current > 0)
    p, q = _smooth_shares(reference[seen]), _smooth_shares(current[seen])
    psi = float(np.sum((q - p) * np.log(q / p)))
    freedom, unit = int(seen.sum()) - 1, 1 / rows + 1 / other_rows
    by_chance = freedom * unit
    is_chance = psi <= by_chance + DEVIATIONS * math.sqrt(2 * freedom) * unit
    level = "none" if is_chance else _level(psi - by_chance, MODERATE_PSI, LARGE_PSI)
    return Drift(psi=psi, by_chance=by_chance, level=level)


def compare_rates(positives: int, rows: int, other_positives: int, other_rows: int) -> RateDrift:
    """PSI and ratio of two rates, and whether they are more than chance.

    The logarithm of the ratio has approximately the variance 1/k - 1/n + 1/l - 1/m for k of n and l of m rows (Katz et
    al., Biometrics 34, 1978), with ``SMOOTHING`` added to each count.

    Args:
        positives: of the reference.
        rows: of the reference.
        other_positives: of the current sample.
        other_rows: of the current sample.

    Raises:
        ValueError: there are no rows.

    Example:
        >>> compare_rates(300, 100_000, 700, 100_000).level
        'large'
    """
    histograms = np.array([positives, rows - positives]), np.array([other_positives, other_rows - other_positives])
    drift = population_stability_index(*histograms)
    k, n, other_k, other_n = (count + SMOOTHING for count in (positives, rows, other_positives, other_rows))
    ratio = (other_k / other_n) / (k / n)
    deviation = math.sqrt(1 / k - 1 / n + 1 / other_k - 1 / other_n)
    is_chance = abs(math.log(ratio)) <= DEVIATIONS * deviation
    by_ratio = "none" if is_chance else _level(max(ratio, 1 / ratio), MODERATE_RATIO, LARGE_RATIO)
    return RateDrift(
        psi=drift.psi, by_chance=drift.by_chance, ratio=ratio, level=max(by_ratio, drift.level, key=_LEVELS.index)
    )


def _smooth_shares(counts: np.ndarray) -> np.ndarray:
    """Share of each bin [B], none of them 0."""
    smoothed = counts + SMOOTHING
    return np.asarray(smoothed / smoothed.sum())


def _level(value: float, moderate: float, large: float) -> Level:
    return "large" if value >= large else "moderate" if value >= moderate else "none"
