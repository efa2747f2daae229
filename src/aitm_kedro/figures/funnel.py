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
    name = "train sample" if after.rows < before.rows else "train"
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
        rates: name of a set -> its counts, for instance "test (real rates)" and "train sample"; two or three.
        steps: names, in funnel order.
    """
    lines = max(len(stages), (len(steps) + 1) * 1.4)
    figure = new_figure(
        width=11.2,
        height=1.6 + 0.42 * lines,
        title="From the log to the sample, and from the impression to the last step",
        subtitle="Left: impressions left after each stage. Right: share of impressions that reach a step; "
        "downsampling makes the last steps less rare.",
    )
    left, right = figure.subplots(1, 2, width_ratios=[1, 1.15])
    _draw_stages(left, stages)
    _draw_rates(right, rates, steps=steps)
    return figure


def _draw_stages(axes: Axes, stages: Sequence[Stage]) -> None:
    if not stages:
        say(axes, "no stage was reported")
        return
    tidy_axes(axes)
    top = max(stage.rows for stage in stages)
    for position, stage in enumerate(stages):
        colour = _SPLIT_COLOURS.get(stage.split or "", SKY)
        axes.barh(position, max(stage.rows, 0.5), height=0.66, left=0.5, color=colour)
        text = f"{thousands(stage.rows)}" + (f"  ({percent(stage.rows / top)})" if stage.rows < top else "")
        axes.annotate(text, (max(stage.rows, 1), position), xytext=(4, 0), textcoords="offset points", va="center",
                      fontsize=SMALL, color=INK)  # fmt: skip
    axes.set(xscale="log", yticks=range(len(stages)), ylim=(len(stages) - 0.4, -0.6))
    axes.set_yticklabels([stage.name for stage in stages])
    low = min([stage.rows for stage in stages if stage.rows > 0], default=1)
    start = max(low / 30, 0.5)
    axes.set_xlim(start, max(top, 1) * (max(top, 1) / start) ** 0.42)
    axes.tick_params(axis="y", length=0, labelsize=NORMAL)
    label_axes(axes, title="Impressions left (share of the log)", x="impressions (logarithmic)")


def _draw_rates(axes: Axes, rates: Mapping[str, Rates], *, steps: Sequence[str]) -> None:
    if not rates:
        say(axes, "no rate was reported")
        return
    tidy_axes(axes)
    shares = {
        name: [counts.positives[step] / counts.rows if counts.rows else 0.0 for step in steps]
        for name, counts in rates.items()
    }
    low = min((share for values in shares.values() for share in values if share > 0), default=0.01) / 12
    height = 0.8 / len(rates)
    looks = ((VERMILION, ""), (BLUE, ""), (GREY, ""))
    for index, (name, values) in enumerate(shares.items()):
        places = [position - 0.4 + height * (index + 0.5) for position in range(len(steps))]
        colour = looks[index % len(looks)][0]
        label = f"{name}: {thousands(rates[name].rows)} impressions"
        axes.barh(places, [max(value, low) - low for value in values], left=low, height=height * 0.86, color=colour,
                  label=label)  # fmt: skip
        for place, value, step in zip(places, values, steps, strict=True):
            text = f"{percent(value)}  ({thousands(rates[name].positives[step])})"
            axes.annotate(text, (max(value, low), place), xytext=(4, 0), textcoords="offset points", va="center",
                          fontsize=SMALL, color=INK)  # fmt: skip
    axes.set(xscale="log", xlim=(low, 6), yticks=range(len(steps)), ylim=(len(steps) - 0.4, -0.6))
    axes.set_yticklabels(steps)
    ticks = [10.0**power for power in range(-8, 1) if 10.0**power >= low]
    axes.set_xticks(ticks, [f"{100 * tick:g} %" for tick in ticks])
    axes.minorticks_off()
    axes.tick_params(axis="y", length=0, labelsize=NORMAL)
    label_axes(axes, title="Reached, of all impressions", x="share of impressions (logarithmic)")
    axes.legend(fontsize=SMALL, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14), ncols=len(rates))
