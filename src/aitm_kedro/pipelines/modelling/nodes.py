"""Nodes of modelling: the same for every kind of model."""

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds

from aitm_kedro.artifacts.bundle import Bundle, Manifest
from aitm_kedro.artifacts.correction import correct, row_keep_rates
from aitm_kedro.config.runs import Run
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import Features, FeatureSpecs
from aitm_kedro.core.funnel import IMPRESSION_ID, Funnel
from aitm_kedro.core.provenance import Provenance, fingerprint_of
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.evaluation.metrics import evaluate_predictions
from aitm_kedro.evaluation.oracle import align_truth, differing_steps
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.evaluation.results import ORACLE, TRAINING_FACTS, Evaluated, Metrics
from aitm_kedro.evaluation.significance import place_rows
from aitm_kedro.learning.history import RunHistory
from aitm_kedro.learning.learner import Trained
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.registry import build
from aitm_kedro.tables.parameters import Ingestion
from aitm_kedro.tables.reports import SamplingReport

logger = logging.getLogger(__name__)


def train(
    train_examples: Examples,
    valid_examples: Examples,
    feature_specs: FeatureSpecs,
    sampling_report: SamplingReport,
    funnel: Funnel,
    training: Training,
    *,
    run: Run,
    seed: int,
) -> tuple[Trained, RunHistory]:
    """Train a run with one seed.

    Returns:
        The trained model, and the history of its training with what it was trained from.
    """
    fields = [spec.name for spec in feature_specs.features]
    train, valid = (part.of_fields(fields).of_steps(funnel.steps) for part in (train_examples, valid_examples))
    fingerprints = {
        "train": train.fingerprint(),
        "valid": valid.fingerprint(),
        "features": fingerprint_of(feature_specs),
        "keep_rates": fingerprint_of(sampling_report.keep_rates),
    }
    train = _scale_row_weights(train)
    learner = build(run.model, options=run.options, training=training)
    trained = learner.fit(train, valid, features=feature_specs.features, funnel=funnel, seed=seed)
    trained.place(device=training.device, threads=training.threads)
    predictions = trained.predict(valid)
    history = RunHistory(
        run=run.name,
        model=run.model,
        seed=seed,
        history=trained.history,
        valid_auc={
            step: auc(valid.labels[:, t], predictions[:, t], valid.row_weights) for t, step in enumerate(funnel.steps)
        },
        provenance=Provenance.now(data=fingerprints, parameters=trained_with(run, funnel=funnel, training=training)),
    )
    return trained, history


def predict_test(
    trained: Trained, test_examples: Examples, sampling_report: SamplingReport, funnel: Funnel, training: Training
) -> pd.DataFrame:
    """Predict the test split, and undo the downsampling of the rows that were trained on."""
    fields = [spec.name for spec in trained.spec.features]
    examples = test_examples.of_fields(fields).of_steps(funnel.steps)
    raw = trained.place(device=training.device, threads=training.threads).predict(examples)
    corrected = correct(raw, row_keep_rates(sampling_report.keep_rates, examples.segment))
    return pd.DataFrame(
        {IMPRESSION_ID: examples.impression_id}
        | {step: corrected[:, t] for t, step in enumerate(funnel.steps)}
        | {f"{step}_raw": raw[:, t] for t, step in enumerate(funnel.steps)}
    )


def evaluate_and_pack(
    trained: Trained,
    history: RunHistory,
    predictions: pd.DataFrame,
    test_examples: Examples,
    vocabulary: pd.DataFrame,
    sampling_report: SamplingReport,
    funnel: Funnel,
    features: Features,
    ingestion: Ingestion,
    evaluation: Evaluation,
    *,
    run: Run,
    seed: int,
) -> tuple[Metrics, pd.DataFrame, Bundle]:
    """Judge predictions of the test split, and pack the model with what was found into a bundle.

    One node, because the metrics leave the run's namespace, and what has left it cannot be read inside again.

    Returns:
        metrics, placements, bundle.

    Raises:
        InputError: model, history and keep rates are of different runs of the project.
    """
    _check_belong_together(trained, history, sampling_report)
    metrics, placements = evaluate(predictions, history, test_examples, funnel, evaluation, run=run, seed=seed)
    bundle = pack_bundle(trained, history, metrics, vocabulary, sampling_report, funnel, features, ingestion)
    return metrics, placements, bundle


def _check_belong_together(trained: Trained, history: RunHistory, sampling_report: SamplingReport) -> None:
    name = f"{history.run}.seed{history.seed}"
    if trained.history != history.history:
        raise InputError(
            f"the weights and the history of '{name}' are of different trainings; load both of one version "
            f"(--load-versions={name}.weights:...,{name}.history:...), or train again: --from-nodes={name}.train"
        )
    if history.provenance.data.get("keep_rates") != fingerprint_of(sampling_report.keep_rates):
        raise InputError(
            f"'{name}' was trained on rows that were downsampled at other rates than sampling_report says, so its "
            f"predictions would be corrected wrongly; train again: --from-nodes={name}.train"
        )


