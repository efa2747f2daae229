"""Label leakage: results that are too good to be true, and the features that tell a step by themselves."""

import logging

import numpy as np

from aitm_kedro.core.examples import Examples
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.evaluation.results import Metrics
from aitm_kedro.learning.history import RunHistory
from aitm_kedro.tables.sentences import join_names

logger = logging.getLogger(__name__)

TOO_GOOD, TELLS = 0.999, 0.99
"""AUC from which on a model is too good to be true, and from which on a feature alone tells a step."""

ENOUGH = 10
"""Rows of each class of a step from which on so high an AUC is no matter of chance."""

# N = rows, M = values of all rows


def warn_of_leakage(history: RunHistory, train: Examples, valid: Examples) -> None:
    """Say so if a single feature tells a step on validation, or if the model predicts it nearly without fault.

    A model that learns is hardly below its best feature, so features are looked at only where the model is good.

    Args:
        history: of the training.
        train: what it learnt from.
        valid: what it was validated by.
    """
    for step, found in history.valid_auc.items():
        if found is None or found < TELLS or not _has_enough(step, valid):
            continue
        alone = {name: _auc_alone(name, step, train, valid) for name in valid.fields}
        telling = sorted((name for name in alone if alone[name] >= TELLS), key=lambda name: -alone[name])
        if telling or found >= TOO_GOOD:
            names = join_names([f"'{name}' (AUC {alone[name]:.4f})" for name in telling])
            logger.warning(
                f"'{history.run}' with seed {history.seed} predicts '{step}' nearly without fault (validation AUC "
                f"{found:.4f}), and {_who(len(telling), names)}; is a feature known only after the step, or a copy of "
                "the label? Such a feature has to leave 'features'."
            )


def warn_of_faultless_test(history: RunHistory, metrics: Metrics) -> None:
    """Say so if a step is predicted nearly without fault on test alone; of validation it is said after training."""
    for step, found in metrics.test.steps.items() if metrics.test else ():
        valid_auc = history.valid_auc.get(step)
        is_faultless = found.auc is not None and found.auc >= TOO_GOOD and found.positives >= ENOUGH
        if is_faultless and (valid_auc is None or valid_auc < TOO_GOOD):
            on_valid = "undefined" if valid_auc is None else f"{valid_auc:.4f}"
            logger.warning(
                f"'{history.run}' with seed {history.seed} predicts '{step}' nearly without fault on test (AUC "
                f"{found.auc:.4f}), but not on validation (AUC {on_valid}); does a feature of the test rows hold what "
                "became known after the step?"
            )


def _who(count: int, names: str) -> str:
    if not count:
        return "no single feature tells it by itself"
    return f"by {'itself this feature tells' if count == 1 else 'themselves these features tell'} it, too: {names}"


def _has_enough(step: str, valid: Examples) -> bool:
    labels = valid.counted_labels[:, valid.steps.index(step)]
    positives = int(labels.sum(dtype=np.int64))
    return min(positives, len(labels) - positives) >= ENOUGH


def _auc_alone(name: str, step: str, train: Examples, valid: Examples) -> float:
    """Validation AUC of the rate of a step by the ids of one feature, as train has them; 0.5 where it is undefined.

    Null has an id as well. Of a list, the mean of its ids' rates counts; of a number, its value too, either way round.
    """
    happened = valid.labels[:, valid.steps.index(step)]
    row, ids = _pairs(name, valid)
    rates = _rates(name, step, train, ids_at_least=int(ids.max(initial=0)) + 1)
    scores = np.bincount(row, rates[ids], minlength=len(valid)) / np.bincount(row, minlength=len(valid))
    found = auc(happened, scores, valid.row_weights) or 0.5
    if name not in valid.numeric:
        return found
    values = valid.values[:, valid.numeric.index(name)]
    by_value = auc(happened, np.where(np.isnan(values), -np.inf, values), valid.row_weights) or 0.5
    return max(found, by_value, 1 - by_value)


def _rates(name: str, step: str, train: Examples, *, ids_at_least: int) -> np.ndarray:
    """Rate of a step for every id of a feature, smoothed by one row of the mean rate; float64 [ids]."""
    labels = train.labels[:, train.steps.index(step)]
    row, ids = _pairs(name, train)
    positives = np.bincount(ids, labels[row], minlength=ids_at_least)
    return np.asarray((positives + labels.mean()) / (np.bincount(ids, minlength=ids_at_least) + 1))


def _pairs(name: str, examples: Examples) -> tuple[np.ndarray, np.ndarray]:
    """Row and id of every value of a feature, [M] each; no row is without one."""
    rows = np.arange(len(examples))
    if name not in examples.lists:
        return rows, examples.ids[:, examples.single_fields.index(name)]
    lists = examples.lists[name]
    return np.repeat(rows, lists.lengths), lists.values
