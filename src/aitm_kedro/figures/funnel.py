"""How the log shrinks to what a model learns from, and what happens to an impression."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from aitm_kedro.figures.reports import IngestionReport, LabelReport, SamplingReport
from aitm_kedro.figures.style import (
    BLUE,
    GREY,
    INK,
    NORMAL,
    ORANGE,
    SKY,
    SMALL,
    VERMILION,
    label_axes,
    new_figure,
    percent,
    say,
    thousands,
    tidy_axes,
)

_SPLIT_COLOURS = {"train": BLUE, "valid": ORANGE, "test": VERMILION}
_LOOKS = ((VERMILION, "o"), (BLUE, "s"), (GREY, "^"))
_SAMPLE = "train sample"


class Stage(NamedTuple):
    """Rows that are left at some point of the way."""

    name: str
    rows: int
    split: str | None = None


class Rates(NamedTuple):
    """What happened to a set of impressions: positives of each step, end to end."""

    rows: int
    positives: Mapping[str, int]


def stages_of(
    ingestion: IngestionReport, labels: LabelReport, sampling: SamplingReport, statistics: pd.DataFrame
) -> list[Stage]:
    """Read the rows after each stage out of the reports of ingestion, labels, sampling and the data set's Table 1."""
    stages = [
        Stage("raw log", ingestion.rows_in),
        Stage("no duplicates", ingestion.rows_out + ingestion.rows_aside.immature),
        Stage("mature", ingestion.rows_out),
        Stage("consistent labels", labels.rows_out),
    ]
    for split, sampled in (("train", sampling.train), ("valid", sampling.valid)):
        stages.append(Stage(split, sampled.before.rows, split))
        if sampled.after.rows < sampled.before.rows:
            stages.append(Stage(f"{split} sample", sampled.after.rows, split))
    return [*stages, Stage("test", int(_test_line(statistics)["rows"]), "test")]


def rates_of(sampling: SamplingReport, statistics: pd.DataFrame, *, steps: Sequence[str]) -> dict[str, Rates]:
    """Read how often each step happens in test, as in reality, and in what a model learns from."""
    test, before, after = _test_line(statistics), sampling.train.before, sampling.train.after
    rows = int(test["rows"])
    name = _SAMPLE if after.rows < before.rows else "train"
    return {
        "test": Rates(rows, {step: round(rows * test[f"positive_{step}_%"] / 100) for step in steps}),
        name: Rates(after.rows, {step: after.steps[step].positives for step in steps}),
    }


def _test_line(statistics: pd.DataFrame) -> pd.Series:
    return statistics[statistics["split"] == "test"].iloc[0]


def draw_funnel(stages: Sequence[Stage], rates: Mapping[str, Rates], *, steps: Sequence[str]) -> Figure:
    """Draw the rows left after each stage of preparation, and the share of impressions that reach each step.

    Args:
        stages: from the raw log to the samples, in order.
        rates: name of a set -> its counts, for instance "test" and "train sample"; three at most.
        steps: names, in funnel order.
    """
    lines = max(len(stages), (len(steps) + 1) * 1.4)
    subtitle = "Left: impressions left after each stage. Right: share of impressions that reach a step"
    end = "sample" if _SAMPLE in rates else "splits"
    subtitle += "; downsampling makes the last steps less rare." if _SAMPLE in rates else "."
    figure = new_figure(
        width=11.2,
        height=1.6 + 0.42 * lines,
        title=f"From the log to the {end}, and from the impression to the last step",
        subtitle=subtitle,
    )
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
    _draw_stages(left, stages)
    _draw_rates(right, rates, steps=steps)
    if rates:
        figure.legend(fontsize=SMALL, frameon=False, loc="outside lower right", ncols=len(rates))
    return figure


def _draw_stages(axes: Axes, stages: Sequence[Stage]) -> None:
    """Bars on a linear axis, whose lengths compare as the rows do."""
    if not stages:
        say(axes, "no stage was reported")
        return
    tidy_axes(axes)
    top = max(stage.rows for stage in stages)
    for position, stage in enumerate(stages):
        axes.barh(position, stage.rows, height=0.66, color=_SPLIT_COLOURS.get(stage.split or "", SKY))
        text = f"{thousands(stage.rows)}" + (f"  ({percent(stage.rows / top)})" if stage.rows < top else "")
        _write_beside(axes, text, (stage.rows, position))
    axes.set(yticks=range(len(stages)), ylim=(len(stages) - 0.4, -0.6), xlim=(0, 1.42 * max(top, 1)))
    axes.set_xticks([])  # every bar has its number
    axes.spines["bottom"].set_visible(False)
    axes.set_yticklabels([stage.name for stage in stages])
    axes.tick_params(axis="y", length=0, labelsize=NORMAL)
    label_axes(axes, title="Impressions left (share of the log)")


def _draw_rates(axes: Axes, rates: Mapping[str, Rates], *, steps: Sequence[str]) -> None:
    """Points on a logarithmic axis, which has no zero that bars could start from."""
    if not rates:
        say(axes, "no rate was reported")
        return
    tidy_axes(axes, grid="x")
    shares = {
        name: [counts.positives[step] / counts.rows if counts.rows else 0.0 for step in steps]
        for name, counts in rates.items()
    }
    low = min((share for values in shares.values() for share in values if share > 0), default=0.01) / 3
    height = 0.6 / len(rates)
    for (name, values), (colour, marker), index in zip(shares.items(), _LOOKS, range(len(rates)), strict=False):
        places = [position - 0.3 + height * (index + 0.5) for position in range(len(steps))]
        label = f"{name}: {thousands(rates[name].rows)} impressions"
        axes.plot([], [], color=colour, marker=marker, linestyle="none", label=label)
        for place, value, step in zip(places, values, steps, strict=True):
            # What never happened stands at the edge, hollow.
            axes.plot(max(value, low), place, color=colour, marker=marker, markersize=7, clip_on=False,
                      markerfacecolor=colour if value > 0 else "white")  # fmt: skip
            text = f"{percent(value)}  ({thousands(rates[name].positives[step])})"
            _write_beside(axes, text, (max(value, low), place))
    axes.set(xscale="log", xlim=(low, 12), yticks=range(len(steps)), ylim=(len(steps) - 0.4, -0.6))
    axes.set_yticklabels(steps)
    ticks = [10.0**power for power in range(-8, 1) if 10.0**power >= low]
    axes.set_xticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    axes.minorticks_off()
    axes.tick_params(axis="y", length=0, labelsize=NORMAL)
    label_axes(axes, title="Reached, of all impressions", x="share of impressions (logarithmic)")


def _write_beside(axes: Axes, text: str, place: tuple[float, float]) -> None:
    axes.annotate(
        text, place, xytext=(7, 0), textcoords="offset points", va="center", fontsize=SMALL, color=INK,
        bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
    )  # fmt: skip
