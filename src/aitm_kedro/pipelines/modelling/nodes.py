"""Nodes of modelling: the same for every kind of model.

Each checks that what it reads belongs together (``checks``).
"""

import logging
from collections.abc import Mapping, Sequence

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
from aitm_kedro.core.namespaces import namespace_of
from aitm_kedro.core.provenance import (
    Provenance,
    Source,
    with_provenance,
)
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.evaluation.metrics import evaluate_predictions
from aitm_kedro.evaluation.oracle import align_truth, differing_steps
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.evaluation.reliability import mean_of, row_log_loss
from aitm_kedro.evaluation.results import ORACLE, TRAINING_FACTS, Evaluated, Metrics
from aitm_kedro.evaluation.significance import place_rows
from aitm_kedro.explain.feature_check import FeatureCheck
from aitm_kedro.learning.ensemble import Ensemble, Member, fingerprint_of_members
from aitm_kedro.learning.history import RunHistory
from aitm_kedro.learning.learner import Trained
from aitm_kedro.learning.parameters import Training, ValidationOptions
from aitm_kedro.learning.registry import build
from aitm_kedro.pipelines.modelling.checks import (
    again,
    check_members,
    check_predictions,
    check_trained_for,
    check_vocabulary,
    judged_from,
    warn_of_large_batch,
    warn_unless_learnt,
)
from aitm_kedro.pipelines.modelling.leakage import warn_of_faultless_test, warn_of_leakage
from aitm_kedro.pipelines.modelling.preparing import Prepared, prepare
from aitm_kedro.tables.parameters import Ingestion, Split
from aitm_kedro.tables.reports import SamplingReport

logger = logging.getLogger(__name__)


def train(
    train_examples: Examples,
    valid_examples: Examples,
    feature_specs: FeatureSpecs,
    feature_check: FeatureCheck | None,
    sampling_report: SamplingReport,
    funnel: Funnel,
    split: Split,
    validation: ValidationOptions,
    training: Training,
    *,
    run: Run,
    seed: int,
) -> tuple[Trained, RunHistory]:
    """Train a run with one seed, and judge it on the part of validation that had no say in its training.

    Returns:
        The trained model, and the history of its training with what it was trained from.

    Raises:
        InputError: the inputs are of different preparations, or nothing can be learnt from them.
    """
    prepared = prepare(
        train_examples, valid_examples, feature_specs, feature_check, sampling_report, funnel, split, validation
    )
    if run.reads_training:
        warn_of_large_batch(training.rows_in_batch(len(train_examples)), rows=len(train_examples))
    learner = build(run.model, options=run.options, training=training)
    trained = learner.fit(prepared.train, prepared.parts.stopping, features=prepared.features, funnel=funnel, seed=seed)
    provenance = Provenance.now(
        data=prepared.data, parameters=run.trained_with(funnel=funnel, validation=validation, training=training)
    )
    trained.spec = trained.spec.model_copy(update={"data": provenance.data | prepared.stopped_by()})
    trained.place(device=training.device, threads=training.threads)
    predictions = trained.predict(prepared.parts.selection)
    return trained, _judge(trained, predictions, prepared, provenance, run=run, seed=seed)


