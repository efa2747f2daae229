"""How every figure looks: one palette, one set of sizes, no more ink than needed."""

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind readers can tell apart (https://jfly.uni-koeln.de/color/).
BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
INK, GREY, PALE = "#222222", "#6B6B6B", "#DDDDDD"
STEP_COLOURS = (SKY, ORANGE, BLUE, VERMILION, GREEN, PURPLE)
MARKERS = ("o", "s", "^", "D", "v", "P")

SMALL, NORMAL, LARGE, TITLE = 8.0, 9.0, 10.5, 13.0


def step_colour(position: int) -> str:
    """Colour of the step at ``position`` of the funnel, the same in all figures."""
    return STEP_COLOURS[position % len(STEP_COLOURS)]


def step_marker(position: int) -> str:
    """Marker of the step at ``position``, so that colour is never the only difference."""
    return MARKERS[position % len(MARKERS)]


def new_figure(*, width: float, height: float, title: str, subtitle: str = "") -> Figure:
    """An empty figure with its story on top.

    Args:
        width: inches.
        height: inches.
        title: what the figure shows.
        subtitle: how to read it, in a smaller grey line.
    """
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr, call-arg]
    # A blank line of the big title leaves room for the small one under it.
    lines = subtitle.count("\n") + 1 if subtitle else 0
    figure.suptitle(title + "\n" * lines, x=0.01, ha="left", fontsize=TITLE, fontweight="bold", color=INK)
    if subtitle:
        y = 1 - (0.08 + 1.55 * TITLE / 72) / height
        figure.text(0.01, y, subtitle, ha="left", va="top", fontsize=NORMAL, color=GREY, linespacing=1.35)
    return figure


def tidy_axes(axes: Axes, *, grid: str = "") -> None:
    """Take away box and ticks that say nothing; ``grid`` is '', 'x', 'y' or 'both'."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=SMALL, length=3)
    if grid:
        axes.grid(axis=grid, color=PALE, linewidth=0.7)  # type: ignore[arg-type]
        axes.set_axisbelow(True)


def label_axes(axes: Axes, *, title: str = "", x: str = "", y: str = "") -> None:
    """Title and axis labels in the common sizes."""
    if title:
        axes.set_title(title, loc="left", fontsize=LARGE, color=INK)
    axes.set_xlabel(x, fontsize=NORMAL, color=INK)
    axes.set_ylabel(y, fontsize=NORMAL, color=INK)


def say(axes: Axes, text: str) -> None:
    """Put a sentence where there is nothing to draw."""
    axes.set_axis_off()
    axes.text(
        0.5, 0.5, text, transform=axes.transAxes, ha="center", va="center", fontsize=NORMAL, color=GREY, wrap=True
    )


def percent(share: float) -> str:
    """A share as a reader wants it: 22 %, 2.2 %, 0.25 %, 0.025 %."""
    value = 100 * share
    if value == 0:
        return "0 %"
    digits = 1 if value >= 1 else 2 if value >= 0.1 else 3 if value >= 0.01 else 4
    return f"{value:.{digits}f} %"


def thousands(count: float) -> str:
    """A count with separators: 1,234,567."""
    return f"{int(count):,}"


def join_words(words: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
