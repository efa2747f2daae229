"""Nodes of the reporting stage: what the figures are drawn from, and the figures."""

import logging
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from aitm_kedro import figures
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpecs
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Source, check_made_from, provenance_of_table
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.evaluation.reliability import tabulate_reliability
from aitm_kedro.explain.parameters import Reporting
from aitm_kedro.explain.representations import ADDED, AIT, ORIGINAL, draw_balanced, lay_out
from aitm_kedro.explain.transfer_weights import COLUMNS, FLAT, draw_groups, flat_pairs, summarise_weights
from aitm_kedro.learning.history import RunHistory
from aitm_kedro.learning.learner import Trained
from aitm_kedro.tables.reports import IngestionReport, LabelReport, SamplingReport

logger = logging.getLogger(__name__)


def draw_funnel(
    ingestion_report: IngestionReport,
    label_report: LabelReport,
    sampling_report: SamplingReport,
    dataset_statistics: pd.DataFrame,
    funnel: Funnel,
) -> Figure:
    """Draw how the log shrinks to the sample, and what happens to an impression.

    Raises:
        InputError: the reports are of different logs.
    """
    _check_one_log(ingestion_report, label_report, sampling_report, dataset_statistics)
    stages = figures.stages_of(ingestion_report, label_report, sampling_report, dataset_statistics)
    rates = figures.rates_of(sampling_report, dataset_statistics, steps=funnel.steps)
    return figures.draw_funnel(stages, rates, steps=funnel.steps)


def _check_one_log(
    ingestion: IngestionReport, labels: LabelReport, sampling: SamplingReport, statistics: pd.DataFrame
) -> None:
    """Make sure that the rows that one stage hands on are those that the next one has got."""
    if ingestion.rows_out != labels.rows_in:
        raise InputError(
            f"ingestion_report speaks of {ingestion.rows_out} impressions, but label_report of {labels.rows_in}: they "
            "are of different logs; prepare the current one: kedro run --pipelines=preparation"
        )
    split = sampling.train.before.rows + sampling.valid.before.rows
    split += int(statistics.loc[statistics["split"] == "test", "rows"].iloc[0])
    if split != labels.rows_out:
        raise InputError(
            f"label_report speaks of {labels.rows_out} rows, but sampling_report and dataset_statistics of {split}: "
            "they are of different preparations; prepare the log as a whole: kedro run --pipelines=preparation"
        )


def draw_learning_curves(history: RunHistory, feature_specs: FeatureSpecs, funnel: Funnel, *, name: str) -> Figure:
    """Draw loss and validation AUC over the epochs.

    Args:
        history: of the training.
        feature_specs: by which it is known whether the training is of the current examples.
        funnel: the steps.
        name: of the run and seed, as commands have it.

    Raises:
        InputError: the training is of others.
    """
    found: dict[Source, str | None] = {"features": feature_specs.fingerprint()}
    check_made_from(f"the weights of '{name}'", history.provenance.data, found, advice=_renew(name))
    return figures.draw_learning_curves(
        history.history, run=history.run, steps=funnel.steps, main_steps=funnel.main_steps
    )


def project_representations(
    trained: Trained,
    test_examples: Examples,
    predictions: pd.DataFrame,
    funnel: Funnel,
    reporting: Reporting,
    *,
    name: str,
) -> pd.DataFrame:
    """Lay out on a plane what a network makes of positives and negatives of each main step."""
    judged = _read_judged(test_examples, predictions, funnel, name=name, trained=trained)
    present, parts = _present(judged), []
    for t, step in enumerate(funnel.steps):
        if step not in funnel.main_steps:
            continue
        rng = np.random.default_rng([reporting.seed, t])
        rows = present[draw_balanced(judged.labels[present, t], rows=reporting.tsne_rows, rng=rng)]
        components = _components(_inspect(trained, test_examples, rows), t)
        scores = _scores(predictions, step)[rows]
        parts.append(lay_out(components, judged.labels[rows, t], scores, step=step, seed=reporting.seed))
        logger.info("Laid out %d test rows for '%s'", len(rows), step)
    return pd.concat(parts, ignore_index=True)


def draw_tsne(tsne_points: pd.DataFrame, funnel: Funnel, reporting: Reporting, *, run: str) -> Figure:
    """Draw the t-SNE maps (paper, Figures 4 and 7)."""
    return figures.draw_tsne(
        tsne_points, run=run, steps=funnel.steps, main_steps=funnel.main_steps, rows=reporting.tsne_rows
    )


