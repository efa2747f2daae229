"""The scoreboard: metrics of all models in one tidy table, and as Markdown for people."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from aitm_kedro.errors import InputError

# A model that ranks by the truth, and the one that every model should beat.
CEILING, YARDSTICK = "oracle", "logistic"

COLUMNS = ("model", "seed", "step", "metric", "value")
"""Columns of the tidy table; ``seed`` is null for what has none."""

# Metrics of the second part: title, and whether more is better.
_PROBABILITY_METRICS = {
    "average_precision": ("average precision", True),
    "log_loss": ("log loss", False),
    "calibration_error": ("calibration error", False),
}
_UNDEFINED = "–"  # noqa: RUF001


def tidy_metrics(metrics: Mapping[str, Any]) -> pd.DataFrame:
    """Lay out the metrics of one model and seed, one number a row.

    Args:
        metrics: a model's metrics: model, seed (or None), steps and order_violations.

    Returns:
        Columns model, seed (Int64), step, metric and value (float64, null where undefined). The share of rows where a
        step is predicted above the one before it is the later step's ``order_violations``.
    """
    rows = [
        (step, metric, value)
        for step, values in metrics["steps"].items()
        for metric, value in values.items()
        if metric != "note"
    ]
    violations = metrics.get("order_violations", {})
    rows += [(pair.split(">")[0], "order_violations", share) for pair, share in violations.items()]
    table = pd.DataFrame(rows, columns=["step", "metric", "value"]).astype({"value": "float64"})
    table.insert(0, "model", metrics["model"])
    table.insert(1, "seed", pd.Series([metrics.get("seed")] * len(table), dtype="Int64"))
    return table


def gather(scores: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put the tidy tables of all models together, in the order in which they come.

    Raises:
        InputError: there is none, or a model has two sets of metrics for one seed.
    """
    if not scores:
        raise InputError("there are no metrics to compare; run the modelling pipeline first")
    table = pd.concat(scores, ignore_index=True)
    twice = table[table.duplicated(["model", "seed", "step", "metric"])]
    if len(twice):
        first = twice.iloc[0]
        raise InputError(f"'{first['model']}' has two sets of metrics for seed {first['seed']}; compare each run once")
    return table[list(COLUMNS)]


def tabulate(
    comparison: pd.DataFrame, *, steps: Sequence[str], main_steps: Sequence[str], confidence: float, tested_on: str
) -> str:
    """Write the comparison in Markdown: AUCs of all steps, the probabilities of the main ones, and how it stands.

    Args:
        comparison: tidy table of all models.
        steps: names in funnel order.
        main_steps: the ones that decide; their best values are bold.
        confidence: level of the intervals, in (0, 1).
        tested_on: the rows that the numbers come from, for instance "1,200,000 test impressions".
    """
    steps, main_steps = list(steps), list(main_steps)
    parts = [
        "## AUC on test",
        f"End to end from the impression, on {tested_on}; [{100 * confidence:g} % interval after DeLong], or ± one "
        "standard deviation where there are several seeds. Bold: the best of a main step, the ceiling aside.",
        _auc_table(comparison, steps=steps, main_steps=main_steps),
        "## Main steps",
        "Average precision belongs to the ranking (more is better); log loss in nats and calibration error belong to "
        "the probabilities, corrected for downsampling (less is better).",
        _probability_table(comparison, main_steps=main_steps),
        "## How it stands",
        "\n".join(f"- {sentence}" for sentence in verdicts(comparison, steps=steps, main_steps=main_steps)),
    ]
    return "\n\n".join(parts) + "\n"


def verdicts(comparison: pd.DataFrame, *, steps: Sequence[str], main_steps: Sequence[str]) -> list[str]:
    """Sentences on who lies below the yardstick, and on what could not be judged."""
    area = _mean_of(comparison, "auc")
    sentences = [
        _against_yardstick(comparison, area, model=model, step=step)
        for step in main_steps
        for model in area
        if model not in (YARDSTICK, CEILING)
        and area[model].get(step, float("nan")) < area.get(YARDSTICK, {}).get(step, 0)
    ]
    contenders = [model for model in area if model not in (YARDSTICK, CEILING)]
    if not sentences and YARDSTICK in area and contenders:
        sentences = [f"No model lies below the yardstick (`{YARDSTICK}`) on a main step."]
    blank = [step for step in steps if all(pd.isna(values.get(step)) for values in area.values())]
    return sentences + [f"`{step}` has no AUC: test has only one class of it." for step in blank]


