"""How every figure looks: one palette, one set of sizes, no more ink than needed."""

from collections.abc import Sequence
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette, which colour-blind readers can tell apart (https://jfly.uni-koeln.de/color/).
BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
INK, GREY, FAINT, PALE = "#222222", "#6B6B6B", "#A8A8A8", "#DDDDDD"
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
    """An empty figure with its story on top, in as many lines as it takes.

    Args:
        width: inches.
        height: inches; what the story needs beyond one line of title and two of subtitle is added.
        title: what the figure shows.
        subtitle: how to read it, in a smaller grey line.
    """
    title = _fill(title, width, size=0.64 * TITLE)  # letters of the bold font are that wide, on the average
    subtitle = _fill(subtitle, width, size=0.58 * NORMAL)
    titles, lines = title.count("\n") + 1, subtitle.count("\n") + 1 if subtitle else 0
    height += (1.35 * TITLE * (titles - 1) + 1.35 * NORMAL * max(lines - 2, 0)) / 72
    figure = Figure(figsize=(width, height), dpi=150, layout="constrained", facecolor="white")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr, call-arg]
    # A blank line of the big title leaves room for the small one under it.
    figure.suptitle(title + "\n" * lines, x=0.01, ha="left", fontsize=TITLE, fontweight="bold", color=INK)
    if subtitle:
        y = 1 - (0.08 + (0.2 + 1.35 * titles) * TITLE / 72) / height
        figure.text(0.01, y, subtitle, ha="left", va="top", fontsize=NORMAL, color=GREY, linespacing=1.35)
    return figure


def _fill(text: str, width: float, *, size: float) -> str:
    """Break lines that are wider than the figure.

    Args:
        text: lines.
        width: of the figure, inches.
        size: of a letter, points.
    """
    return "\n".join(fill(line, int((width - 0.2) * 72 / size)) for line in text.split("\n"))


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


def spread_out(places: Sequence[float], *, gap: float, top: float) -> list[float]:
    """Move ascending places apart, as little as it takes, and none above ``top``.

    Example:
        >>> spread_out([0.0, 0.1, 5.0], gap=1.0, top=5.0)
        [0.0, 1.0, 5.0]
        >>> spread_out([4.5, 5.0], gap=1.0, top=5.0)
        [4.0, 5.0]
    """
    apart: list[float] = []
    for place in places:
        apart.append(max(place, apart[-1] + gap) if apart else place)
    limit = top
    for position in reversed(range(len(apart))):
        apart[position] = min(apart[position], limit)
        limit = apart[position] - gap
    return apart


def literal(text: str) -> str:
    """Text of the data, in which a dollar is a dollar and not the beginning of a formula."""
    return text.replace("$", r"\$")


def percent(share: float) -> str:
    """A share as a reader wants it: 22 %, 2.2 %, 0.25 %, 0.025 %, < 0.0001 %."""
    value = 100 * share
    if value == 0:
        return "0 %"
    if value < 0.0001:
        return "< 0.0001 %"
    digits = 1 if value >= 1 else 2 if value >= 0.1 else 3 if value >= 0.01 else 4
    return f"{value:.{digits}f} %"


def thousands(count: float) -> str:
    """A count with separators: 1,234,567."""
    return f"{int(count):,}"


def join_words(words: Sequence[str]) -> str:
    """a; a and b; a, b and c."""
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
