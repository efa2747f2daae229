import math

import numpy as np
import pytest

from aitm_kedro.evaluation.stability import LARGE_PSI, MODERATE_PSI, compare_rates, population_stability_index


def reference_psi(reference, current) -> float:
    """The sum over bins, one by one, of smoothed shares."""
    pairs = [(a + 0.5, b + 0.5) for a, b in zip(reference, current, strict=True) if a or b]
    total, other = sum(a for a, _ in pairs), sum(b for _, b in pairs)
    return sum((b / other - a / total) * math.log((b / other) / (a / total)) for a, b in pairs)


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_sum_over_bins(seed):
    draw = np.random.default_rng(seed)
    reference, current = draw.integers(0, 50, 12), draw.integers(0, 50, 12)
    reference[:3] = 0
    current[2:5] = 0
    found = population_stability_index(reference, current)
    assert found.psi == pytest.approx(reference_psi(reference, current))
    bins = ((reference > 0) | (current > 0)).sum()
    assert found.by_chance == pytest.approx((bins - 1) * (1 / reference.sum() + 1 / current.sum()))


def test_a_known_value():
    """Shares 0.2, 0.3, 0.5 against 0.3, 0.3, 0.4, of so many rows that smoothing does not count."""
    found = population_stability_index(np.array([2, 3, 5]) * 10**8, np.array([3, 3, 4]) * 10**7)
    assert found.psi == pytest.approx(0.1 * math.log(1.5) - 0.1 * math.log(0.8), rel=1e-6)
    assert found.level == "none"


def test_thresholds():
    reference = np.array([500_000, 500_000])
    levels = {
        share: population_stability_index(reference, np.array([1 - share, share]) * 1e6) for share in (0.6, 0.7, 0.8)
    }
    assert [drift.level for drift in levels.values()] == ["none", "moderate", "large"]
    assert levels[0.6].psi < MODERATE_PSI < levels[0.7].psi < LARGE_PSI < levels[0.8].psi


def test_disjoint_and_empty_bins_stay_finite():
    found = population_stability_index(np.array([1000, 0, 0]), np.array([0, 1000, 0]))
    assert found.level == "large"
    assert math.isfinite(found.psi)
    assert population_stability_index(np.array([7, 0]), np.array([3, 0])) == (0, 0, "none")


@pytest.mark.parametrize(("rows", "other"), [(60, 40), (1000, 300), (100_000, 500)])
@pytest.mark.parametrize("bins", [2, 33])
def test_the_same_distribution_hardly_ever_looks_like_drift(rows, other, bins):
    """Though PSI lies above 0.25 as a rule in small tables of many bins; its mean is what is expected by chance."""
    draw = np.random.default_rng(0)
    shares = 1 / np.arange(1, bins + 1)
    shares /= shares.sum()
    found = [
        population_stability_index(draw.multinomial(rows, shares), draw.multinomial(other, shares)) for _ in range(500)
    ]
    assert sum(drift.level != "none" for drift in found) <= 7
    if rows >= 1000:
        assert np.mean([drift.psi for drift in found]) == pytest.approx(found[0].by_chance, rel=0.15)


def test_real_drift_is_seen_in_a_small_table():
    assert population_stability_index(np.array([90, 10]), np.array([50, 50])).level == "large"


def test_bad_histograms_are_refused():
    with pytest.raises(ValueError, match=r"the bins \(2,\) and \(3,\)"):
        population_stability_index(np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match="have 0 and 2 rows"):
        population_stability_index(np.zeros(2), np.ones(2))


@pytest.mark.parametrize(
    ("positives", "other", "level"),
    [(240, 250, "none"), (2400, 3200, "moderate"), (2400, 4000, "large"), (4000, 2400, "large"), (2400, 0, "large")],
)
def test_rare_steps_are_judged_by_their_ratio(positives, other, level):
    """Of a million rows, of which PSI would say nothing."""
    found = compare_rates(positives, 1_000_000, other, 1_000_000)
    assert found.psi < MODERATE_PSI
    assert found.level == level
    assert found.ratio == pytest.approx(other / positives, abs=0.01)


def test_common_steps_are_judged_by_psi():
    assert compare_rates(990, 1000, 800, 1000).level == "large"


def test_few_positives_may_be_chance():
    assert compare_rates(3, 10_000, 9, 10_000).level == "none"
    assert compare_rates(0, 100, 0, 100).level == "none"
