"""How each run does within each segment of the business (the bank)."""

from collections.abc import Sequence
from textwrap import fill, wrap
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from aitm_kedro.comparison.summary import order_runs
from aitm_kedro.evaluation.results import ORACLE
from aitm_kedro.figures.style import INK, NORMAL, SMALL, label_axes, literal, new_figure, say, thousands

# R = runs, S = segments

SEGMENTS = 24
"""Segments in the figure at most; the table has all."""

BELOW, AMONG_BEST, BEST = 0, 1, 2
"""What is known of a run within a segment: its interval lies below that of the highest AUC; overlaps it; the AUC is the
highest and its interval above all others."""

_COLOURS = ListedColormap(["#EFF3F8", "#B5D0E8", "#5B9BCF"])
_NAMED = 12  # segments left out that the note names
_FEWEST = 6  # columns for which there is room; fewer segments do not get wider cells
_LINES = 3  # of a segment's name


def draw_segments(
    table: pd.DataFrame, *, steps: Sequence[str], segment: str | None, min_positives: int, confidence: float
) -> Figure:
    """Draw the AUC of every run within every segment that has enough positives, one panel a step.

    Args:
        table: run, model, seed, segment, step, metric, value.
        steps: the steps to draw, in funnel order.
        segment: what the segments are, for instance "bank"; None where there are none.
        min_positives: with fewer a segment has no AUC: it is named in a note instead.
        confidence: level of the intervals, in (0, 1).
    """
    runs, what = order_runs(table), segment or "segment"
    panels = [_Panel.of(table[table["step"] == step], runs) for step in steps]
    columns = max(_FEWEST, *(len(panel.names) for panel in panels))
    width = max(0.62 * columns + 0.075 * max(map(len, runs), default=0) + 1.2, 8.2)
    notes = [fill(_left_out(panel, min_positives), int(12.5 * width)) for panel in panels]
    heights = [
        0.3 * len(runs) + 1.2 + 0.17 * note.count("\n") if panel.names else 0.8
        for panel, note in zip(panels, notes, strict=True)
    ]
    figure = new_figure(
        width=width,
        height=sum(heights) + 1.3,
        title=f"How do the runs do within each {what}?",
        subtitle=f"AUC on the test impressions of one {what}, mean over seeds. Dark and bold: the best run there, its "
        f"{100 * confidence:g} %\ninterval above those of all others. Middle: the interval overlaps with that of the "
        "highest AUC,\nso neither is shown to be better. Pale: below. The oracle, the upper bound, is not compared.",
    )
    rows = figure.subplots(len(steps), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, step, panel, note in zip(rows, steps, panels, notes, strict=True):
        if segment is None or not (panel.names or panel.left_out):
            say(axes, "the funnel has no segments (funnel.segment)")
        elif not panel.names:
            say(axes, f"no {what} has {min_positives} positives of '{step}' in test, so none has an AUC")
        else:
            _draw_panel(
                axes, panel, runs=runs, step=step, note=note, columns=columns, letters=int(11 * width / columns)
            )
    return figure


class _Panel(NamedTuple):
    """What is drawn of one step.

    Attributes:
        names: segments with an AUC, in alphabetical order; of more than fit, those with the most positives.
        positives: of each of them [S].
        auc: [R, S], means over seeds; NaN where undefined.
        low: lower ends of the intervals [R, S], means over seeds, which vary less than one seed does.
        high: upper ends.
        left_out: other segments -> positives, most first.
    """

    names: list[str]
    positives: np.ndarray
    auc: np.ndarray
    low: np.ndarray
    high: np.ndarray
    left_out: dict[str, float]

    @classmethod
    def of(cls, table: pd.DataFrame, runs: Sequence[str]) -> "_Panel":
        """Read one step off the tidy table."""
        positives = table[table["metric"] == "positives"].groupby("segment")["value"].max()
        judged = set(table.loc[(table["metric"] == "auc") & table["value"].notna(), "segment"])
        ordered = [str(name) for name in positives.sort_values(ascending=False, kind="stable").index]
        names = sorted([name for name in ordered if name in judged][:SEGMENTS])
        auc, low, high = (_pivot(table, metric, runs=runs, names=names) for metric in ("auc", "auc_low", "auc_high"))
        left_out = {name: float(positives[name]) for name in ordered if name not in names}
        return cls(names, positives.reindex(names).to_numpy(np.float64), auc, low, high, left_out)


def judge(auc: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """What is known of each run within one segment: ``BELOW``, ``AMONG_BEST`` or ``BEST``.

    All runs are judged on the same rows, which makes a difference surer than intervals show: runs that are found apart
    are, while some that overlap would be told apart by a paired test.

    Args:
        auc: [R]; NaN where undefined.
        low: lower ends of the intervals [R]; NaN where undefined, which leaves a run among the best.
        high: upper ends [R].

    Returns:
        float [R], NaN where the AUC is undefined.
    """
    if np.isnan(auc).all():
        return np.full(len(auc), np.nan)
    first = int(np.nanargmax(auc))
    found = np.where(high < low[first], float(BELOW), float(AMONG_BEST))
    found[np.isnan(auc)] = np.nan
    others = np.delete(found, first)
    if (others[~np.isnan(others)] == BELOW).all() and not np.isnan(low[first]):
        found[first] = BEST
    return found


def _draw_panel(
    axes: Axes, panel: _Panel, *, runs: Sequence[str], step: str, note: str, columns: int, letters: int
) -> None:
    """Draw one step into the first of so many columns; ``letters`` fit into each."""
    compared = [position for position, run in enumerate(runs) if run != ORACLE]
    found = np.full(panel.auc.shape, np.nan)
    for column in range(len(panel.names)):
        each = (values[compared, column] for values in (panel.auc, panel.low, panel.high))
        found[compared, column] = judge(*each)
    axes.imshow(np.ma.masked_invalid(found), cmap=_COLOURS, vmin=BELOW, vmax=BEST, aspect="auto")
    for (row, column), value in np.ndenumerate(panel.auc):
        if not np.isnan(value):
            axes.text(
                column, row, f"{value:.3f}".removeprefix("0"), ha="center", va="center", fontsize=SMALL, color=INK,
                fontweight="bold" if found[row, column] == BEST else "normal",
            )  # fmt: skip
    axes.set_xlim(-0.5, columns - 0.5)
    axes.set_xticks(range(len(panel.names)), _names_below(panel, letters), fontsize=SMALL)
    axes.set_yticks(range(len(runs)), runs, fontsize=NORMAL)
    axes.set_xticks(np.arange(0.5, columns), minor=True)
    axes.set_yticks(np.arange(0.5, len(runs)), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0, colors=INK)
    for side in axes.spines.values():
        side.set_visible(False)
    label_axes(axes, title=step)
    axes.set_xlabel(note, fontsize=SMALL, color=INK, loc="left")


def _names_below(panel: _Panel, letters: int) -> list[str]:
    """Each segment's name, its positives, and how far its intervals reach to either side."""
    halves = pd.DataFrame((panel.high - panel.low) / 2).median()  # NaN where no run has an interval
    labels = []
    for name, count, half in zip(panel.names, panel.positives, halves, strict=True):
        lines = wrap(name, max(letters, 8), max_lines=_LINES, placeholder="…")
        reach = "" if np.isnan(half) else f"±{half:.3f}".replace("±0", "±")
        labels.append("\n".join([*map(literal, lines), thousands(count), reach]))
    return labels


def _left_out(panel: _Panel, min_positives: int) -> str:
    """The note under a panel."""
    note = "Below each name: positives in test, and half the width of an interval there (median over runs)."
    few = {name: count for name, count in panel.left_out.items() if count < min_positives}
    if few:
        named = [f"{literal(name)} ({thousands(count)})" for name, count in list(few.items())[:_NAMED]]
        more = [f"{len(few) - _NAMED} more"] if len(few) > _NAMED else []
        note += f" Left out, fewer than {min_positives} positives: {', '.join([*named, *more])}."
    others = len(panel.left_out) - len(few)
    return note + (f" {others} smaller ones that have an AUC are in the table alone." if others else "")


def _pivot(table: pd.DataFrame, metric: str, *, runs: Sequence[str], names: Sequence[str]) -> np.ndarray:
    """Means over seeds, [R, S], NaN where there is none."""
    of_metric = table[table["metric"] == metric]
    means = of_metric.pivot_table(index="run", columns="segment", values="value", aggfunc="mean")
    return means.reindex(index=list(runs), columns=list(names)).to_numpy(np.float64)
