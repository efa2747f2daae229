"""Nodes of modelling."""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds

from aitm_kedro.artifacts.correction import correct, row_keep_rates
from aitm_kedro.comparison.scores import tidy_scores
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.funnel import IMPRESSION_ID, Funnel
from aitm_kedro.core.parameters import MACHINE, Parameters
from aitm_kedro.evaluation.metrics import evaluate_predictions
from aitm_kedro.evaluation.oracle import align_truth, differing_steps
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.evaluation.significance import place_rows
from aitm_kedro.learning import lightgbm, logistic
from aitm_kedro.learning.description import Description
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.training import run
from aitm_kedro.learning.weights import Boosters, Weights

logger = logging.getLogger(__name__)


def train_network(
    train_examples: Examples,
    valid_examples: Examples,
    vocabulary: pd.DataFrame,
    funnel: Funnel,
    options: Parameters,
    training: Training,
    *,
    model: str,
    seed: int,
) -> tuple[Weights, dict[str, Any]]:
    """Train the network called ``model``."""
    sizes = vocabulary_sizes(vocabulary)
    train, valid = _read(train_examples, valid_examples, fields=list(sizes), funnel=funnel)
    weights, history = run.train_network(
        model,
        train,
        valid,
        vocabulary_sizes=list(sizes.values()),
        main_steps=funnel.main_steps,
        options=options,
        training=training,
        seed=seed,
    )
    return weights, history | _origin(train, valid, options, model=model, funnel=funnel, training=training)


def train_lightgbm(
    train_examples: Examples,
    valid_examples: Examples,
    vocabulary: pd.DataFrame,
    funnel: Funnel,
    options: lightgbm.LightGBMOptions,
    *,
    seed: int,
) -> tuple[Boosters, dict[str, Any]]:
    """Boost trees for every step."""
    sizes = vocabulary_sizes(vocabulary)
    train, valid = _read(train_examples, valid_examples, fields=list(sizes), funnel=funnel)
    numeric = vocabulary.loc[vocabulary["kind"] == "numeric", "feature"].unique()
    if set(numeric) != set(train.values):
        raise InputError(
            f"the examples lack the values of {sorted(set(numeric) - set(train.values))}, which 'lightgbm' reads "
            f"instead of bins; run preparation again"
        )
    models, history = lightgbm.train_lightgbm(
        train, valid, vocabulary_sizes=list(sizes.values()), options=options, seed=seed
    )
    return models, history | _origin(train, valid, options, model="lightgbm", funnel=funnel)


def train_logistic(
    train_examples: Examples,
    valid_examples: Examples,
    vocabulary: pd.DataFrame,
    funnel: Funnel,
    options: logistic.LogisticOptions,
) -> tuple[Weights, dict[str, Any]]:
    """Fit the yardstick; nothing in it is drawn, so it has no seed."""
    sizes = vocabulary_sizes(vocabulary)
    train, valid = _read(train_examples, valid_examples, fields=list(sizes), funnel=funnel)
    weights, history = logistic.train_logistic(train, valid, vocabulary_sizes=list(sizes.values()), options=options)
    return weights, history | _origin(train, valid, options, model="logistic", funnel=funnel)


def predict_test(
    weights: Weights, test_examples: Examples, sampling_report: Mapping[str, Any], funnel: Funnel, training: Training
) -> pd.DataFrame:
    """Predict the test split with a network, and undo the downsampling of its training rows."""
    return _predict(
        weights,
        test_examples,
        sampling_report,
        funnel,
        lambda x: run.predict_with_network(weights, x, training=training),
    )


def predict_test_lightgbm(
    weights: Boosters, test_examples: Examples, sampling_report: Mapping[str, Any], funnel: Funnel
) -> pd.DataFrame:
    """Predict the test split with boosted trees, and undo the downsampling of their training rows."""
    return _predict(
        weights,
        test_examples,
        sampling_report,
        funnel,
        lambda x: lightgbm.predict_with_lightgbm(weights, x),
    )


def predict_test_logistic(
    weights: Weights, test_examples: Examples, sampling_report: Mapping[str, Any], funnel: Funnel
) -> pd.DataFrame:
    """Predict the test split with the yardstick, and undo the downsampling of its training rows."""
    return _predict(
        weights, test_examples, sampling_report, funnel, lambda x: logistic.predict_with_logistic(weights, x)
    )


