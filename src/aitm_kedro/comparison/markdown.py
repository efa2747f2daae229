"""The comparison for people: the paper's Table 2 for this data, in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from scipy.special import ndtri

from aitm_kedro.comparison.reported import tabulate_published
from aitm_kedro.comparison.summary import CEILING, REFERENCE, SUBJECT, YARDSTICK, order_models
from aitm_kedro.core.published import Published

# Metrics of probabilities: title, and whether more is better.
_PROBABILITY_METRICS = {
    "average_precision": ("average precision", True),
    "log_loss": ("log loss", False),
    "calibration_error": ("calibration error", False),
}
_UNDEFINED = "–"  # noqa: RUF001
_LEVELS = ((0.01, "**"), (0.05, "*"))

_MARKS = (
    "End to end from the impression, on {tested_on}. Mean ± standard deviation over seeds, or [{level} interval after "
    f"DeLong] where there is one seed. Gain: over `{REFERENCE}`. On the main steps, **bold**: the best, <ins>underlined"
    f"</ins>: the best baseline, that is, model other than `{SUBJECT}`; `*` and `**`: `{SUBJECT}` is above the best "
    "baseline with p < 0.05 and p < 0.01 (paired t-test over seeds)."
)
_LUCK = (
    f"How far `{SUBJECT}` leads each model on the main steps, with {{level}} interval. Interval and p over rows: "
    "DeLong's paired test on the test rows, of the means over seeds; would other rows tell the same? p over seeds: "
    "paired t-test; would other starts of the training, on these rows? No p is corrected for how many there are."
)
_PROBABILITIES = (
    "Average precision belongs to the ranking (more is better). Log loss in nats and calibration error belong to the "
    "probabilities, corrected for downsampling (less is better). Out of order: the largest share of test rows for "
    "which a step is predicted above the one before it, which cannot be."
)
_COST = (
    "Means over seeds. An epoch is one pass over train, without validation; for `mlp`, one of each of its networks. "
    "Best: the epoch that was kept. Seconds in all: of training, and of trying the encodings of "
    f"`{REFERENCE}` and the strengths of `{YARDSTICK}` in validation. Of `{REFERENCE}`, best: trees a step; "
    "parameters: leaves of all trees."
)
_FAIRNESS = (
    f"All networks read the same ids, in which numbers are bins; `{REFERENCE}` reads the numbers themselves, and "
    "validation chooses how it reads categories. All stop on the validation AUC: networks on the mean of the main "
    f"steps, `{REFERENCE}` and each network of `mlp` on that of their step."
)


def tabulate(
    summary: pd.DataFrame,
    comparison: pd.DataFrame,
    *,
    steps: Sequence[str],
    main_steps: Sequence[str],
    confidence: float,
    tested_on: str,
    settings: Mapping[str, Mapping[str, Any]],
    notes: Sequence[str],
    published: Published,
    verdict: str,
) -> str:
    """Write the comparison in Markdown.

    Args:
        summary: of ``comparison.summarise``.
        comparison: tidy table.
        steps: names in funnel order.
        main_steps: the ones that decide; marks and gains are for them.
        confidence: level of the intervals, in (0, 1).
        tested_on: the rows that the numbers come from.
        settings: of ``comparison.Gathered``.
        notes: sentences on what is missing.
        published: what others report for the same data.
        verdict: whether these are the same data.
    """
    steps = list(steps)
    main = [step for step in steps if step in main_steps]
    level = f"{100 * confidence:g} %"
    parts = [
        "## AUC on test",
        _MARKS.format(tested_on=tested_on, level=level),
        _auc_table(summary, steps=steps, main_steps=main),
        "## Is it luck?",
        _LUCK.format(level=level),
        _lead_table(summary, main_steps=main, confidence=confidence),
        "## Probabilities and order",
        _PROBABILITIES,
        _probability_table(comparison, main_steps=main),
        "## Cost",
        _COST,
        _cost_table(summary),
        " ".join([_FAIRNESS, *_differences(settings)]),
        *tabulate_published(summary, published, verdict=verdict, steps=steps),
        "## How it stands",
        "\n".join(f"- {sentence}" for sentence in [*verdicts(summary, steps=steps, main_steps=main), *notes]),
    ]
    return "\n\n".join(parts) + "\n"


def describe_test(comparison: pd.DataFrame, *, steps: Sequence[str]) -> str:
    """What the numbers come from: "1,200,000 test rows (positives: 245,000 of click, ...)"."""
    whole = comparison.loc[comparison["metric"] == "rows", "value"]
    positives = comparison[comparison["metric"] == "positives"].drop_duplicates("step").set_index("step")["value"]
    counted = ", ".join(f"{int(positives[step]):,} of {step}" for step in steps if step in positives)
    rows = f"{int(whole.iloc[0]):,} test rows" if len(whole) else "the test split"
    return f"{rows} (positives: {counted})"


def verdicts(summary: pd.DataFrame, *, steps: Sequence[str], main_steps: Sequence[str]) -> list[str]:
    """Sentences: who leads, what that is worth, who lies below the yardstick, and what could not be judged."""
    sentences = []
    for step in main_steps:
        rows = _of_step(summary, step)
        sentences += _leader(rows, step) + _subject_against_best(rows, step) + _below_yardstick(rows, step)
    for step in steps:
        if summary.loc[summary["step"] == step, "auc"].isna().all():
            sentences.append(f"`{step}` has no AUC: test has only one class of it.")
    return sentences


def _of_step(summary: pd.DataFrame, step: str) -> dict[str, dict[str, Any]]:
    """{model: its row} of one step."""
    rows = summary[summary["step"] == step].to_dict("records")
    return {str(row["model"]): {str(name): value for name, value in row.items()} for row in rows}


def _marked(rows: Mapping[str, dict[str, Any]], mark: str) -> str | None:
    return next((model for model, row in rows.items() if row[mark]), None)


def _leader(rows: Mapping[str, dict[str, Any]], step: str) -> list[str]:
    best = _marked(rows, "best")
    if best is None:
        return []
    others = {model: row["auc"] for model, row in rows.items() if model not in (best, CEILING) and pd.notna(row["auc"])}
    if not others:
        return [f"`{best}` is the only model on {step}."]
    second = max(others, key=lambda model: others[model])
    return [f"`{best}` is the best model on {step}, {rows[best]['auc'] - others[second]:.4f} above `{second}`."]


def _subject_against_best(rows: Mapping[str, dict[str, Any]], step: str) -> list[str]:
    """The paper's question: does the subject beat the best baseline, and is it luck?"""
    baseline = _marked(rows, "best_baseline")
    if baseline is None or SUBJECT not in rows or pd.isna(rows[baseline]["lead"]):
        return []
    row = rows[baseline]
    tests = [
        f", p = {_p(row[name])} over {what}".replace("= <", "<")
        for name, what in (("p_seeds", "seeds"), ("p_rows", "rows"))
        if pd.notna(row[name])
    ]
    reason = f" ({row['note']})" if _is_text(row["note"]) else ""
    sentence = f"`{SUBJECT}` against the best baseline on {step}, `{baseline}`: {row['lead']:+.4f}{''.join(tests)}"
    return [f"{sentence}{reason}."]


