"""How training went: the loss, what decided, and the validation AUC of each step."""

from collections.abc import Iterable, Mapping, Sequence
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
    VERMILION,
    join_words,
    label_axes,
    new_figure,
    spread_out,
    step_colour,
    step_marker,
    tidy_axes,
)
from aitm_kedro.learning.history import History


def draw_learning_curves(history: History, *, run: str, steps: Sequence[str], main_steps: Sequence[str]) -> Figure:
    """Draw losses and validation AUC over epochs, with the epoch whose weights are kept, and a cap that ended training.

    Args:
        history: of a training; one of independent networks is drawn network by network.
        run: name in the title.
        steps: names, in funnel order.
        main_steps: the ones whose lines are solid.
    """
    parts = list(history.parts.values()) or [history]
    if not any(part.validations for part in parts):
        return _draw_choices(history, run=run, steps=steps)
    title, subtitle = _story(parts, run=run)
    by_loss = all(part.decided_by == "log_loss" for part in parts)
    figure = new_figure(width=12 if by_loss else 9.6, height=4.4, title=title, subtitle=subtitle)
    left, *middle, right = figure.subplots(1, 3 if by_loss else 2, width_ratios=[1, 1, 1.5] if by_loss else [1, 1.5])
    _draw_loss(left, parts, [[entry.train_loss for entry in part.validations] for part in parts], steps=steps)
    label_axes(left, title="Training loss", x="epochs", y="loss a row (nats)")
    for axes in middle:
        _draw_loss(axes, parts, [[entry.deciding for entry in part.validations] for part in parts], steps=steps)
        label_axes(axes, title="Validation log loss, which decides", x="epochs", y="share of that of constants")
    _draw_aucs(right, parts, steps=steps, main_steps=main_steps)
    if len(parts) == 1:
        for axes in (left, *middle, right):
            _mark_epochs(axes, parts[0])
        handles, labels = left.get_legend_handles_labels()
        if handles:
            figure.legend(handles, labels, fontsize=SMALL, frameon=False, loc="outside lower left", ncols=2)
    return figure


def _draw_choices(history: History, *, run: str, steps: Sequence[str]) -> Figure:
    """A learner without epochs has no curves, but validation may have chosen something for each step."""
    chosen = {step: history.chosen[step] for step in steps if step in history.chosen}
    figure = new_figure(
        width=9.6,
        height=1.5 + 0.26 * len(chosen),
        title=f"{run} has no learning curves",
        subtitle="It does not train in epochs. What validation chose for each step, and the AUC of all that was tried:"
        if chosen
        else "It does not train in epochs, and nothing was chosen by validation.",
    )
    axes = figure.subplots()
    axes.set_axis_off()
    axes.set_ylim(max(len(chosen), 1), 0)
    for position, (step, choice) in enumerate(chosen.items()):
        for x, text in zip((0, 0.2, 0.5), (step, *_describe_choice(choice)), strict=True):
            axes.text(x, position + 0.5, text, va="center", fontsize=NORMAL, color=INK)
    return figure


def _describe_choice(choice: Any) -> tuple[str, str]:
    """What was chosen, and what was tried: ("inverse_l2 0.1", "valid_auc 0.01: 0.7512, 0.1: 0.7640")."""
    facts = choice if isinstance(choice, Mapping) else {"": choice}
    single = [f"{name} {_short(value)}".strip() for name, value in facts.items() if not isinstance(value, Mapping)]
    tried = [
        f"{name} {', '.join(f'{key}: {_short(score)}' for key, score in value.items())}"
        for name, value in facts.items()
        if isinstance(value, Mapping)
    ]
    return ", ".join(single), "; ".join(tried)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else "undefined" if value is None else str(value)


def _story(parts: Sequence[History], *, run: str) -> tuple[str, str]:
    """Title and subtitle."""
    if len(parts) > 1:
        return f"{run} in training: {len(parts)} independent networks", _story_of_parts(parts)
    part, best = parts[0], _best_epoch(parts[0])
    what = f"the validation {_criterion(part)} of {join_words(list(part.deciding_steps))}"
    kept = "The best epoch's weights are kept."
    subtitles = {
        "patience": f"Training stopped because {what} improved no more. {kept}",
        "max_epochs": f"Stopped by max_epochs, before patience ran out on {what}.\n"
        + ("The last epoch was the best: more of them may help." if part.may_be_unfinished else kept),
        None: f"Training stops when {what} improves no more. {kept}",
    }
    title = f"{run} was best after {best:g} epoch{'' if best == 1 else 's'}" if best else f"{run} in training"
    return title, subtitles[part.stopped_by]


def _criterion(part: History) -> str:
    return "log loss" if part.decided_by == "log_loss" else "AUC"


def _story_of_parts(parts: Sequence[History]) -> str:
    """Subtitle of independent networks."""
    told = (
        f"Each network stops when the validation {_criterion(parts[0])} of its step improves no more; the weights of "
        "the ringed epoch are kept."
    )
    capped = [", ".join(part.steps) for part in parts if part.stopped_by == "max_epochs"]
    if not capped:
        return told
    told += f"\nCross: stopped by max_epochs instead ({join_words(capped)})"
    unfinished = [", ".join(part.steps) for part in parts if part.may_be_unfinished]
    return told + (f"; best at that epoch, so more may help: {join_words(unfinished)}." if unfinished else ".")