def blend(
    train_examples: Examples,
    valid_examples: Examples,
    feature_specs: FeatureSpecs,
    feature_check: FeatureCheck | None,
    sampling_report: SamplingReport,
    funnel: Funnel,
    split: Split,
    validation: ValidationOptions,
    training: Training,
    *models: Trained,
    run: Run,
    seed: int,
    keys: Sequence[tuple[str, int]],
) -> tuple[Trained, RunHistory]:
    """Weigh the models of other runs, and judge the blend on the rows that gave the weights, by cross-fitting.

    ``models`` are those of the members, and ``keys`` says run and seed of each; all else is as for ``train``. Their
    bundles would hold the same, and what test says of them, which is of no use here.

    Returns:
        As ``train``.

    Raises:
        InputError: a member was trained on other rows, features or steps, or stopped by other rows of validation.
    """
    prepared = prepare(
        train_examples, valid_examples, feature_specs, feature_check, sampling_report, funnel, split, validation
    )
    members = [Member(namespace_of(*key), model) for key, model in zip(keys, models, strict=True)]
    check_members(members, {**prepared.data, **prepared.stopped_by()}, funnel, name=namespace_of(run.name, seed))
    for member in members:
        member.trained.place(device=training.device, threads=training.threads)
    learner = build(run.model, options=run.options, training=training)
    assert isinstance(learner, Ensemble)
    selection = prepared.parts.selection
    trained = learner.fit(
        prepared.train, selection, features=prepared.features, funnel=funnel, seed=seed, members=members
    )
    data: dict[Source, str | None] = {**prepared.data, "members": fingerprint_of_members(members)}
    provenance = Provenance.now(
        data=data, parameters=run.trained_with(funnel=funnel, validation=validation, training=training)
    )
    trained.spec = trained.spec.model_copy(update={"data": provenance.data})
    predictions = learner.predict_held_out(selection, members)
    return trained, _judge(trained, predictions, prepared, provenance, run=run, seed=seed)


def _judge(
    trained: Trained, predictions: np.ndarray, prepared: Prepared, provenance: Provenance, *, run: Run, seed: int
) -> RunHistory:
    """The history of a run, with what its predictions of the selection part of validation are worth."""
    selection = prepared.parts.selection
    log_loss, constant = _log_losses(selection, predictions)
    history = RunHistory(
        run=run.name,
        model=run.model,
        seed=seed,
        history=trained.history,
        valid_auc={
            step: auc(selection.labels[:, t], predictions[:, t], selection.row_weights)
            for t, step in enumerate(selection.steps)
        },
        valid_log_loss=log_loss,
        constant_log_loss=constant,
        selection_rows=len(selection),
        unknown_shares={
            name: rows / len(prepared.valid) for name, rows in prepared.valid.rows_without_known_values().items()
        },
        weights=trained.fingerprint(),
        provenance=provenance,
    )
    warn_unless_learnt(history, reads_training=run.reads_training)
    warn_of_leakage(history, prepared.train, selection)
    return history