def _below_yardstick(rows: Mapping[str, dict[str, Any]], step: str) -> list[str]:
    if YARDSTICK not in rows or pd.isna(rows[YARDSTICK]["auc"]):
        return []
    bar, low = rows[YARDSTICK]["auc"], rows[YARDSTICK]["auc_low"]
    below = {model: row["auc"] for model, row in rows.items() if row["auc"] < bar and model != CEILING}
    if not below:
        return [f"No model lies below the yardstick (`{YARDSTICK}`) on {step}."]
    outside = {model for model, auc in below.items() if pd.notna(low) and auc < low}
    named = ", ".join(
        f"`{model}` ({auc:.4f}{', outside its interval' if model in outside else ''})" for model, auc in below.items()
    )
    return [f"Below the yardstick (`{YARDSTICK}`, {bar:.4f}) on {step}: {named}."]


def _auc_table(summary: pd.DataFrame, *, steps: Sequence[str], main_steps: Sequence[str]) -> str:
    header = ["model"]
    for step in steps:
        header += [step, "gain"] if step in main_steps else [step]
    by_step = {step: _of_step(summary, step) for step in steps}
    lines = []
    for model in order_models(summary):
        line = [_title(model)]
        for step, rows in by_step.items():
            line.append(_auc_cell(rows, model, main=step in main_steps))
            if step in main_steps:
                gain = rows[model]["gain"]
                line.append(_UNDEFINED if pd.isna(gain) or model == CEILING else f"{gain:+.4f}")
        lines.append(line)
    return _markdown(header, lines)


def _auc_cell(rows: Mapping[str, dict[str, Any]], model: str, *, main: bool) -> str:
    row = rows[model]
    if pd.isna(row["auc"]):
        return _UNDEFINED
    text = f"{row['auc']:.4f}"
    if main and row["best_baseline"]:
        text = f"<ins>{text}</ins>"
    if main and row["best"]:
        text = f"**{text}**"
    if row["seeds"] > 1:
        text += f" ± {row['auc_std']:.4f}"
    elif pd.notna(row["auc_low"]):
        text += f" [{row['auc_low']:.4f}, {row['auc_high']:.4f}]"
    return text + (_stars(rows) if main and model == SUBJECT else "")


def _stars(rows: Mapping[str, dict[str, Any]]) -> str:
    baseline = _marked(rows, "best_baseline")
    if baseline is None or not (rows[baseline]["lead"] > 0 and rows[baseline]["lead_seeds"] > 0):
        return ""
    p = rows[baseline]["p_seeds"]
    return next((" " + mark.replace("*", "\\*") for level, mark in _LEVELS if p < level), "")


