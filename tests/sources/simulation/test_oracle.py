"""The truth against brute force, and the ledger."""

import math

import numpy as np
import pytest

from aitm_kedro.sources.simulation import PRESETS, STEPS
from aitm_kedro.sources.simulation.additive import expected_auc
from aitm_kedro.sources.simulation.clock import mature_days
from aitm_kedro.sources.simulation.events import draw_events, in_time_of
from aitm_kedro.sources.simulation.intercepts import truth_at
from aitm_kedro.sources.simulation.ledger import LINES, as_markdown, ledger
from aitm_kedro.sources.simulation.oracle import true_probabilities
from aitm_kedro.sources.simulation.population import draw_features
from aitm_kedro.sources.simulation.settings import Rates
from aitm_kedro.sources.simulation.story import LOADINGS, UNOBSERVED
from aitm_kedro.sources.simulation.world import world

WINDOWS = (1, 1, 1, 14)


@pytest.fixture(scope="module")
def drawn():
    """Complete features, days, logits and truth of 60,000 mature impressions."""
    rng = np.random.default_rng(5)
    days = mature_days(60_000, rng)
    features = draw_features(days, world(), rng)
    logits = truth_at(PRESETS["base"]).logits(features, days)
    return features, days, logits, true_probabilities(logits, in_time_of(features))


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.999])
def test_truth_of_one_row_is_what_happens_when_it_is_lived_many_times(drawn, quantile):
    features, days, logits, truth = drawn
    row = int(np.argsort(truth[3])[int(quantile * (len(days) - 1))])
    times = 400_000
    same = {name: np.repeat(values[row : row + 1], times) for name, values in features.items()}
    lived = draw_events(
        np.repeat(logits[:, row : row + 1], times, axis=1), np.full(times, 1.0), same, np.random.default_rng(1)
    )
    before, counts = np.full(times, 1.0), np.ones(times, bool)
    for step, window in enumerate(WINDOWS):
        with np.errstate(invalid="ignore"):
            counts &= lived[step] - before <= window
        before = lived[step]
        expected = truth[step, row] * times
        assert abs(counts.sum() - expected) < 4.5 * math.sqrt(expected) + 1, STEPS[step]


def test_the_unobservable_is_integrated_exactly(drawn):
    """Against a plain sum over a fine grid of both unobserved variables, in double precision, a row at a time."""
    features, _, logits, truth = drawn
    in_time = in_time_of(features).astype(float)
    grid = np.linspace(-7, 7, 201)
    density = np.exp(-(grid**2) / 2)
    density /= density.sum()
    rows = np.random.default_rng(2).choice(logits.shape[1], 20, replace=False)
    for row in [*rows, int(truth[3].argmax())]:
        chain = np.ones((201, 201))
        for step in range(4):
            mood, circumstances = LOADINGS[step] @ UNOBSERVED
            shift = mood * grid[:, None] + circumstances * grid[None, :]
            chain = chain * in_time[step, row] / (1 + np.exp(-(logits[step, row] + shift)))
            assert truth[step, row] == pytest.approx(density @ chain @ density, rel=2e-4)


def test_noise_matters_for_the_truth(drawn):
    """The mean over the unobservable is not the value at its mean."""
    features, _, logits, truth = drawn
    naive = np.cumprod(in_time_of(features) / (1 + np.exp(-logits)), axis=0)
    assert truth[3].mean() > 1.2 * naive[3].mean()


@pytest.mark.parametrize("preset", PRESETS)
def test_the_upper_bound_lies_where_the_story_puts_it(preset):
    rng = np.random.default_rng(11)
    days = mature_days(250_000, rng)
    features = draw_features(days, world(), rng)
    truth = true_probabilities(truth_at(PRESETS[preset]).logits(features, days), in_time_of(features))
    test = slice(int(0.7 * len(days)), None)
    approval, activation = (expected_auc(truth[step, test], truth[step, test]) for step in (2, 3))
    assert 0.865 < approval < 0.895
    assert 0.885 < activation < 0.935


def test_intercepts_reach_any_rates():
    rates = Rates(click=0.5, application=0.3, approval=0.1, activation=0.05)
    rng = np.random.default_rng(3)
    days = mature_days(50_000, rng)
    features = draw_features(days, world(), rng)
    truth = true_probabilities(truth_at(rates).logits(features, days), in_time_of(features))
    assert truth.mean(axis=1) == pytest.approx(rates.values, rel=0.04)


def test_expected_auc_is_that_of_many_drawn_labels():
    rng = np.random.default_rng(0)
    probability = rng.beta(1, 6, 300)
    score = np.round(probability + rng.normal(0, 0.05, 300), 1)  # ties on purpose
    above = (score[:, None] > score) + 0.5 * (score[:, None] == score)
    weight = probability[:, None] * (1 - probability)
    np.fill_diagonal(weight, 0)
    by_pairs = (weight * above).sum() / weight.sum()
    assert expected_auc(score, probability) == pytest.approx(by_pairs, abs=2e-3)


def test_ledger_sums_to_one_and_addition_is_about_half():
    accounts = ledger(PRESETS["base"], rows=60_000)
    assert tuple(accounts) == STEPS
    for account in accounts.values():
        assert tuple(account.shares) == LINES
        assert sum(account.shares.values()) == pytest.approx(1, abs=1e-6)
        assert account.shares["unobservable"] > 0.1
        assert 0.4 < account.additive < 0.7
        assert account.additive_auc < account.auc - 0.01
    assert "unobservable" in as_markdown(accounts)
