"""Nodes of modelling."""

import logging
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.dataset as ds

from aitm_kedro.baselines import logistic
from aitm_kedro.baselines.oracle import align_truth, differing_steps
from aitm_kedro.description import Description
from aitm_kedro.errors import InputError
from aitm_kedro.evaluation.correction import correct, row_keep_rates
from aitm_kedro.evaluation.metrics import evaluate_predictions
from aitm_kedro.examples import Examples, read_examples
from aitm_kedro.funnel import IMPRESSION_ID
from aitm_kedro.parameters import Evaluation, Funnel, LogisticOptions, Parameters, Training
from aitm_kedro.training import run
from aitm_kedro.weights import Weights

logger = logging.getLogger(__name__)


def train_network(
    train_examples: ds.Dataset,
    valid_examples: ds.Dataset,
    vocabulary: pd.DataFrame,
    funnel: Funnel,
    training: Training,
    options: Parameters,
    *,
    model: str,
    seed: int,
) -> tuple[Weights, dict[str, Any]]:
    """Train the network called ``model``."""
    sizes = vocabulary_sizes(vocabulary)
    weights, history = run.train_network(
        model,
        read_examples(train_examples, fields=list(sizes), steps=funnel.steps),
        read_examples(valid_examples, fields=list(sizes), steps=funnel.steps),
        vocabulary_sizes=list(sizes.values()),
        main_steps=funnel.main_steps,
        options=options,
        training=training,
        seed=seed,
    )
    return weights, history


def train_logistic(
    train_examples: ds.Dataset,
    valid_examples: ds.Dataset,
    vocabulary: pd.DataFrame,
    funnel: Funnel,
    options: LogisticOptions,
) -> tuple[Weights, dict[str, Any]]:
    """Fit the yardstick; nothing in it is drawn, so it has no seed."""
    sizes = vocabulary_sizes(vocabulary)
    return logistic.train_logistic(
        read_examples(train_examples, fields=list(sizes), steps=funnel.steps),
        read_examples(valid_examples, fields=list(sizes), steps=funnel.steps),
        vocabulary_sizes=list(sizes.values()),
        options=options,
    )


def predict_test(
    weights: Weights, test_examples: ds.Dataset, sampling_report: Mapping[str, Any], funnel: Funnel, training: Training
) -> pd.DataFrame:
    """Predict the test split with a network, and undo the downsampling of its training rows."""
    return _predict(
        weights, test_examples, sampling_report, funnel, lambda w, x: run.predict_with_network(w, x, training=training)
    )


def predict_test_logistic(
    weights: Weights, test_examples: ds.Dataset, sampling_report: Mapping[str, Any], funnel: Funnel
) -> pd.DataFrame:
    """Predict the test split with the yardstick, and undo the downsampling of its training rows."""
    return _predict(weights, test_examples, sampling_report, funnel, logistic.predict_with_logistic)


def evaluate(
    predictions: pd.DataFrame,
    test_examples: ds.Dataset,
    funnel: Funnel,
    evaluation: Evaluation,
    *,
    model: str,
    seed: int,
) -> dict[str, Any]:
    """Judge a model's predictions of the test split."""
    examples = read_examples(test_examples, fields=(), steps=funnel.steps)
    if not np.array_equal(examples.impression_id, predictions[IMPRESSION_ID].to_numpy()):
        raise InputError(
            f"the predictions of '{model}' are not of the rows of test_examples, so they come from different runs; run "
            f"modelling again"
        )
    raw = predictions[[f"{step}_raw" for step in funnel.steps]].to_numpy()
    corrected = predictions[list(funnel.steps)].to_numpy()
    return {"model": model, "seed": seed} | evaluate_predictions(
        examples.labels, raw, corrected, steps=funnel.steps, segment=examples.segment, options=evaluation
    )


def evaluate_oracle(
    oracle: ds.Dataset, test_examples: ds.Dataset, funnel: Funnel, evaluation: Evaluation
) -> dict[str, Any]:
    """Judge the truth itself on the test split, where the source tells it."""
    examples = read_examples(test_examples, fields=(), steps=funnel.steps)
    truth = align_truth(oracle.to_batches(), examples.impression_id, steps=funnel.steps)
    if truth is None:
        return {"model": "oracle", "seed": None, "note": "no truth is known for this source", "steps": {}}
    for step in differing_steps(truth, examples.labels, steps=funnel.steps):
        logger.warning(
            "The truth of '%s' is not of these labels: their rates differ by far more than chance allows. The source "
            "knows the truth for its own windows; with other funnel.windows or labels.policy it is no ceiling.",
            step,
        )
    return {"model": "oracle", "seed": None} | evaluate_predictions(
        examples.labels, truth, truth, steps=funnel.steps, segment=examples.segment, options=evaluation
    )


def vocabulary_sizes(vocabulary: pd.DataFrame) -> dict[str, int]:
    """How many ids each field has, in the order of the fields."""
    largest = vocabulary.groupby("feature", sort=False)["id"].max()
    return {str(field): int(last) + 1 for field, last in largest.items()}


def _predict(
    weights: Weights,
    test_examples: ds.Dataset,
    sampling_report: Mapping[str, Any],
    funnel: Funnel,
    predict: Callable[[Weights, Examples], np.ndarray],
) -> pd.DataFrame:
    fields = Description.from_metadata(weights).fields
    examples = read_examples(test_examples, fields=fields, steps=funnel.steps)
    raw = predict(weights, examples)
    corrected = correct(raw, row_keep_rates(sampling_report["keep_rates"], examples.segment))
    return pd.DataFrame(
        {IMPRESSION_ID: examples.impression_id}
        | {step: corrected[:, t] for t, step in enumerate(funnel.steps)}
        | {f"{step}_raw": raw[:, t] for t, step in enumerate(funnel.steps)}
    )