def _best_epoch(part: History) -> float | None:
    return next((entry.epoch for entry in reversed(part.validations) if entry.best), None)


def _draw_loss(
    axes: Axes, parts: Sequence[History], values: Sequence[Sequence[float]], *, steps: Sequence[str]
) -> None:
    """A line for each network, of a value at each of its validations."""
    tidy_axes(axes, grid="y")
    ends: list[tuple[float, float, str, str]] = []
    for place, (part, losses) in enumerate(zip(parts, map(_numbers, values), strict=True)):
        position = _position(part, place, steps)
        alone = len(parts) == 1
        colour, marker = (BLUE, "o") if alone else (step_colour(position), step_marker(position))
        _draw_line(axes, part, losses, colour=colour, marker=marker, ring=not alone)
        if not alone and len(losses):
            ends.append((_epochs(part)[-1], float(losses[-1]), ", ".join(part.steps), colour))
    _scale_epochs(axes, parts)
    _name_lines(axes, ends)


def _position(part: History, place: int, steps: Sequence[str]) -> int:
    """Place in the funnel of the step that an independent network predicts."""
    return next((steps.index(step) for step in part.steps if step in steps), place)


def _draw_aucs(axes: Axes, parts: Sequence[History], *, steps: Sequence[str], main_steps: Sequence[str]) -> None:
    tidy_axes(axes, grid="y")
    ends: list[tuple[float, float, str, str]] = []
    for position, step in enumerate(steps):
        for part in (part for part in parts if any(step in entry.valid_auc for entry in part.validations)):
            values = _numbers(entry.valid_auc.get(step) for entry in part.validations)
            colour, line = step_colour(position), "-" if step in main_steps else "--"
            _draw_line(axes, part, values, colour=colour, marker=step_marker(position), line=line, ring=len(parts) > 1)
            name = step if np.isfinite(values).any() else f"{step} (undefined)"
            ends.append((_epochs(part)[-1], float(values[-1]), name, colour))
    _scale_epochs(axes, parts)
    label_axes(axes, title="Validation AUC (dashed: not a main step)", x="epochs", y="AUC")
    _name_lines(axes, ends)


def _draw_line(
    axes: Axes, part: History, values: np.ndarray, *, colour: str, marker: str, line: str = "-", ring: bool
) -> None:
    """One line over epochs; with ``ring`` around the epoch that is kept, and a cross where a cap ended the training."""
    epochs = _epochs(part)
    axes.plot(epochs, values, color=colour, marker=marker, markersize=4, linestyle=line)
    best = _best_epoch(part)
    if ring and best is not None:
        kept = values[epochs.index(best)]
        axes.plot(best, kept, "o", markersize=11, markerfacecolor="none", markeredgecolor=colour, linewidth=0)
    if ring and part.stopped_by == "max_epochs":
        axes.plot(epochs[-1], values[-1], "x", markersize=13, markeredgecolor=colour, markeredgewidth=1.6, zorder=3)


def _epochs(part: History) -> list[float]:
    return [entry.epoch for entry in part.validations]


def _scale_epochs(axes: Axes, parts: Sequence[History]) -> None:
    """From 0, with whole epochs marked where validations fall on them."""
    epochs = [epoch for part in parts for epoch in _epochs(part)]
    axes.set_xlim(0, 1.06 * max(epochs))
    axes.xaxis.set_major_locator(MaxNLocator(integer=max(epochs) >= 3 or all(epoch % 1 == 0 for epoch in epochs)))


def _name_lines(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write each line's name at its right end, apart from its neighbours.

    Args:
        axes: of the lines.
        ends: last epoch, last value, name and colour of each.
    """
    low, high = axes.get_ylim()
    ordered = sorted(ends, key=lambda end: (np.nan_to_num(end[1], nan=low), end[2]))
    places = spread_out([np.nan_to_num(end[1], nan=low) for end in ordered], gap=0.055 * (high - low), top=high)
    for (epoch, _, name, colour), y in zip(ordered, places, strict=True):
        axes.annotate(
            name, (epoch, y), xytext=(8, 0), textcoords="offset points", va="center", fontsize=NORMAL, color=colour,
            bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
        )  # fmt: skip


def _mark_epochs(axes: Axes, part: History) -> None:
    """The epoch whose weights are kept; and the last one, where a cap ended the training there."""
    best = _best_epoch(part)
    if best is not None:
        axes.axvline(best, color=GREY, linewidth=1, linestyle=":", label="kept")
    if part.stopped_by == "max_epochs":
        axes.axvline(_epochs(part)[-1], color=VERMILION, linewidth=1.2, linestyle="--", dashes=(6, 6),
                     label="stopped by max_epochs")  # fmt: skip


def _numbers(values: Iterable[float | None]) -> np.ndarray:
    """Floats, with NaN for None."""
    return np.array([np.nan if value is None else value for value in values], float)