def _against_yardstick(
    comparison: pd.DataFrame, area: Mapping[str, Mapping[str, float]], *, model: str, step: str
) -> str:
    """Say that a model lies below the yardstick, and whether the gap is within the yardstick's own uncertainty."""
    low = _mean_of(comparison, "auc_low").get(YARDSTICK, {}).get(step)
    inside = low is not None and area[model][step] >= low
    worth = "within" if inside else "outside"
    return (
        f"`{model}` lies below the yardstick (`{YARDSTICK}`) on {step}: {area[model][step]:.4f} against "
        f"{area[YARDSTICK][step]:.4f}, {worth} the yardstick's interval."
    )


def _auc_table(comparison: pd.DataFrame, *, steps: Sequence[str], main_steps: Sequence[str]) -> str:
    area = _mean_of(comparison, "auc")
    best = {step: _best(area, step, more=True) for step in main_steps}
    rows = [
        [_title(model)] + [_auc_cell(comparison, model, step, bold=best.get(step) == model) for step in steps]
        for model in area
    ]
    return _markdown(["model", *steps], rows)


def _probability_table(comparison: pd.DataFrame, *, main_steps: Sequence[str]) -> str:
    columns = [(step, metric) for step in main_steps for metric in _PROBABILITY_METRICS]
    means = {metric: _mean_of(comparison, metric) for metric in _PROBABILITY_METRICS}
    best = {
        (step, metric): _best(means[metric], step, more=_PROBABILITY_METRICS[metric][1]) for step, metric in columns
    }
    rows = [
        [_title(model)]
        + [
            _cell(means[metric][model].get(step), bold=best[step, metric] == model, digits=5)
            for step, metric in columns
        ]
        for model in means["log_loss"]
    ]
    return _markdown(["model"] + [f"{step}: {_PROBABILITY_METRICS[metric][0]}" for step, metric in columns], rows)


def _mean_of(comparison: pd.DataFrame, metric: str) -> dict[str, dict[str, float]]:
    """{model: {step: mean over seeds}} of one metric; models in their order, the ceiling last."""
    of_metric = comparison[comparison["metric"] == metric]
    means = of_metric.groupby(["model", "step"], sort=False)["value"].mean()
    models = sorted(dict.fromkeys(comparison["model"]), key=lambda model: (model == CEILING, model == YARDSTICK))
    return {model: means[model].to_dict() if model in means else {} for model in models}


def _best(means: Mapping[str, Mapping[str, float]], step: str, *, more: bool) -> str | None:
    """The model with the best value of a step, the ceiling aside."""
    values = {
        model: of_step[step]
        for model, of_step in means.items()
        if model != CEILING and pd.notna(of_step.get(step, float("nan")))
    }
    return (max if more else min)(values, key=lambda model: values[model]) if values else None


def _auc_cell(comparison: pd.DataFrame, model: str, step: str, *, bold: bool) -> str:
    """AUC with its interval, or mean and standard deviation over seeds."""
    rows = comparison[(comparison["model"] == model) & (comparison["step"] == step)]
    values, low, high = (
        rows.loc[rows["metric"] == metric, "value"].dropna() for metric in ("auc", "auc_low", "auc_high")
    )
    cell = _cell(values.mean() if len(values) else None, bold=bold, digits=4)
    if len(values) > 1:
        return f"{cell} ± {values.std():.4f}"
    return f"{cell} [{low.iloc[0]:.4f}, {high.iloc[0]:.4f}]" if len(values) and len(low) else cell


def _cell(value: float | None, *, bold: bool, digits: int) -> str:
    if value is None or pd.isna(value):
        return _UNDEFINED
    return f"**{value:.{digits}f}**" if bold else f"{value:.{digits}f}"


def _title(model: str) -> str:
    roles = {YARDSTICK: " (yardstick)", CEILING: " (ceiling: the truth)"}
    return model + roles.get(model, "")


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table: first column to the left, numbers to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(line) + " |" for line in [header, rule, *rows])
