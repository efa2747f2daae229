"""The ledger: which parts of the simulated truth explain how much of it, computed from the true logits alone."""

from dataclasses import dataclass

import numpy as np

from aitm_kedro.sources.simulation.additive import Design, design, expected_auc, least_squares, logistic
from aitm_kedro.sources.simulation.clock import mature_days
from aitm_kedro.sources.simulation.draws import stream
from aitm_kedro.sources.simulation.events import in_time_of
from aitm_kedro.sources.simulation.intercepts import Truth, truth_at
from aitm_kedro.sources.simulation.logits import GROUPS
from aitm_kedro.sources.simulation.oracle import true_probabilities
from aitm_kedro.sources.simulation.population import Features, draw_features
from aitm_kedro.sources.simulation.settings import STEPS, Rates
from aitm_kedro.sources.simulation.story import LOADINGS, UNOBSERVED
from aitm_kedro.sources.simulation.world import world

# N = impressions, S = steps, G = groups of the ledger

UNOBSERVABLE = "unobservable"
LINES = (*GROUPS, UNOBSERVABLE)
TEST_SHARE = 0.3  # of the mature impressions, the latest: the test split
FIT_SHARE = 0.75  # of the rows are fitted to by addition, on the others it is judged
PRIORS = (0.003, 0.03, 0.3)


@dataclass(frozen=True, kw_only=True)
class StepLedger:
    """One step's account.

    Attributes:
        variance: of the logit of the step, given the step before: the mature impressions and the unobservable.
        shares: {line: share of that variance}, summing to 1. A line's share is the covariance of its addend with the
            whole logit over the variance of the whole.
        additive: share of the variance of the logit's observable part that the best additive function explains.
        end_to_end_additive: the same of the logit of the end-to-end truth.
        rate: mean of the truth.
        auc: expected AUC of the truth on the test part.
        additive_auc: that of the best additive score.
    """

    variance: float
    shares: dict[str, float]
    additive: float
    end_to_end_additive: float
    rate: float
    auc: float
    additive_auc: float


def ledger(rates: Rates, *, rows: int = 1_000_000) -> dict[str, StepLedger]:
    """The account of each step, {step: StepLedger}.

    Args:
        rates: what the intercepts are solved for.
        rows: mature impressions to draw (a minute and 1.5 GB a million).
    """
    truth = truth_at(rates)
    rng = stream("ledger")
    days = mature_days(rows, rng)
    features = draw_features(days, world(), rng)
    accounts = _variances(truth, features, days)
    observable = truth.logits(features, days)
    probabilities = true_probabilities(observable, in_time_of(features)).astype(float)
    table, fit = design(features), (rng.random(rows) < FIT_SHARE).astype(int)
    test = np.arange(rows) >= (1 - TEST_SHARE) * rows
    result = {}
    for step, name in enumerate(STEPS):
        variance, shares = accounts[step]
        explained, auc = _best_additive(table, probabilities[step], fit, test)
        result[name] = StepLedger(
            variance=variance,
            shares=shares,
            additive=_explained(least_squares(table, observable[step], fit), observable[step], fit),
            end_to_end_additive=explained,
            rate=float(probabilities[step].mean()),
            auc=expected_auc(probabilities[step][test], probabilities[step][test]),
            additive_auc=auc,
        )
    return result


def _variances(truth: Truth, features: Features, days: np.ndarray) -> list[tuple[float, dict[str, float]]]:
    """For each step the variance of its logit and the share of each line."""
    parts = truth.effects.logits_by_group(features, days)
    whole = parts.sum(axis=0)
    hidden = np.square(LOADINGS @ UNOBSERVED).sum(axis=1)
    accounts = []
    for step in range(len(STEPS)):
        variance = float(whole[step].var() + hidden[step])
        shares = {
            group: float(np.cov(parts[place, step], whole[step], ddof=0)[0, 1]) / variance
            for place, group in enumerate(GROUPS)
        }
        accounts.append((variance, shares | {UNOBSERVABLE: float(hidden[step]) / variance}))
    return accounts


def _best_additive(rows: Design, probability: np.ndarray, fit: np.ndarray, test: np.ndarray) -> tuple[float, float]:
    """Share of the end-to-end logit's variance and AUC that addition reaches, on rows that were not fitted to.

    Three pulls on rare values are tried, and the least-squares score too; the highest AUC counts.
    """
    judged = test & (fit == 0)
    logit = np.log(probability) - np.log1p(-probability)
    start = least_squares(rows, logit, fit)
    scores = [start] + [logistic(rows, probability, fit, start, prior=prior) for prior in PRIORS]
    return _explained(start, logit, fit), max(expected_auc(score[judged], probability[judged]) for score in scores)


def _explained(score: np.ndarray, target: np.ndarray, fit: np.ndarray) -> float:
    """1 - residual variance / variance, on rows that were not fitted to."""
    held = fit == 0
    return float(1 - (target - score)[held].var() / target[held].var())


def as_markdown(accounts: dict[str, StepLedger]) -> str:
    """The ledger as the docs show it: one column a step."""
    steps = list(accounts.values())
    lines = [("variance of the step's logit", [f"{step.variance:.2f}" for step in steps])]
    lines += [(f"&nbsp;&nbsp;{line}", [f"{100 * step.shares[line]:.1f} %" for step in steps]) for line in LINES]
    lines += [
        ("observable part explained by addition", [f"{100 * step.additive:.0f} %" for step in steps]),
        ("end-to-end logit explained by addition", [f"{100 * step.end_to_end_additive:.0f} %" for step in steps]),
        ("rate, end to end", [f"{100 * step.rate:.4f} %" for step in steps]),
        ("AUC of the truth, test part", [f"{step.auc:.4f}" for step in steps]),
        ("AUC of the best additive score", [f"{step.additive_auc:.4f}" for step in steps]),
    ]
    head = f"| | {' | '.join(accounts)} |\n| --- |{' ---: |' * len(steps)}\n"
    return head + "".join(f"| {what} | {' | '.join(values)} |\n" for what, values in lines)
