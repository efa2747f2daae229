"""How the models rank test impressions, one against the other (paper, Table 2 as a picture)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aitm_kedro.comparison.summary import CEILING, SUBJECT, YARDSTICK, aucs_by_seed, order_models
from aitm_kedro.figures.style import (
    BLUE,
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

_COLOURS = {SUBJECT: BLUE, YARDSTICK: ORANGE, CEILING: GREEN}


def draw_comparison(summary: pd.DataFrame, comparison: pd.DataFrame, *, steps: Sequence[str]) -> Figure:
    """Draw the AUC of every model, one panel a step.

    Args:
        summary: of ``evaluation.comparison.summarise``.
        comparison: the tidy table.
        steps: the steps to draw, in funnel order.
    """
    models = order_models(comparison)
    several = bool((summary["seeds"] > 1).any())
    spread = "DeLong's interval.\n"
    if several:
        spread = "one standard deviation over the seeds\n(small dots), or DeLong's interval where there is one seed.\n"
    figure = new_figure(
        width=max(4.6 * len(steps) + 0.8, 7.6),
        height=0.34 * len(models) + 1.9,
        title="Which model ranks test impressions best?",
        subtitle=f"AUC on test, end to end from the impression; the mark is the mean, the bar {spread}"
        "Dashed: the yardstick, a one-hot logistic regression."
        + (" Hollow: the truth, which no model can beat." if CEILING in models else ""),
    )
    panels = figure.subplots(1, len(steps), sharey=True, squeeze=False)[0]
    for axes, step in zip(panels, steps, strict=True):
        rows = {str(row["model"]): row for row in summary[summary["step"] == step].to_dict("records")}
        _draw_step(axes, rows, comparison, models=models, step=step)
    panels[0].set_yticks(range(len(models)), models, fontsize=NORMAL)
    return figure


def _draw_step(
    axes: Axes, rows: Mapping[str, Mapping[Any, Any]], comparison: pd.DataFrame, *, models: Sequence[str], step: str
) -> None:
    if all(pd.isna(row["auc"]) for row in rows.values()):
        say(axes, f"test has only one class of '{step}'")
        return
    tidy_axes(axes, grid="x")
    for position, model in enumerate(models):
        row, colour = rows[model], _COLOURS.get(model, INK)
        if pd.isna(row["auc"]):
            continue
        values = list(aucs_by_seed(comparison, model, step).values())
        if row["seeds"] > 1:
            axes.plot(values, np.full(len(values), position), ".", color=colour, alpha=0.35, markersize=5)
            error = [[row["auc_std"]], [row["auc_std"]]]
        else:
            error = [[row["auc"] - row["auc_low"]], [row["auc_high"] - row["auc"]]]
        axes.errorbar(
            row["auc"], position, xerr=None if np.isnan(error).any() else error, fmt="D" if row["best"] else "o",
            color=colour, markersize=6, linewidth=1.4, capsize=2.5,
            markerfacecolor="white" if model == CEILING else colour,
        )  # fmt: skip
        axes.annotate(
            f"{row['auc']:.4f}", (row["auc"], position), xytext=(0, 6), textcoords="offset points", ha="center",
            fontsize=SMALL, color=colour, fontweight="bold" if row["best"] else "normal",
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )  # fmt: skip
    if YARDSTICK in rows and pd.notna(rows[YARDSTICK]["auc"]):
        axes.axvline(rows[YARDSTICK]["auc"], color=GREY, linestyle="--", linewidth=0.9, zorder=0)
    axes.set_ylim(len(models) - 0.4, -0.75)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_color(PALE)
    axes.margins(x=0.12)
    label_axes(axes, title=step, x="AUC")
