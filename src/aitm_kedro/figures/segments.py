"""How each model does within each segment of the business (the bank)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aitm_kedro.comparison.summary import CEILING, order_models
from aitm_kedro.figures.style import INK, NORMAL, SMALL, label_axes, new_figure, say, thousands

SEGMENTS = 24
"""Segments in the figure at most; the table has all."""


def draw_segments(table: pd.DataFrame, *, steps: Sequence[str], segment: str | None, min_positives: int) -> Figure:
    """Draw the AUC of every model within every segment as a heat map, one panel a step.

    Args:
        table: model, seed, segment, step, metric, value.
        steps: the steps to draw, in funnel order.
        segment: what the segments are, for instance "bank"; None where there are none.
        min_positives: with fewer a segment has no AUC, which the reader is told.
    """
    models, names = order_models(table), _largest(table)
    figure = new_figure(
        width=max(0.62 * len(names) + 2.0, 8.2),
        height=(0.3 * len(models) + 1.15) * len(steps) + 1.1,
        title=f"How do the models do within each {segment or 'segment'}?",
        subtitle=f"AUC on the test impressions of one {segment or 'segment'}, mean over seeds; colours compare the "
        f"models within a column.\nBold: the best model there. Blank: fewer than {min_positives} positives."
        + (f" The {SEGMENTS} largest of {table['segment'].nunique()}." if len(names) == SEGMENTS else ""),
    )
    panels = figure.subplots(len(steps), 1, squeeze=False)[:, 0]
    for axes, step in zip(panels, steps, strict=True):
        if segment is None or not names:
            say(axes, "the funnel has no segments (funnel.segment)")
            continue
        _draw_step(axes, table[table["step"] == step], models=models, names=names, step=step)
    return figure


def _draw_step(axes: Axes, table: pd.DataFrame, *, models: Sequence[str], names: Sequence[str], step: str) -> None:
    auc = _pivot(table, "auc", models=models, names=names)
    positives = _pivot(table, "positives", models=models, names=names)[0]
    if np.isnan(auc).all():
        say(axes, f"no segment has enough positives of '{step}'")
        return
    axes.imshow(_rank_in_column(auc, models), cmap="Blues", vmin=0, vmax=1.5, aspect="auto")
    for (row, column), value in np.ndenumerate(auc):
        if np.isnan(value):
            continue
        best = models[row] != CEILING and value == _best(auc[:, column], models)
        axes.text(
            column, row, f"{value:.3f}".removeprefix("0"), ha="center", va="center", fontsize=SMALL, color=INK,
            fontweight="bold" if best else "normal",
        )  # fmt: skip
    labels = [
        f"{name}\n{'–' if np.isnan(count) else thousands(count)}"  # noqa: RUF001
        for name, count in zip(names, positives, strict=True)
    ]
    axes.set_xticks(range(len(names)), labels, fontsize=SMALL)
    axes.set_yticks(range(len(models)), models, fontsize=NORMAL)
    axes.tick_params(length=0, colors=INK)
    for side in axes.spines.values():
        side.set_visible(False)
    label_axes(axes, title=step, x="below each name: positives in test")


def _largest(table: pd.DataFrame) -> list[str]:
    """Names of the segments in alphabetical order; of more than fit, those with the most rows."""
    rows = table[table["metric"].isin(["rows", "positives"])].groupby("segment")["value"].max()
    return sorted(rows.sort_values(ascending=False).index[:SEGMENTS])


def _pivot(table: pd.DataFrame, metric: str, *, models: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Means over seeds, [models, segments], NaN where there is none."""
    of_metric = table[table["metric"] == metric]
    means = of_metric.pivot_table(index="model", columns="segment", values="value", aggfunc="mean")
    return means.reindex(index=list(models), columns=list(names)).to_numpy(np.float64)


def _rank_in_column(auc: np.ndarray, models: Sequence[str]) -> np.ndarray:
    """Each value between the lowest (0) and highest (1) model of its segment: segments differ more than models do.

    The truth is left without colour, since beside it all models would look alike.
    """
    known = np.ma.masked_invalid(auc)
    known[[model == CEILING for model in models]] = np.ma.masked
    low, spread = known.min(axis=0), np.ma.filled(known.max(axis=0) - known.min(axis=0), 0)
    rank: np.ndarray = (known - low) / np.where(spread > 0, spread, 1)
    return rank


def _best(column: np.ndarray, models: Sequence[str]) -> float:
    values = [value for model, value in zip(models, column, strict=True) if model != CEILING and not np.isnan(value)]
    return float(max(values))
