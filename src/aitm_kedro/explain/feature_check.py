"""The feature check: which features make predictions on later rows worse, and are better left out.

A feature that says much of train and nothing, or something else, of later rows (an id of what is gone by then, a
counter that has moved on) costs every model accuracy. Such a feature is found by permutation importance (Breiman, 2001,
https://doi.org/10.1023/A:1010933404324; Fisher et al., 2019, https://arxiv.org/abs/1801.01489): if its values are
shuffled among the rows of validation, the AUC rises. The model is one-hot logistic regression, in which a feature adds
a number to the log-odds of a row, so that to shuffle it is to shuffle these numbers.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from pydantic import Field
from scipy.special import ndtri

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Provenance, Result, fingerprint_of
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.evaluation.significance import influences
from aitm_kedro.explain.parameters import FeatureCheckMode
from aitm_kedro.learning.logistic import LogisticModel
from aitm_kedro.learning.registry import build

logger = logging.getLogger(__name__)

# N = rows, T = steps

SIGNIFICANCE = 0.05
"""Chance, over all features together, of finding a harmless one harmful in one half of validation."""

SHUFFLES = 5
"""Of each feature, whose mean counts."""

TRAIN_ROWS, HALF_ROWS = 200_000, 50_000
"""Rows drawn of train, and of each half of validation, where there are more."""

Halves = tuple[float, float]
"""A number of the first half of validation, and of the second."""


class FeatureGain(Result):
    """What becomes of the mean AUC over steps without a feature, in both halves of validation."""

    shuffled: Halves = Field(description="change where its values are shuffled among the rows; above 0: it harms")
    at_least: Halves | None = Field(
        None,
        description="lower confidence bounds, for all features together; null: the AUC does not rise in both halves",
    )
    refitted: Halves | None = Field(
        None, description="change where the model is fitted without it; null: not tried, for want of a suspicion"
    )

    @property
    def is_suspect(self) -> bool:
        """Whether the AUC certainly rises in both halves if it is shuffled."""
        return self.at_least is not None and min(self.at_least) > 0

    @property
    def harms(self) -> bool:
        """Whether it does so in both halves, and a model without it is better in both."""
        return self.refitted is not None and min(self.refitted) > 0


class FeatureCheck(Result):
    """What the feature check has found.

    Attributes:
        mode: of the check.
        note: why nothing was checked, else "".
        auc: mean over steps with all features, in both halves of validation.
        gains: by feature, in the order of the fields.
        dropped: features that runs are trained without.
        provenance: where it comes from.
    """

    mode: FeatureCheckMode
    note: str = ""
    auc: Halves | None = None
    gains: dict[str, FeatureGain] = Field(default_factory=dict)
    dropped: tuple[str, ...] = ()
    provenance: Provenance

    def choice(self) -> str:
        """Twelve hexadecimal digits that tell which features are dropped, whyever they are."""
        return fingerprint_of(_Choice(dropped=self.dropped))

    def describe(self) -> str:
        """A sentence on the features that make predictions worse; "" if there are none."""
        if not self.harmful:
            return ""
        named = ", ".join(
            f"'{name}' ({gain.refitted[0]:+.4f} and {gain.refitted[1]:+.4f} without it)"
            for name in self.harmful
            if (gain := self.gains[name]).refitted is not None
        )
        what = "makes" if len(self.harmful) == 1 else "make"
        return (
            f"{named} {what} predictions on validation worse (mean AUC of a logistic regression over all steps, in the "
            f"first and the second half), and {'is' if what == 'makes' else 'are'} "
            f"{'left out of all runs (feature_check: drop)' if self.dropped else 'kept (feature_check: report)'}."
        )

    @property
    def harmful(self) -> list[str]:
        """Features that make predictions worse."""
        return [name for name, gain in self.gains.items() if gain.harms]


class _Choice(Result):
    """What runs are trained by."""

    dropped: tuple[str, ...]


class _Half(NamedTuple):
    """Rows of a half of validation, and a model's log-odds of them [N, T]."""

    examples: Examples
    log_odds: np.ndarray

    def mean_auc(self, log_odds: np.ndarray) -> float:
        """Mean AUC over steps."""
        labels, weights = self.examples.labels, self.examples.row_weights
        aucs = [auc(labels[:, t], log_odds[:, t], weights) for t in range(labels.shape[1])]
        return float(np.mean(aucs))  # type: ignore[arg-type]  # both classes of every step are there

    def influences(self, log_odds: np.ndarray) -> np.ndarray:
        """Of the mean AUC, [N]."""
        labels, weights = self.examples.labels, self.examples.row_weights
        each = [influences(labels[:, t], log_odds[:, t], weights) for t in range(labels.shape[1])]
        return np.asarray(np.mean(each, axis=0))