def predict_test(
    trained: Trained,
    test_examples: Examples,
    sampling_report: SamplingReport,
    funnel: Funnel,
    training: Training,
    *,
    run: Run,
    seed: int,
) -> pd.DataFrame:
    """Predict the test split, and undo the downsampling of the rows that were trained on.

    Returns:
        impression_id, corrected probabilities under the names of the steps, the model's own under ``<step>_raw``; its
        ``attrs`` say what it was made from.

    Raises:
        InputError: the test examples or the keep rates are of another preparation than the weights.
    """
    check_trained_for(trained, test_examples, sampling_report, name=namespace_of(run.name, seed))
    fields = [spec.name for spec in trained.spec.features]
    examples = test_examples.of_fields(fields).of_steps(funnel.steps)
    raw = trained.place(device=training.device, threads=training.threads).predict(examples)
    corrected = correct(raw, row_keep_rates(sampling_report.keep_rates, examples.segment))
    predictions = pd.DataFrame(
        {IMPRESSION_ID: examples.impression_id}
        | {step: corrected[:, t] for t, step in enumerate(funnel.steps)}
        | {f"{step}_raw": raw[:, t] for t, step in enumerate(funnel.steps)}
    )
    data = judged_from(trained.fingerprint(), test_examples, sampling_report)
    return with_provenance(predictions, Provenance.now(data=data, parameters={"funnel": funnel}))


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

    One node, so that the metrics in the bundle are always those beside it.

    Returns:
        metrics, placements, bundle.

    Raises:
        InputError: what is read is of different preparations or trainings.
    """
    name = namespace_of(run.name, seed)
    if history.weights != trained.fingerprint():
        raise InputError(
            f"the weights and the history of '{name}' are of different trainings; load both of one version "
            f"(--load-versions={name}.weights:...,{name}.history:...), or train again: {again(name)}"
        )
    check_trained_for(trained, test_examples, sampling_report, name=name)
    check_vocabulary(trained, vocabulary, name=name)
    metrics, placements = evaluate(
        predictions,
        history,
        test_examples,
        sampling_report,
        funnel,
        evaluation,
        run=run,
        seed=seed,
        packed_with={"features": features, "ingestion": ingestion},
    )
    bundle = pack_bundle(trained, history, metrics, vocabulary, sampling_report, funnel, features, ingestion)
    return metrics, placements, bundle


def evaluate(
    predictions: pd.DataFrame,
    history: RunHistory,
    test_examples: Examples,
    sampling_report: SamplingReport,
    funnel: Funnel,
    evaluation: Evaluation,
    *,
    run: Run,
    seed: int,
    packed_with: Mapping[str, Features | Ingestion] | None = None,
) -> tuple[Metrics, pd.DataFrame]:
    """Judge predictions of the test split.

    Args:
        predictions: of ``predict_test``.
        history: of the training.
        test_examples: the rows that were predicted.
        sampling_report: the keep rates that were corrected for.
        funnel: the steps.
        evaluation: how to judge.
        run: what was trained.
        seed: of its training.
        packed_with: parameters of the bundle that the metrics go into.

    Returns:
        metrics; placements of test rows, for paired tests against other runs, whose ``attrs`` say the same as the
        metrics of what they were made from.

    Raises:
        InputError: the predictions are of other weights, test rows or keep rates.
    """
    data = judged_from(history.weights, test_examples, sampling_report)
    check_predictions(predictions, data, name=namespace_of(run.name, seed))
    examples = test_examples.of_steps(funnel.steps)
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
        learnt=history.learnt,
        ranks=history.ranks,
        trained=history.provenance,
        provenance=Provenance.now(data=data, parameters={"evaluation": evaluation, **(packed_with or {})}),
    )
    warn_of_faultless_test(history, metrics)
    placements = place_rows(examples.labels, raw, steps=funnel.steps, row_weights=examples.row_weights)
    return metrics, with_provenance(placements, metrics.provenance)


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
        trim=ingestion.trim,
        keep_rates=sampling_report.keep_rates,
        weights=history.weights,
        valid_auc=history.valid_auc,
        learnt=history.learnt,
        unknown_shares=history.unknown_shares,
        test=metrics.test,
        trained=history.provenance,
        judged=metrics.provenance,
    )
    return Bundle(manifest, trained, pa.Table.from_pandas(vocabulary, preserve_index=False))


def evaluate_oracle(oracle: ds.Dataset, test_examples: Examples, funnel: Funnel, evaluation: Evaluation) -> Metrics:
    """Judge the truth itself on the test split, where the source tells it."""
    examples = test_examples.of_steps(funnel.steps)
    truth = align_truth(oracle.to_batches(), examples.impression_id, steps=funnel.steps)
    provenance = Provenance.now(
        data={"test": test_examples.fingerprint_of_rows()}, parameters={"evaluation": evaluation, "funnel": funnel}
    )
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


def _log_losses(examples: Examples, predictions: np.ndarray) -> tuple[dict[str, float], dict[str, float]]:
    """Log loss of each step: of predictions [N, T], and of the best constants, which are the rates."""
    found, constant = {}, {}
    for t, step in enumerate(examples.steps):
        labels = examples.labels[:, t]
        rates = np.full(len(examples), mean_of(labels, examples.row_weights))
        found[step] = mean_of(row_log_loss(labels, predictions[:, t]), examples.row_weights)
        constant[step] = mean_of(row_log_loss(labels, rates), examples.row_weights)
    return found, constant
