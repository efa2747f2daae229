"""Whether predicted probabilities come true, before and after the correction for downsampling, where there was any."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from aitm_kedro.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    SMALL,
    label_axes,
    new_figure,
    say,
    tidy_axes,
)

RAW, CORRECTED = "raw", "corrected"
"""Kinds of probabilities: as the model says, and corrected for downsampling."""

_LOOKS = {RAW: (ORANGE, "s", "as the model says"), CORRECTED: (BLUE, "o", "corrected for downsampling")}


def draw_calibration(table: pd.DataFrame, *, run: str, steps: Sequence[str]) -> Figure:
    """Draw reliability curves, one panel a step; one curve alone where there was nothing to correct.

    Args:
        table: columns step, kind ('raw' or 'corrected'), predicted, observed, rows; one row a bin.
        run: name in the title.
        steps: the steps to draw, in funnel order.
    """
    figure = new_figure(
        width=max(3.7 * len(steps), 5.8),
        height=4.3,
        title=f"{run}: do probabilities come true?",
        subtitle="Test rows in bins of equal size by prediction; on the diagonal, what is predicted happens.\n"
        "Hollow marks at the bottom: bins in which nothing happened.",
    )
    if not _is_corrected(table):
        table = table[table["kind"] == CORRECTED]
    panels = figure.subplots(1, len(steps), squeeze=False)[0]
    for axes, step in zip(panels, steps, strict=True):
        _draw_step(axes, table[table["step"] == step], step=step)
    handles, labels = next((found for axes in panels if (found := axes.get_legend_handles_labels())[0]), ((), ()))
    if len(handles) > 1:
        figure.legend(handles, labels, fontsize=SMALL, frameon=False, loc="outside lower left", ncols=2)
    return figure


def _is_corrected(table: pd.DataFrame) -> bool:
    """Whether the two kinds of probabilities differ: with a keep rate of 1 the correction changes nothing."""
    raw, corrected = (
        table[table["kind"] == kind].drop(columns="kind").reset_index(drop=True) for kind in (RAW, CORRECTED)
    )
    return bool(len(corrected)) and not raw.equals(corrected)


def _draw_step(axes: Axes, table: pd.DataFrame, *, step: str) -> None:
    # Logarithmic axes have no zero: bins without a positive stand at the lower edge, hollow.
    positive = np.concatenate([table[name][table[name] > 0] for name in ("predicted", "observed")])
    if not len(positive) or not (table["observed"] > 0).any():
        say(axes, f"'{step}' never happened in test")
        return
    tidy_axes(axes)
    low, high = 10.0 ** np.floor(np.log10(positive.min() / 1.5)), 10.0 ** np.ceil(np.log10(positive.max()))
    axes.plot([low, high], [low, high], color=GREY, linewidth=1, linestyle=":")
    for kind, (colour, marker, label) in _LOOKS.items():
        bins = table[table["kind"] == kind].sort_values("predicted")
        if bins.empty:
            continue
        seen = bins["observed"] > 0
        axes.plot(bins["predicted"][seen], bins["observed"][seen], color=colour, marker=marker, markersize=4,
                  linewidth=1, label=label)  # fmt: skip
        empty = bins["predicted"][~seen].clip(low)
        if len(empty):  # an unclipped line without points would upset the layout
            axes.plot(empty, np.full(len(empty), low), color=colour, marker=marker, markersize=4, linestyle="none",
                      fillstyle="none", clip_on=False)  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(low, high), ylim=(low, high))
    for axis in (axes.xaxis, axes.yaxis):  # within a single decade matplotlib would label each minor tick
        axis.set_minor_formatter(NullFormatter())
    label_axes(axes, title=step, x="mean predicted probability", y="share that happened")