def evaluate(
    predictions: pd.DataFrame,
    history: RunHistory,
    test_examples: Examples,
    funnel: Funnel,
    evaluation: Evaluation,
    *,
    run: Run,
    seed: int,
) -> tuple[Metrics, pd.DataFrame]:
    """Judge predictions of the test split.

    Returns:
        metrics; placements of test rows, for paired tests against other runs.
    """
    examples = test_examples.of_fields(()).of_steps(funnel.steps)  # else its fingerprint would read all features
    if not np.array_equal(examples.impression_id, predictions[IMPRESSION_ID].to_numpy()):
        raise InputError(
            f"the predictions of '{run.name}' are not of the rows of test_examples, so they come from different runs; "
            "run modelling again"
        )
    raw = predictions[[f"{step}_raw" for step in funnel.steps]].to_numpy()
    corrected = predictions[list(funnel.steps)].to_numpy()
    evaluated = _evaluate(examples, raw, corrected, evaluation)
    told = history.history
    metrics = Metrics(
        run=run.name,
        model=run.model,
        seed=seed,
        deterministic=run.is_deterministic,
        test=evaluated,
        training={name: value for name in TRAINING_FACTS if (value := getattr(told, name)) is not None},
        trained=history.provenance,
        provenance=_judged(examples, evaluation=evaluation),
    )
    return metrics, place_rows(examples.labels, raw, steps=funnel.steps, row_weights=examples.row_weights)


def pack_bundle(
    trained: Trained,
    history: RunHistory,
    metrics: Metrics,
    vocabulary: pd.DataFrame,
    sampling_report: SamplingReport,
    funnel: Funnel,
    features: Features,
    ingestion: Ingestion,
) -> Bundle:
    """Put everything that predicting needs into one folder."""
    manifest = Manifest(
        run=history.run,
        model=history.model,
        seed=history.seed,
        funnel=funnel,
        features=features,
        rename=ingestion.rename,
        keep_rates=sampling_report.keep_rates,
        valid_auc=history.valid_auc,
        test=metrics.test,
        trained=history.provenance,
        judged=metrics.provenance,
    )
    return Bundle(manifest, trained, pa.Table.from_pandas(vocabulary, preserve_index=False))


def evaluate_oracle(oracle: ds.Dataset, test_examples: Examples, funnel: Funnel, evaluation: Evaluation) -> Metrics:
    """Judge the truth itself on the test split, where the source tells it."""
    examples = test_examples.of_fields(()).of_steps(funnel.steps)  # else its fingerprint would read all features
    truth = align_truth(oracle.to_batches(), examples.impression_id, steps=funnel.steps)
    provenance = _judged(examples, evaluation=evaluation, funnel=funnel)
    if truth is None:
        return Metrics(run=ORACLE, note="no truth is known for this source", provenance=provenance)
    for step in differing_steps(truth, examples.labels, steps=funnel.steps):
        logger.warning(
            "The truth of '%s' is not of these labels: their rates differ by far more than chance allows. The source "
            "knows the truth for its own windows; with other funnel.windows or labels.policy it is no upper bound.",
            step,
        )
    evaluated = _evaluate(examples, truth, truth, evaluation)
    return Metrics(run=ORACLE, test=evaluated, provenance=provenance)


def trained_with(run: Run, *, funnel: Funnel, training: Training) -> dict[str, Any]:
    """Every parameter that a trained model depends on, as its provenance holds them."""
    of_training = {"training": training} if run.reads_training else {"task_weights": training.task_weights}
    return {
        "funnel": funnel,
        **of_training,
        "model": run.model,
        "options": run.options,
        "options_changed": run.changed_options(),
    }


def _evaluate(examples: Examples, raw: np.ndarray, corrected: np.ndarray, evaluation: Evaluation) -> Evaluated:
    return evaluate_predictions(
        examples.labels,
        raw,
        corrected,
        steps=examples.steps,
        segment=examples.segment,
        row_weights=examples.row_weights,
        options=evaluation,
    )


def _judged(examples: Examples, **parameters: Evaluation | Funnel) -> Provenance:
    return Provenance.now(data={"test": examples.fingerprint()}, parameters=parameters)


def _scale_row_weights(examples: Examples) -> Examples:
    """Weights count relative to each other: with a mean of 1, regularisation means what it means without them."""
    weights = examples.row_weights
    if weights is None:
        return examples
    mean = weights.mean(dtype=np.float64)
    if not mean:
        raise InputError(
            "funnel.row_weight is 0 in every train row, so nothing can be learnt; weigh some, or split otherwise"
        )
    return replace(examples, row_weights=weights / np.float32(mean))