def weigh_transfer(
    trained: Trained,
    test_examples: Examples,
    predictions: pd.DataFrame,
    funnel: Funnel,
    reporting: Reporting,
    *,
    name: str,
) -> pd.DataFrame:
    """Measure how much each step listens to the step before it, by label group and rank of log loss."""
    judged = _read_judged(test_examples, predictions, funnel, name=name, trained=trained)
    present, parts = _present(judged), []
    for t, pair in enumerate(zip(funnel.steps[:-1], funnel.steps[1:], strict=True), start=1):
        rng = np.random.default_rng([reporting.seed, t])
        earlier, later = judged.labels[present, t - 1], judged.labels[present, t]
        groups = draw_groups(earlier, later, rows=reporting.transfer_rows, rng=rng)
        for group, (drawn, available) in groups.items():
            rows = present[drawn]
            weight = _inspect(trained, test_examples, rows).transfer_weight[:, t - 1].numpy()
            labels, scores = judged.labels[rows, t], _scores(predictions, pair[1])[rows]
            parts.append(summarise_weights(weight, labels, scores, pair=pair, group=group, available=available))
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def draw_transfer_weights(transfer_weights_table: pd.DataFrame, funnel: Funnel, *, run: str) -> Figure:
    """Draw the weights of the transferred information (paper, Figure 6), and warn where there is nothing to see."""
    flat = flat_pairs(transfer_weights_table)
    if flat:
        logger.warning(
            "AIT in '%s' has not learnt to choose between the step before and its own tower (%s): its weights are all "
            "within %g of 0.5; it may need more rows, more epochs (training.max_epochs) or a higher "
            "training.learning_rate.",
            run,
            ", ".join(f"{earlier} to {later}" for earlier, later in flat),
            FLAT,
        )
    return figures.draw_transfer_weights(transfer_weights_table, run=run, steps=funnel.steps)


def measure_reliability(
    test_examples: Examples, predictions: pd.DataFrame, funnel: Funnel, evaluation: Evaluation, *, name: str
) -> pd.DataFrame:
    """Compare predicted with observed shares of each main step, before and after the correction."""
    judged = _read_judged(test_examples, predictions, funnel, name=name)
    parts = []
    for step in funnel.ordered_main_steps:
        happened = judged.labels[:, judged.steps.index(step)]
        kinds = {"raw": _scores(predictions, step), "corrected": predictions[step].to_numpy()}
        parts.append(
            tabulate_reliability(
                happened, kinds, step=step, bins=evaluation.calibration_bins, row_weights=judged.row_weights
            )
        )
    return pd.concat(parts, ignore_index=True)


def draw_calibration(calibration_table: pd.DataFrame, funnel: Funnel, *, run: str) -> Figure:
    """Draw reliability curves of the main steps."""
    return figures.draw_calibration(calibration_table, run=run, steps=funnel.ordered_main_steps)


def _read_judged(
    test_examples: Examples, predictions: pd.DataFrame, funnel: Funnel, *, name: str, trained: Trained | None = None
) -> Examples:
    """The test examples, checked to be those that were predicted, by the weights that are looked into.

    Raises:
        InputError: the predictions are of other rows or weights.
    """
    found: dict[Source, str | None] = {"test": test_examples.fingerprint_of_rows()}
    if trained is not None:
        found["weights"] = trained.fingerprint()
    made = provenance_of_table(predictions.attrs)
    data = {} if made is None else made.data
    check_made_from(f"the predictions of '{name}'", data, found, advice=_renew(name))
    return test_examples.of_steps(funnel.steps)


def _present(judged: Examples) -> np.ndarray:
    """Positions of the rows that count: one of weight 0 is treated as absent; int64."""
    weights = judged.row_weights
    return np.arange(len(judged)) if weights is None else np.flatnonzero(weights > 0)


def _renew(name: str) -> str:
    return f"run it again before its figures are drawn: kedro run --pipelines=modelling --namespaces={name}"


def _scores(predictions: pd.DataFrame, step: str) -> np.ndarray:
    """What the model ranks by."""
    return predictions[f"{step}_raw"].to_numpy()


def _inspect(trained: Trained, examples: Examples, rows: np.ndarray) -> Any:
    """What an inspectable network computes on its way to the predictions of a few test rows."""
    return trained.inspect(examples.take(rows))  # type: ignore[attr-defined]


def _components(seen: Any, step: int) -> dict[str, np.ndarray]:
    """The three vectors [n, K] of a step; the first step has only its own."""
    if step == 0:
        return {AIT: seen.z[:, 0].numpy()}
    q, p = seen.q[:, step], seen.p[:, step - 1]
    return {ORIGINAL: q.numpy(), ADDED: (p + q).numpy(), AIT: seen.z[:, step].numpy()}
