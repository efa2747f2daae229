"""How much the step before tells the step after (paper, Figure 6)."""

from collections.abc import Sequence
from itertools import pairwise

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aitm_kedro.explain.representations import QUARTERS
from aitm_kedro.explain.transfer_weights import GROUPS, flat_pairs
from aitm_kedro.figures.style import (
    BLUE,
    GREEN,
    INK,
    NORMAL,
    SMALL,
    VERMILION,
    label_axes,
    new_figure,
    say,
    thousands,
    tidy_axes,
)

# The paper's colours for the groups, in this palette: red 00, blue 10, green 11.
_LOOKS = {(0, 0): (VERMILION, "o", "-"), (1, 0): (BLUE, "s", "--"), (1, 1): (GREEN, "^", "-.")}


def draw_transfer_weights(table: pd.DataFrame, *, run: str, steps: Sequence[str]) -> Figure:
    """Draw the weight of the transferred information along the ranking by log loss, one panel a pair of steps.

    Args:
        table: rows of ``explain.transfer_weights.summarise_weights``.
        run: name in the title.
        steps: names, in funnel order.
    """
    pairs, flat = list(pairwise(steps)), flat_pairs(table)
    figure = new_figure(
        width=max(3.7 * len(pairs) + 0.6, 7.6),
        height=4.5,
        title=f"{run}: how much each step listens to the step before it",
        subtitle="Weight w of the transferred information in AIT (eq. 8): mean and one standard deviation, by what "
        "happened\nat the two steps. Test rows ranked by log loss of the later step, best predicted first.",
    )
    panels = figure.subplots(1, max(len(pairs), 1), sharey=True, squeeze=False)[0]
    if not pairs:
        say(panels[0], f"'{steps[0]}' is the only step: nothing is transferred")
    for axes, (earlier, later) in zip(panels, pairs, strict=False):
        rows = table[(table["earlier"] == earlier) & (table["later"] == later)]
        _draw_pair(axes, rows, earlier=earlier, later=later)
        if (earlier, later) in flat:
            axes.text(
                0.5, 0.78, "flat at 0.5: AIT has not learnt to choose\nbetween the step before and its own tower",
                transform=axes.transAxes, ha="center", va="center", fontsize=SMALL, color=INK,
                bbox={"boxstyle": "round", "facecolor": "#FFF3D6", "edgecolor": "none"},
            )  # fmt: skip
    if pairs:
        panels[0].set_ylabel("weight of the step before", fontsize=NORMAL)
    return figure


def _draw_pair(axes: Axes, rows: pd.DataFrame, *, earlier: str, later: str) -> None:
    tidy_axes(axes, grid="y")
    for group in GROUPS:
        of_group = rows[(rows["earlier_label"] == group[0]) & (rows["later_label"] == group[1])].sort_values("quarter")
        colour, marker, line = _LOOKS[group]
        drawn, available = (int(of_group[name].max()) if len(of_group) else 0 for name in ("drawn", "available"))
        label = f"{group[0]}{group[1]}: n = {thousands(drawn)} of {thousands(available)}"
        mean, std = of_group["weight_mean"], of_group["weight_std"]
        axes.plot(of_group["quarter"], mean, color=colour, marker=marker, linestyle=line, markersize=5, label=label)
        axes.fill_between(
            of_group["quarter"], (mean - std).clip(0, 1), (mean + std).clip(0, 1), color=colour, alpha=0.15, linewidth=0
        )
    axes.axhline(0.5, color="#BBBBBB", linewidth=0.8, linestyle=":")
    axes.set(xlim=(-0.25, len(QUARTERS) - 0.75), ylim=(-0.02, 1.02), xticks=range(len(QUARTERS)))
    axes.set_xticklabels([quarter.removesuffix(" %") for quarter in QUARTERS])
    label_axes(axes, title=f"{earlier} → {later}", x="log-loss rank (%)")
    axes.legend(
        fontsize=SMALL, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), title_fontsize=SMALL,
        title=f"labels of {earlier}, {later}", handlelength=2.8,
    )  # fmt: skip
