"""Nodes of rolling validation: every run in several windows, one after another in time.

A single window tells variants apart that differ by more than its own noise, and no others; and what is best in one week
need not be in the next. Runs are ranked by what counts for the choice of one: the mean AUC of the main steps on the
selection part.
"""

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from pydantic import Field

from aitm_kedro.config.runs import Run
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpecs
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Provenance, Result
from aitm_kedro.evaluation.auc import auc
from aitm_kedro.explain.feature_check import FeatureCheck
from aitm_kedro.learning.history import mean_auc
from aitm_kedro.learning.parameters import Rolling, Training, ValidationOptions
from aitm_kedro.learning.registry import build
from aitm_kedro.learning.validation import Window, cut_validation, roll
from aitm_kedro.pipelines.modelling.preparing import prepare
from aitm_kedro.tables.parameters import Split, VocabularyOptions
from aitm_kedro.tables.reports import SamplingReport

logger = logging.getLogger(__name__)


class WindowScore(Result):
    """What a run is worth in a window."""

    train_rows: int
    selection_rows: int
    auc: dict[str, float | None] = Field(description="by step, on the selection part of the window")


class RollingScores(Result):
    """What a run with one seed is worth in every window, the earliest first."""

    run: str
    model: str
    seed: int
    windows: tuple[WindowScore, ...]
    provenance: Provenance


def validate_rolling(
    train_examples: Examples,
    valid_examples: Examples,
    feature_specs: FeatureSpecs,
    feature_check: FeatureCheck | None,
    sampling_report: SamplingReport,
    funnel: Funnel,
    split: Split,
    validation: ValidationOptions,
    training: Training,
    rolling: Rolling,
    vocabulary: VocabularyOptions,
    *,
    run: Run,
    seed: int,
) -> RollingScores:
    """Train a run in every window, and judge it on the part of the window that had no say in its training.

    Raises:
        InputError: the split does not go by time, or leaves no room for the windows.
    """
    if split.by == "column":
        raise InputError(
            "rolling validation follows time, but split.by is 'column', which says nothing of it; set split.by to "
            "'shares' or 'dates', for which every row needs an impression_time"
        )
    prepared = prepare(
        train_examples, valid_examples, feature_specs, feature_check, sampling_report, funnel, split, validation
    )
    windows = roll(
        prepared.train,
        prepared.valid,
        windows=rolling.windows,
        features=prepared.features,
        min_count=vocabulary.threshold,
    )

    def judge(place: int, window: Window) -> WindowScore:
        parts = cut_validation(window.valid, validation, is_chronological=True)
        learner = build(run.model, options=run.options, training=training)
        trained = learner.fit(window.train, parts.stopping, features=prepared.features, funnel=funnel, seed=seed)
        trained.place(device=training.device, threads=training.threads)
        predictions, selection = trained.predict(parts.selection), parts.selection
        aucs = {
            step: auc(selection.labels[:, t], predictions[:, t], selection.row_weights)
            for t, step in enumerate(funnel.steps)
        }
        logger.info("%s, window %d of %d: AUC %s", run.name, place, rolling.windows, aucs)
        return WindowScore(train_rows=len(window.train), selection_rows=len(selection), auc=aucs)

    scores = tuple(judge(place, window) for place, window in enumerate(windows, start=1))
    parameters = run.trained_with(funnel=funnel, validation=validation, training=training)
    provenance = Provenance.now(
        data=prepared.data, parameters={**parameters, "rolling": rolling, "vocabulary": vocabulary}
    )
    return RollingScores(run=run.name, model=run.model, seed=seed, windows=scores, provenance=provenance)


def compare_windows(funnel: Funnel, *scores: RollingScores) -> tuple[pd.DataFrame, str]:
    """All runs side by side.

    Returns:
        A row for each run, window and step (run, seed, window, train_rows, selection_rows, step, auc); and the same for
        people, in Markdown: the mean AUC of the main steps by window, and how far each run is behind the best.

    Raises:
        InputError: runs are of different rows or windows.
    """
    _check_alike(scores)
    rows = [
        {
            "run": score.run,
            "seed": score.seed,
            "window": place,
            "train_rows": window.train_rows,
            "selection_rows": window.selection_rows,
            "step": step,
            "auc": found,
        }
        for score in scores
        for place, window in enumerate(score.windows, start=1)
        for step, found in window.auc.items()
    ]
    return pd.DataFrame(rows), _tabulate(funnel, scores)


def _check_alike(scores: Sequence[RollingScores]) -> None:
    for score in scores:
        of_rows = [
            {name: each.provenance.data.get(name) for name in ("train", "valid", "dropped_features")}
            | {"rolling": each.provenance.parameters.get("rolling")}
            for each in (score, scores[0])
        ]
        if of_rows[0] != of_rows[1]:
            raise InputError(
                f"the windows of '{score.run}' and '{scores[0].run}' are of different rows; run both again: "
                "kedro run --pipelines=rolling"
            )


def _tabulate(funnel: Funnel, scores: Sequence[RollingScores]) -> str:
    means = np.array(
        [[mean_auc(window.auc, funnel.main_steps) or np.nan for window in score.windows] for score in scores]
    )  # [runs, windows]
    judged = means[:, ~np.isnan(means).any(axis=0)]  # the others hold no positive, or nothing else
    if judged.shape[1] < 2:
        raise InputError(
            f"{judged.shape[1]} of {means.shape[1]} windows hold both classes of {' and '.join(funnel.main_steps)}, "
            "too few to compare runs by; set rolling.windows to more, or split.valid_share"
        )
    mean = judged.mean(axis=1)
    best = int(mean.argmax())
    behind = judged - judged[best]
    error = behind.std(axis=1, ddof=1) / judged.shape[1] ** 0.5
    rows = []
    for place in np.argsort(-mean, kind="stable"):
        cells = ["-" if np.isnan(value) else f"{value:.4f}" for value in means[place]]
        first = "" if place == best else f"{behind[place].mean():.4f} ± {error[place]:.4f}"
        wins = f"{int((judged[place] >= judged.max(axis=0)).sum())} of {judged.shape[1]}"
        rows.append(f"| {' | '.join([scores[place].run, *cells, f'{mean[place]:.4f}', first, wins])} |")
    return _page(funnel, scores[0].windows, rows)


def _page(funnel: Funnel, windows: Sequence[WindowScore], rows: Sequence[str]) -> str:
    """Markdown: what the table shows, the table of these rows, and how long the windows are."""
    names = [f"window {place}" for place in range(1, len(windows) + 1)]
    lengths = [
        f"{name} {window.train_rows:,} to learn from, {window.selection_rows:,} to select by"
        for name, window in zip(names, windows, strict=True)
    ]
    lines = [
        "# Rolling validation",
        "",
        f"Mean AUC of {' and '.join(funnel.main_steps)} on the selection part of each window, all rows before which "
        "were learnt from; the last window is validation itself. Behind the best: mean over windows ± its standard "
        "error.",
        "",
        f"| run | {' | '.join(names)} | mean | behind the best | best in |",
        f"| --- |{' ---: |' * (len(windows) + 3)}",
        *rows,
        "",
        f"Rows: {'; '.join(lengths)}.",
        "",
    ]
    return "\n".join(lines)
