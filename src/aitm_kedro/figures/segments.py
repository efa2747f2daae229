"""How each run does within each segment of the business (the bank)."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aitm_kedro.comparison.summary import order_runs
from aitm_kedro.evaluation.results import ORACLE
from aitm_kedro.figures.style import INK, NORMAL, SMALL, label_axes, new_figure, say, thousands

SEGMENTS = 24
"""Segments in the figure at most; the table has all."""


def draw_segments(table: pd.DataFrame, *, steps: Sequence[str], segment: str | None, min_positives: int) -> Figure:
    """Draw the AUC of every run within every segment as a heat map, one panel a step.

    Args:
        table: run, model, seed, segment, step, metric, value.
        steps: the steps to draw, in funnel order.
        segment: what the segments are, for instance "bank"; None where there are none.
        min_positives: with fewer a segment has no AUC, which the reader is told.
    """
    runs, names = order_runs(table), _largest(table)
    figure = new_figure(
        width=max(0.62 * len(names) + 2.0, 8.2),
        height=(0.3 * len(runs) + 1.15) * len(steps) + 1.1,
        title=f"How do the runs do within each {segment or 'segment'}?",
        subtitle=f"AUC on the test impressions of one {segment or 'segment'}, mean over seeds; colours compare the "
        f"runs within a column.\nBold: the best run there. Blank: fewer than {min_positives} positives."
        + (f" The {SEGMENTS} largest of {table['segment'].nunique()}." if len(names) == SEGMENTS else ""),
    )
    panels = figure.subplots(len(steps), 1, squeeze=False)[:, 0]
    for axes, step in zip(panels, steps, strict=True):
        if segment is None or not names:
            say(axes, "the funnel has no segments (funnel.segment)")
            continue
        _draw_step(axes, table[table["step"] == step], runs=runs, names=names, step=step)
    return figure


def _draw_step(axes: Axes, table: pd.DataFrame, *, runs: Sequence[str], names: Sequence[str], step: str) -> None:
    auc = _pivot(table, "auc", runs=runs, names=names)
    positives = _pivot(table, "positives", runs=runs, names=names)[0]
    if np.isnan(auc).all():
        say(axes, f"no segment has enough positives of '{step}'")
        return
    axes.imshow(_rank_in_column(auc, runs), cmap="Blues", vmin=0, vmax=1.5, aspect="auto")
    for (row, column), value in np.ndenumerate(auc):
        if np.isnan(value):
            continue
        best = runs[row] != ORACLE and value == _best(auc[:, column], runs)
        axes.text(
            column, row, f"{value:.3f}".removeprefix("0"), ha="center", va="center", fontsize=SMALL, color=INK,
            fontweight="bold" if best else "normal",
        )  # fmt: skip
    labels = [
        f"{name}\n{'–' if np.isnan(count) else thousands(count)}"  # noqa: RUF001
        for name, count in zip(names, positives, strict=True)
    ]
    axes.set_xticks(range(len(names)), labels, fontsize=SMALL)
    axes.set_yticks(range(len(runs)), runs, fontsize=NORMAL)
    axes.tick_params(length=0, colors=INK)
    for side in axes.spines.values():
        side.set_visible(False)
    label_axes(axes, title=step, x="below each name: positives in test")


def _largest(table: pd.DataFrame) -> list[str]:
    """Names of the segments in alphabetical order; of more than fit, those with the most rows."""
    rows = table[table["metric"].isin(["rows", "positives"])].groupby("segment")["value"].max()
    return sorted(rows.sort_values(ascending=False).index[:SEGMENTS])


def _pivot(table: pd.DataFrame, metric: str, *, runs: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Means over seeds, [runs, segments], NaN where there is none."""
    of_metric = table[table["metric"] == metric]
    means = of_metric.pivot_table(index="run", columns="segment", values="value", aggfunc="mean")
    return means.reindex(index=list(runs), columns=list(names)).to_numpy(np.float64)


def _rank_in_column(auc: np.ndarray, runs: Sequence[str]) -> np.ndarray:
    """Each value between the lowest (0) and highest (1) run of its segment: segments differ more than runs do.

    The truth is left without colour, since beside it all runs would look alike.
    """
    known = np.ma.masked_invalid(auc)
    known[[run == ORACLE for run in runs]] = np.ma.masked
    low, spread = known.min(axis=0), np.ma.filled(known.max(axis=0) - known.min(axis=0), 0)
    rank: np.ndarray = (known - low) / np.where(spread > 0, spread, 1)
    return rank


def _best(column: np.ndarray, runs: Sequence[str]) -> float:
    values = [value for run, value in zip(runs, column, strict=True) if run != ORACLE and not np.isnan(value)]
    return float(max(values))
