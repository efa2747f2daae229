"""Nodes of the comparison."""

import logging
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from aitm_kedro import figures
from aitm_kedro.comparison.gathering import ComparisonNotes, Current, RunKey, gather, pair_placements
from aitm_kedro.comparison.markdown import describe_test, tabulate
from aitm_kedro.comparison.summary import summarise
from aitm_kedro.config.runs import Run
from aitm_kedro.core.commands import with_environment
from aitm_kedro.core.examples import Fingerprints
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import as_json
from aitm_kedro.core.published import Published
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.evaluation.results import Metrics
from aitm_kedro.explain.feature_check import FeatureCheck
from aitm_kedro.learning.parameters import Training, ValidationOptions
from aitm_kedro.tables.reports import CountsReport

logger = logging.getLogger(__name__)


def compare_runs(
    train: Fingerprints | None,
    valid: Fingerprints | None,
    test: Fingerprints | None,
    feature_check: FeatureCheck | None,
    funnel: Funnel,
    validation: ValidationOptions,
    training: Training,
    *metrics: Metrics | None,
    keys: Sequence[RunKey],
    runs: Mapping[str, Run],
    reference: str,
    pipelines: Mapping[RunKey, str],
    environment: str | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, ComparisonNotes]:
    """Put the numbers of all runs together that were trained and judged on the rows that are there now.

    Args:
        train: what the train examples are, by content; None where they are not there.
        valid: the same of validation.
        test: the same of test.
        feature_check: which features make predictions worse; None where nobody has looked.
        funnel: the steps of now.
        validation: the parameters of now, by which it is told what was trained with others.
        training: likewise.
        *metrics: of each of the keys, None where there are none.
        keys: names of runs, each with a seed; the oracle has none.
        runs: by name, with their options of now.
        reference: the run over which gains are computed.
        pipelines: in which each of the keys can be renewed.
        environment: of the commands in the notes; None: base alone.

    Returns:
        The tidy table (run, model, seed, step, metric, value), the same by segment, and what is to be known of them:
        how the runs were trained, and what is missing.
    """
    results = list(zip(keys, metrics, strict=True))
    parameters = {
        name: as_json(run.trained_with(funnel=funnel, validation=validation, training=training))
        for name, run in runs.items()
    }
    current = Current(train, valid, test, steps=funnel.steps, parameters=parameters)
    gathered = gather(results, current=current, reference=reference, pipelines=pipelines)
    for note in gathered.notes.notes:
        told = logger.info if note in gathered.usual else logger.warning
        told("%s", note, extra={"kind": note})
    notes = [*gathered.notes.notes, *([feature_check.describe()] if feature_check and feature_check.harmful else [])]
    sentences = tuple(with_environment(note, environment) for note in notes)
    return gathered.comparison, gathered.segments, gathered.notes.model_copy(update={"notes": sentences})


def summarise_runs(
    comparison: pd.DataFrame,
    notes: ComparisonNotes,
    funnel: Funnel,
    *placements: pd.DataFrame | None,
    keys: Sequence[RunKey],
    reference: str,
    subject: str | None,
) -> pd.DataFrame:
    """Means over seeds, gains over the reference, and paired tests of the subject, one row a run and step."""
    placed = pair_placements(dict(zip(keys, placements, strict=True)), notes)
    return summarise(comparison, placed, steps=funnel.steps, reference=reference, subject=subject)


def tabulate_comparison(
    summary: pd.DataFrame,
    comparison: pd.DataFrame,
    notes: ComparisonNotes,
    counts_report: CountsReport | None,
    funnel: Funnel,
    evaluation: Evaluation,
    published: Published,
    *,
    reference: str,
    subject: str | None,
) -> str:
    """Write the comparison as Markdown: the paper's Table 2, and what others report for a published data set."""
    return tabulate(
        summary,
        comparison,
        steps=funnel.steps,
        main_steps=funnel.main_steps,
        reference=reference,
        subject=subject,
        confidence=notes.confidence or evaluation.confidence,
        tested_on=describe_test(comparison, steps=funnel.steps),
        notes=notes,
        published=published,
        verdict=(counts_report or CountsReport()).verdict,
    )


def draw_comparison(
    summary: pd.DataFrame, comparison: pd.DataFrame, funnel: Funnel, *, reference: str, subject: str | None
) -> Figure:
    """Draw the AUC of every run on the main steps."""
    return figures.draw_comparison(
        summary, comparison, steps=funnel.ordered_main_steps, reference=reference, subject=subject
    )


def draw_segments(segment_comparison: pd.DataFrame, funnel: Funnel, evaluation: Evaluation) -> Figure:
    """Draw the AUC of every run within each segment as a heat map."""
    return figures.draw_segments(
        segment_comparison,
        steps=funnel.ordered_main_steps,
        segment=funnel.segment,
        min_positives=evaluation.min_segment_positives,
        confidence=evaluation.confidence,
    )