def _lead_table(summary: pd.DataFrame, *, main_steps: Sequence[str], confidence: float) -> str:
    width = float(ndtri((1 + confidence) / 2))
    by_step = {step: _of_step(summary, step) for step in main_steps}
    header = [f"{SUBJECT} against"]
    for step in main_steps:
        header += [step, "p over rows", "p over seeds"]
    rivals = [model for model in order_models(summary) if model not in (SUBJECT, CEILING)]
    lines = [
        [_title(model), *(cell for rows in by_step.values() for cell in _lead_cells(rows[model], width=width))]
        for model in rivals
    ]
    reasons = dict.fromkeys(
        rows[model]["note"] for rows in by_step.values() for model in rivals if _is_text(rows[model]["note"])
    )
    return "\n\n".join([_markdown(header, lines), *(f"{_UNDEFINED}: {reason}." for reason in reasons)])


def _lead_cells(row: Mapping[str, Any], *, width: float) -> list[str]:
    lead, error = row["lead"], row["lead_error"]
    if pd.isna(lead):
        return [_UNDEFINED] * 3
    interval = "" if pd.isna(error) else f" [{lead - width * error:+.4f}, {lead + width * error:+.4f}]"
    return [f"{lead:+.4f}{interval}", _p(row["p_rows"]), _p(row["p_seeds"])]


def _probability_table(comparison: pd.DataFrame, *, main_steps: Sequence[str]) -> str:
    columns = [(step, metric) for step in main_steps for metric in _PROBABILITY_METRICS]
    means = {metric: _mean_of(comparison, metric) for metric in [*_PROBABILITY_METRICS, "order_violations"]}
    best = {
        (step, metric): _best(means[metric], step, more=_PROBABILITY_METRICS[metric][1]) for step, metric in columns
    }
    header = ["model", *(f"{step}: {_PROBABILITY_METRICS[metric][0]}" for step, metric in columns), "out of order"]
    rows = []
    for model in order_models(comparison):
        violations = [share for share in means["order_violations"].get(model, {}).values() if pd.notna(share)]
        cells = [
            _number(means[metric].get(model, {}).get(step), bold=best[step, metric] == model)
            for step, metric in columns
        ]
        rows.append([_title(model), *cells, f"{100 * max(violations):.2f} %" if violations else _UNDEFINED])
    return _markdown(header, rows)


def _cost_table(summary: pd.DataFrame) -> str:
    columns = {
        "parameters": ",.0f",
        "epochs": ".1f",
        "best_epoch": ".1f",
        "seconds_per_epoch": ".1f",
        "seconds": ",.0f",
    }
    facts = summary.drop_duplicates("model").set_index("model")
    lines = [
        [
            _title(model),
            *(
                f"{facts[name][model]:{form}}" if pd.notna(facts[name][model]) else _UNDEFINED
                for name, form in columns.items()
            ),
        ]
        for model in order_models(summary)
        if model != CEILING
    ]
    return _markdown(["model", "parameters", "epochs", "best", "seconds an epoch", "seconds in all"], lines)


def _differences(settings: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Sentences: what the training of all networks has in common, where it differs, and options off their defaults."""
    common = {model: told["common"] for model, told in settings.items() if told["common"]}
    names = list(dict.fromkeys(name for told in common.values() for name in told))
    values = {name: {model: told.get(name) for model, told in common.items()} for name in names}
    alike = [f"{name} {next(iter(of.values()))}" for name, of in values.items() if len(set(of.values())) == 1]
    sentences = [f"Common to all networks: {', '.join(alike)}."] if alike else []
    for name, of in values.items():
        if len(set(of.values())) > 1:
            each = ", ".join(f"{model} {value}" for model, value in of.items())
            sentences.append(f"The networks differ in {name}: {each}.")
    changed = [f"{model} {name} {value}" for model, told in settings.items() for name, value in told["changed"].items()]
    sentences.append(f"Options other than the defaults: {'; '.join(changed) or 'none'}.")
    return sentences


def _mean_of(comparison: pd.DataFrame, metric: str) -> dict[str, dict[str, float]]:
    """{model: {step: mean over seeds}} of one metric."""
    of_metric = comparison[(comparison["metric"] == metric) & comparison["step"].notna()]
    result: dict[str, dict[str, float]] = {}
    for (model, step), values in of_metric.groupby(["model", "step"], sort=False)["value"]:
        result.setdefault(str(model), {})[str(step)] = float(values.mean())
    return result


def _best(means: Mapping[str, Mapping[str, float]], step: str, *, more: bool) -> str | None:
    """The model with the best value of a step, the ceiling aside."""
    values = {
        model: of_step[step]
        for model, of_step in means.items()
        if model != CEILING and pd.notna(of_step.get(step, float("nan")))
    }
    return (max if more else min)(values, key=lambda model: values[model]) if values else None


def _number(value: Any, *, bold: bool) -> str:
    if pd.isna(value):
        return _UNDEFINED
    return f"**{value:.5f}**" if bold else f"{value:.5f}"


def _is_text(note: object) -> bool:
    """Whether there is a note; an empty one comes back from a CSV file as NaN."""
    return isinstance(note, str) and bool(note)


def _p(value: Any) -> str:
    if pd.isna(value):
        return _UNDEFINED
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _title(model: str) -> str:
    roles = {YARDSTICK: " (yardstick)", CEILING: " (ceiling: the truth)"}
    return model + roles.get(model, "")


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table: first column to the left, numbers to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (header, rule, *rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
