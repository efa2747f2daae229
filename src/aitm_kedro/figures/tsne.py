"""What transfer adds to a tower's view of the impressions (paper, Figures 4 and 7)."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from aitm_kedro.explain.representations import ADDED, AIT, MIN_ROWS, ORIGINAL, QUARTERS
from aitm_kedro.figures.style import (
    BLUE,
    GREY,
    INK,
    LARGE,
    NORMAL,
    PALE,
    SMALL,
    VERMILION,
    new_figure,
    say,
    thousands,
)

_NAMES = {ORIGINAL: "Original\n$q_t$", ADDED: "Transferred\n+ original\n$p_{t-1} + q_t$", AIT: "AIT\n$z_t$"}


def draw_tsne(points: pd.DataFrame, *, run: str, steps: Sequence[str], main_steps: Sequence[str], rows: int) -> Figure:
    """Draw the t-SNE maps: a block for each main step, a row for each component, a column for each quarter.

    Args:
        points: rows of ``explain.representations.lay_out`` for all main steps.
        run: name in the title.
        steps: names, in funnel order.
        main_steps: the ones to draw.
        rows: of each class that were wanted; the figure says where there are fewer.
    """
    blocks = [(step, points[points["step"] == step]) for step in steps if step in main_steps]
    heights = [0.75 + (1.9 * block["component"].nunique() if _drawn(block) >= MIN_ROWS else 0.5) for _, block in blocks]
    figure = new_figure(
        width=9.2,
        height=1.05 + sum(heights),
        title=f"{run}: what the model sees of positives and negatives",
        subtitle="t-SNE of test rows; columns from the surest and most right predictions (0-25 %) to the most wrong "
        "(75-100 %).\nAbove each map: share of a row's ten nearest rows (in all dimensions) with its own label; "
        "chance is 50 %.",
    )
    parts = figure.subfigures(len(blocks), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (step, block) in zip(parts, blocks, strict=True):
        _draw_step(part, block, step=step, first=step == steps[0], rows=rows)
    return figure


def _draw_step(part: SubFigure, block: pd.DataFrame, *, step: str, first: bool, rows: int) -> None:
    components = [name for name in _NAMES if name in set(block["component"])]
    drawn = _drawn(block)
    fewer = f" (test has no more; {thousands(rows)} were wanted)" if drawn < rows else ""
    part.suptitle(
        f"{step}: {thousands(drawn)} positives, {thousands(drawn)} negatives{fewer}", x=0.01, ha="left",
        fontsize=LARGE, color=INK,
    )  # fmt: skip
    if drawn < MIN_ROWS:
        say(part.subplots(), f"too few rows to draw: {MIN_ROWS} of each class are needed")
        return
    panels = part.subplots(len(components), len(QUARTERS), squeeze=False)
    for line, name in zip(panels, components, strict=True):
        of_component = block[block["component"] == name]
        for quarter, axes in enumerate(line):
            _draw_panel(axes, of_component, quarter=quarter)
        title = "Original = AIT\n$q_1 = z_1$" if first else _NAMES[name]
        line[0].set_ylabel(title, rotation=0, ha="right", va="center", fontsize=NORMAL, color=INK, labelpad=8)
    for quarter, axes in enumerate(panels[0]):
        axes.set_title(f"Top {QUARTERS[quarter]}", loc="left", fontsize=NORMAL, color=INK)
    _add_legend(part, panels[-1][0])


def _drawn(block: pd.DataFrame) -> int:
    """Positives of a step's block, each of which every component shows once."""
    return int((block["label"] == 1).sum()) // max(block["component"].nunique(), 1)


def _draw_panel(axes: Axes, points: pd.DataFrame, *, quarter: int) -> None:
    """One quarter in colour, over all other rows of the map in pale grey."""
    inside = points[points["quarter"] == quarter]
    axes.scatter(points["x"], points["y"], s=3, color=PALE, linewidths=0)
    for label, colour, marker, name in ((0, BLUE, "o", "negative"), (1, VERMILION, "^", "positive")):
        chosen = inside[inside["label"] == label]
        axes.scatter(chosen["x"], chosen["y"], s=11, color=colour, marker=marker, alpha=0.75, linewidths=0, label=name)
    axes.set(xticks=[], yticks=[])
    axes.margins(0.06)
    for spine in axes.spines.values():
        spine.set_color(PALE)
    # Above the panel, where no point can be: the map may reach into every corner.
    axes.set_title(f"{100 * inside['same_class'].mean():.0f} %", loc="right", fontsize=SMALL, color=INK, pad=3)


def _add_legend(part: SubFigure, axes: Axes) -> None:
    handles, names = axes.get_legend_handles_labels()
    legend = part.legend(
        handles[::-1], names[::-1], loc="upper right", ncols=2, fontsize=SMALL, frameon=False, markerscale=1.6,
        labelcolor=GREY,
    )  # fmt: skip
    legend.set_in_layout(False)