def check_features(
    train: Examples,
    halves: Sequence[Examples],
    *,
    features: Sequence[FeatureSpec],
    funnel: Funnel,
    mode: FeatureCheckMode,
    provenance: Provenance,
) -> FeatureCheck:
    """Find the features that make predictions worse.

    A feature is suspected if shuffling it raises the mean AUC over steps in each of the halves, by a one-sided bound at
    ``SIGNIFICANCE`` over the number of features. Suspects are left out one after another, the worst first, and each
    stays out if the model without it is better in both halves.

    Args:
        train: what to fit.
        halves: two parts of validation; where there is time, the earlier and the later one.
        features: specs of the fields, in their order.
        funnel: the steps.
        mode: ``off``: nothing is checked; ``drop``: what harms is dropped.
        provenance: of what is given here.

    Raises:
        InputError: every feature harms, so that none would be left.
    """
    random = np.random.default_rng(0)
    if mode == "off":
        return FeatureCheck(mode=mode, note="feature_check is off", provenance=provenance)
    train = _draw(train, TRAIN_ROWS, random)
    halves = [_draw(half, HALF_ROWS, random) for half in halves]
    steps = _steps_of_both_classes([train, *halves])
    if not steps or len(features) < 2:
        note = "validation is too small, or train has a single class" if len(features) > 1 else "there is one feature"
        logger.warning("Features were not checked: %s.", note)
        return FeatureCheck(mode=mode, note=note, provenance=provenance)
    train, halves = train.of_steps(steps), [half.of_steps(steps) for half in halves]
    model, rated = _fit(train, halves, features, funnel)
    gains = _shuffle_each(model, rated, random)
    gains = _refit_without(gains, train, rated, features, funnel)
    found = FeatureCheck(mode=mode, auc=_mean_aucs(rated), gains=gains, provenance=provenance)
    if len(found.harmful) == len(features) and mode == "drop":
        raise InputError(
            "feature_check is 'drop', and would leave no feature: each of them makes predictions on validation worse; "
            "does validation hold the same kind of rows as train? Set feature_check to 'report', and see drift_report"
        )
    return found.model_copy(update={"dropped": tuple(found.harmful)}) if mode == "drop" else found


def _fit(
    train: Examples, halves: Sequence[Examples], features: Sequence[FeatureSpec], funnel: Funnel
) -> tuple[LogisticModel, list[_Half]]:
    """A model, and its log-odds of both halves."""
    valid = halves[0] if len(halves[0]) >= len(halves[1]) else halves[1]
    model = build("logistic").fit(train, valid, features=features, funnel=funnel, seed=0)
    assert isinstance(model, LogisticModel)
    return model, [_Half(half, _log_odds(model, half)) for half in halves]


def _log_odds(model: LogisticModel, examples: Examples) -> np.ndarray:
    result = np.tile(model.intercepts.astype(np.float64), (len(examples), 1))
    for _, added in model.contributions(examples):
        result += added
    return result


def _shuffle_each(model: LogisticModel, halves: Sequence[_Half], random: np.random.Generator) -> dict[str, FeatureGain]:
    """Change of the mean AUC where a feature is shuffled, in both halves, and its bound where it rises in both."""
    sigmas = -ndtri(SIGNIFICANCE / len(model.spec.features))
    before = [half.mean_auc(half.log_odds) for half in halves]
    gains = {}
    for (name, first), (_, second) in zip(*(model.contributions(half.examples) for half in halves), strict=True):
        shuffled = [_shuffle(half, added, random) for half, added in zip(halves, (first, second), strict=True)]
        changes = [
            np.array([half.mean_auc(scores) for scores in each]) - own
            for half, each, own in zip(halves, shuffled, before, strict=True)
        ]
        gain = (float(changes[0].mean()), float(changes[1].mean()))
        at_least: Halves | None = None
        if min(gain) > 0:  # errors take four times as long as all else, and most features are of use
            errors = [_error(*each) for each in zip(halves, shuffled, changes, strict=True)]
            at_least = (gain[0] - sigmas * errors[0], gain[1] - sigmas * errors[1])
        gains[name] = FeatureGain(shuffled=gain, at_least=at_least)
    return gains


def _shuffle(half: _Half, added: np.ndarray, random: np.random.Generator) -> list[np.ndarray]:
    """Log-odds [N, T] with what a feature adds to them given to other rows, ``SHUFFLES`` times."""
    return [half.log_odds - added + added[random.permutation(len(added))] for _ in range(SHUFFLES)]


def _error(half: _Half, shuffled: Sequence[np.ndarray], changes: np.ndarray) -> float:
    """Standard error of the mean change of the AUC: of the rows judged, and of the shuffles."""
    moved = np.mean([half.influences(scores) for scores in shuffled], axis=0) - half.influences(half.log_odds)
    return float((moved @ moved + changes.var(ddof=1) / len(changes)) ** 0.5)


def _refit_without(
    gains: Mapping[str, FeatureGain],
    train: Examples,
    halves: Sequence[_Half],
    features: Sequence[FeatureSpec],
    funnel: Funnel,
) -> dict[str, FeatureGain]:
    """Leave suspects out one after another, the worst first; those without which the model is better stay out."""
    checked = dict(gains)
    suspects = {name: min(gain.at_least) for name, gain in gains.items() if gain.at_least and gain.is_suspect}
    kept, before = list(features), _mean_aucs(halves)
    for name in sorted(suspects, key=lambda suspect: -suspects[suspect]):
        without = [spec for spec in kept if spec.name != name]
        if (
            not without
        ):  # the last one, without which nothing can be fitted: it harms, if it makes things worse than 1/2
            after: Halves = (0.5, 0.5)
        else:
            names = [spec.name for spec in without]
            parts = [half.examples.of_fields(names) for half in halves]
            after = _mean_aucs(_fit(train.of_fields(names), parts, without, funnel)[1])
        change = (after[0] - before[0], after[1] - before[1])
        checked[name] = gains[name].model_copy(update={"refitted": change})
        if checked[name].harms:
            kept, before = without, after
    return checked


def _mean_aucs(halves: Sequence[_Half]) -> Halves:
    first, second = (half.mean_auc(half.log_odds) for half in halves)
    return first, second


def _steps_of_both_classes(parts: Sequence[Examples]) -> list[str]:
    missing = {step for part in parts for step in part.steps_of_one_class()}
    return [step for step in parts[0].steps if step not in missing]


def _draw(examples: Examples, at_most: int, random: np.random.Generator) -> Examples:
    if len(examples) <= at_most:
        return examples
    return examples.take(np.sort(random.choice(len(examples), at_most, replace=False)))