def evaluate(
    predictions: pd.DataFrame,
    history: Mapping[str, Any],
    test_examples: Examples,
    funnel: Funnel,
    evaluation: Evaluation,
    *,
    model: str,
    seed: int,
) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Judge a model's predictions of the test split.

    Returns:
        metrics; scores, the same one number a row; placements of test rows, for paired tests against other models.
    """
    examples = test_examples.of_fields(()).of_steps(funnel.steps)  # else its fingerprint would read all features
    if not np.array_equal(examples.impression_id, predictions[IMPRESSION_ID].to_numpy()):
        raise InputError(
            f"the predictions of '{model}' are not of the rows of test_examples, so they come from different runs; run "
            f"modelling again"
        )
    raw = predictions[[f"{step}_raw" for step in funnel.steps]].to_numpy()
    corrected = predictions[list(funnel.steps)].to_numpy()
    metrics = {"model": model, "seed": seed} | evaluate_predictions(
        examples.labels, raw, corrected, steps=funnel.steps, segment=examples.segment, options=evaluation
    )
    metrics |= _judged(examples, evaluation)
    return metrics, tidy_scores(metrics, history), place_rows(examples.labels, raw, steps=funnel.steps)


def evaluate_oracle(
    oracle: ds.Dataset, test_examples: Examples, funnel: Funnel, evaluation: Evaluation
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Judge the truth itself on the test split, where the source tells it: metrics, and the same one number a row."""
    examples = test_examples.of_fields(()).of_steps(funnel.steps)  # else its fingerprint would read all features
    truth = align_truth(oracle.to_batches(), examples.impression_id, steps=funnel.steps)
    metrics = {"model": "oracle", "seed": None} | _judged(examples, evaluation, funnel=funnel)
    if truth is None:
        metrics |= {"note": "no truth is known for this source", "steps": {}}
        return metrics, tidy_scores(metrics)
    for step in differing_steps(truth, examples.labels, steps=funnel.steps):
        logger.warning(
            "The truth of '%s' is not of these labels: their rates differ by far more than chance allows. The source "
            "knows the truth for its own windows; with other funnel.windows or labels.policy it is no ceiling.",
            step,
        )
    metrics |= evaluate_predictions(
        examples.labels, truth, truth, steps=funnel.steps, segment=examples.segment, options=evaluation
    )
    return metrics, tidy_scores(metrics)


def vocabulary_sizes(vocabulary: pd.DataFrame) -> dict[str, int]:
    """How many ids each field has, in the order of the fields."""
    largest = vocabulary.groupby("feature", sort=False)["id"].max()
    return {str(field): int(last) + 1 for field, last in largest.items()}


def _read(train: Examples, valid: Examples, *, fields: Sequence[str], funnel: Funnel) -> tuple[Examples, Examples]:
    """Train and validation as a model sees them."""
    return train.of_fields(fields).of_steps(funnel.steps), valid.of_fields(fields).of_steps(funnel.steps)


def _origin(
    train: Examples,
    valid: Examples,
    options: Parameters,
    *,
    model: str,
    funnel: Funnel,
    training: Training | None = None,
) -> dict[str, Any]:
    """What a model came from: the rows it learnt from, and the parameters.

    A comparison sees by it whether models learnt from the same and in the same way, and a benchmark that goes on after
    a stop, whether a model is still up to date.
    """
    used: dict[str, Any] = {"funnel": _plain(funnel), model: _plain(options)}
    if training is not None:
        used["training"] = _plain(training)
    default = _plain(type(options)())
    changed = {name: value for name, value in used[model].items() if value != default[name] and name not in MACHINE}
    common = {name: value for name, value in used.get("training", {}).items() if name not in MACHINE}
    if "embedding_dim" in used[model]:
        common["embedding_dim"] = used[model]["embedding_dim"]
        changed.pop("embedding_dim", None)
    return {
        "data": f"{train.fingerprint()}-{valid.fingerprint()}",
        "parameters_used": used,
        "settings": {"common": common, "changed": changed},
    }


def _plain(parameter: Parameters | Funnel) -> dict[str, Any]:
    return parameter.model_dump(mode="json")


def _judged(examples: Examples, evaluation: Evaluation, **parameters: Parameters | Funnel) -> dict[str, Any]:
    """What a judgement came from: the rows, the parameters, the moment."""
    used = {name: _plain(value) for name, value in {"evaluation": evaluation, **parameters}.items()}
    moment = datetime.now(UTC).isoformat(timespec="milliseconds")
    return {"test_rows": examples.fingerprint(), "judged": moment, "parameters_used": used}


def _predict(
    model: Weights | Boosters,
    test_examples: Examples,
    sampling_report: Mapping[str, Any],
    funnel: Funnel,
    predict: Callable[[Examples], np.ndarray],
) -> pd.DataFrame:
    examples = test_examples.of_fields(Description.from_metadata(model).fields).of_steps(funnel.steps)
    raw = predict(examples)
    corrected = correct(raw, row_keep_rates(sampling_report["keep_rates"], examples.segment))
    return pd.DataFrame(
        {IMPRESSION_ID: examples.impression_id}
        | {step: corrected[:, t] for t, step in enumerate(funnel.steps)}
        | {f"{step}_raw": raw[:, t] for t, step in enumerate(funnel.steps)}
    )
