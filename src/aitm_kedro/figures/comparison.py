"""How the runs rank test impressions, one against the other (paper, Table 2 as a picture)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aitm_kedro.comparison.findings import is_known, rows_of_step, unlearnt_marks
from aitm_kedro.comparison.summary import aucs_by_seed, order_runs
from aitm_kedro.evaluation.results import ORACLE
from aitm_kedro.figures.style import (
    BLUE,
    FAINT,
    GREEN,
    GREY,
    INK,
    NORMAL,
    ORANGE,
    PALE,
    SMALL,
    label_axes,
    new_figure,
    say,
    tidy_axes,
)


def draw_comparison(
    summary: pd.DataFrame, comparison: pd.DataFrame, *, steps: Sequence[str], reference: str, subject: str | None
) -> Figure:
    """Draw the AUC of every run, one panel a step.

    Args:
        summary: of ``comparison.summarise``.
        comparison: the tidy table.
        steps: the steps to draw, in funnel order.
        reference: the run over which gains are computed: a dashed line through all others.
        subject: the run that is tested against all others, in a colour of its own; or None.
    """
    runs = order_runs(comparison)
    figure = new_figure(
        width=max(4.6 * len(steps) + 0.8, 7.6),
        height=0.34 * len(runs) + 1.9,
        title="Which run ranks test impressions best?",
        subtitle=_describe(summary, runs, reference=reference),
    )
    marks = unlearnt_marks(summary)
    colours = dict.fromkeys(runs, INK) | {reference: ORANGE, ORACLE: GREEN} | ({subject: BLUE} if subject else {})
    colours |= dict.fromkeys(marks, FAINT)
    panels = figure.subplots(1, len(steps), sharey=True, squeeze=False)[0]
    for axes, step in zip(panels, steps, strict=True):
        rows = rows_of_step(summary, step)
        if not any(is_known(row["auc"]) for row in rows.values()):
            say(axes, f"test has only one class of '{step}'")
            continue
        tidy_axes(axes, grid="x")
        _draw_runs(axes, rows, comparison, runs=runs, colours=colours)
        _finish(axes, rows.get(reference), runs=runs, step=step)
    names = [f"{run} ({marks[run]})" if run in marks else run for run in runs]
    for axes in [axes for axes in panels if axes.axison][:1]:  # the first in which something is drawn
        axes.tick_params(labelleft=True)
        for tick, run in zip(axes.set_yticks(range(len(runs)), names, fontsize=NORMAL), runs, strict=True):
            tick.label1.set_color(GREY if run in marks else INK)
    return figure


def _describe(summary: pd.DataFrame, runs: Sequence[str], *, reference: str) -> str:
    """How to read the figure."""
    spread = "DeLong's interval."
    if (summary["seeds"] > 1).any():
        spread = "one standard deviation over the seeds (small dots), or DeLong's interval where there is one seed."
    lines = [f"AUC on test, end to end from the impression; the mark is the mean, the bar {spread}"]
    marks = ["Diamond: the best run, and runs that cannot be told apart from it (paired tests, p ≥ 0.05)."]
    if reference in runs:
        marks.append(f"Dashed: the reference, {reference}.")
    if (summary["unlearnt"] > 0).any():
        marks.append("Grey: did not learn.")
    if ORACLE in runs:
        marks.append("Hollow: the oracle, the upper bound.")
    return "\n".join([*lines, " ".join(marks)])


def _draw_runs(
    axes: Axes,
    rows: Mapping[str, dict[str, Any]],
    comparison: pd.DataFrame,
    *,
    runs: Sequence[str],
    colours: Mapping[str, str],
) -> None:
    """All runs of one panel. Those that did not learn do not stretch the axis, on which the others are told apart."""
    axes.margins(x=0.12)
    drawn = [run for run in runs if is_known(rows[run]["auc"])]
    learnt = [run for run in drawn if not rows[run]["unlearnt"]]

    def draw(run: str) -> None:
        seeds = list(aucs_by_seed(comparison, run, rows[run]["step"]).values())
        _draw_run(axes, rows[run], seeds, position=runs.index(run), colour=colours[run], hollow=run == ORACLE)

    for run in learnt:
        draw(run)
    if learnt:
        axes.set_xlim(axes.get_xlim())  # fixes what the runs so far need
    for run in (run for run in drawn if run not in learnt):
        if not learnt or rows[run]["auc"] >= axes.get_xlim()[0]:
            draw(run)
        else:
            axes.annotate(
                f"◂ {rows[run]['auc']:.4f}", (0.01, runs.index(run)), xycoords=("axes fraction", "data"), va="center",
                fontsize=SMALL, color=colours[run],
            )  # fmt: skip


def _draw_run(
    axes: Axes, row: Mapping[str, Any], seeds: Sequence[float], *, position: int, colour: str, hollow: bool
) -> None:
    """Mean, spread and seeds of one run."""
    if row["seeds"] > 1:
        axes.plot(seeds, np.full(len(seeds), position), ".", color=colour, alpha=0.35, markersize=5)
        error = [[row["auc_std"]], [row["auc_std"]]]
    else:
        error = [[row["auc"] - row["auc_low"]], [row["auc_high"] - row["auc"]]]
    axes.errorbar(
        row["auc"], position, xerr=None if np.isnan(error).any() else error, fmt=_marker(row),
        color=colour, markersize=6, linewidth=1.4, capsize=2.5, markerfacecolor="white" if hollow else colour,
    )  # fmt: skip
    axes.annotate(
        f"{row['auc']:.4f}", (row["auc"], position), xytext=(0, 6), textcoords="offset points", ha="center",
        fontsize=SMALL, color=colour, fontweight="bold" if row["best"] else "normal",
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
    )  # fmt: skip


def _marker(row: Mapping[str, Any]) -> str:
    if row["unlearnt"]:
        return "X"
    return "D" if row["best"] or row["tied"] else "o"


def _finish(axes: Axes, reference: Mapping[str, Any] | None, *, runs: Sequence[str], step: str) -> None:
    """The line of the reference, and the panel's edges."""
    left, right = axes.get_xlim()
    if reference is not None and is_known(reference["auc"]) and left <= reference["auc"] <= right:
        axes.axvline(reference["auc"], color=GREY, linestyle="--", linewidth=0.9, zorder=0)
        axes.annotate(
            reference["run"], (reference["auc"], 0), xycoords=("data", "axes fraction"), xytext=(3, 4),
            textcoords="offset points", fontsize=SMALL, color=GREY,
        )  # fmt: skip
    axes.set_ylim(len(runs) - 0.4, -0.75)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_color(PALE)
    label_axes(axes, title=step, x="AUC")
