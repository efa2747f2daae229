"""How training went: the loss, and the validation AUC of each step."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from aitm_kedro.figures.style import (
    BLUE,
    GREY,
    INK,
    NORMAL,
    SMALL,
    join_words,
    label_axes,
    new_figure,
    say,
    step_colour,
    step_marker,
    tidy_axes,
)


def draw_learning_curves(
    history: Mapping[str, Any], *, steps: Sequence[str], main_steps: Sequence[str], model: str = "AITM"
) -> Figure:
    """Draw loss and validation AUC over epochs, with the epoch whose weights are kept.

    Args:
        history: of a training run; its "validations" have epoch, train_loss, valid_auc and best.
        steps: names, in funnel order.
        main_steps: the ones that decide.
        model: name in the title.
    """
    validations = history["validations"]
    best = next((entry["epoch"] for entry in reversed(validations) if entry.get("best")), None)
    title = f"{model} was best after {best:g} epoch{'' if best == 1 else 's'}" if best else f"{model} in training"
    figure = new_figure(
        width=9.6,
        height=4.4,
        title=title,
        subtitle=f"Training stops when the validation AUC of {join_words(list(main_steps))} improves no more; "
        "the best epoch's weights are kept.",
    )
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.5])
    if not validations:
        say(left, "no validation was recorded")
        right.set_axis_off()
        return figure
    _draw_loss(left, validations)
    _draw_aucs(right, validations, steps=steps, main_steps=main_steps)
    for axes in (left, right):
        _mark_best(axes, best, label=axes is left)
    return figure


def _draw_loss(axes: Axes, validations: Sequence[Mapping[str, Any]]) -> None:
    tidy_axes(axes, grid="y")
    epochs = [entry["epoch"] for entry in validations]
    axes.plot(epochs, _numbers(entry["train_loss"] for entry in validations), color=BLUE, marker="o", markersize=4)
    _scale_epochs(axes, epochs)
    label_axes(axes, title="Training loss", x="epochs", y="loss a row (nats)")


def _draw_aucs(
    axes: Axes, validations: Sequence[Mapping[str, Any]], *, steps: Sequence[str], main_steps: Sequence[str]
) -> None:
    tidy_axes(axes, grid="y")
    epochs = [entry["epoch"] for entry in validations]
    ends: list[tuple[float, str, str]] = []
    for position, step in enumerate(steps):
        values = _numbers(entry["valid_auc"].get(step) for entry in validations)
        colour, main = step_colour(position), step in main_steps
        axes.plot(
            epochs, values, color=colour, marker=step_marker(position), markersize=4, linestyle="-" if main else "--"
        )
        name = f"{step}" if np.isfinite(values).any() else f"{step} (undefined)"
        ends.append((float(values[-1]), name, colour))
    _scale_epochs(axes, epochs)
    label_axes(axes, title="Validation AUC (dashed: not a main step)", x="epochs", y="AUC")
    _name_lines(axes, ends, x=max(epochs))


def _scale_epochs(axes: Axes, epochs: Sequence[float]) -> None:
    """From 0, with whole epochs marked where there are several."""
    axes.set_xlim(0, 1.06 * max(epochs))
    axes.xaxis.set_major_locator(MaxNLocator(integer=max(epochs) >= 3))


def _name_lines(axes: Axes, ends: Sequence[tuple[float, str, str]], *, x: float) -> None:
    """Write each line's name at its right end, apart from its neighbours."""
    low, high = axes.get_ylim()
    gap, previous = 0.055 * (high - low), -np.inf
    for value, name, colour in sorted(ends, key=lambda end: (np.nan_to_num(end[0], nan=low), end[1])):
        y = max(np.nan_to_num(value, nan=low), previous + gap)
        axes.annotate(
            name, (x, y), xytext=(8, 0), textcoords="offset points", va="center", fontsize=NORMAL, color=colour
        )
        previous = y


def _mark_best(axes: Axes, best: float | None, *, label: bool) -> None:
    if best is None:
        return
    axes.axvline(best, color=GREY, linewidth=1, linestyle=":")
    if label:
        axes.annotate(
            "kept", (best, 1), xycoords=("data", "axes fraction"), xytext=(4, -10), textcoords="offset points",
            fontsize=SMALL, color=INK,
        )  # fmt: skip


def _numbers(values: Any) -> np.ndarray:
    """Floats, with NaN for None."""
    return np.array([np.nan if value is None else value for value in values], float)
