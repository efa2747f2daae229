"""The comparison for people: the paper's Table 2 for this data, in Markdown."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pandas as pd
from scipy.special import ndtri

from aitm_kedro.comparison.findings import (
    findings,
    is_known,
    is_text,
    marked,
    p_value,
    rows_of_step,
    unlearnt_marks,
)
from aitm_kedro.comparison.gathering import ComparisonNotes, RunSettings
from aitm_kedro.comparison.reported import tabulate_published
from aitm_kedro.comparison.summary import order_runs
from aitm_kedro.core.published import Published
from aitm_kedro.evaluation.results import ORACLE

# Metrics of probabilities: title, and whether more is better.
_PROBABILITY_METRICS = {
    "average_precision": ("average precision", True),
    "log_loss": ("log loss", False),
    "calibration_error": ("calibration error", False),
}
_COST_COLUMNS = {
    "parameters": ("parameters", ",.0f"),
    "epochs": ("epochs", ".1f"),
    "best_epoch": ("best", ".1f"),
    "seconds_per_epoch": ("seconds an epoch", ".1f"),
    "seconds": ("seconds in all", ",.0f"),
}
_UNDEFINED = "–"  # noqa: RUF001
_LEVELS = ((0.01, "**"), (0.05, "*"))

_AUC = (
    "End to end from the impression, on {tested_on}. Mean ± standard deviation over seeds, or [{level} interval after "
    "DeLong] where there is one seed. Gain: over the reference, `{reference}`. On the main steps, **bold**: the best, "
    "and runs that cannot be told apart from it (paired tests, p ≥ 0.05)"
)
_BASELINE = (
    ", <ins>underlined</ins>: the best baseline, that is, run other than `{subject}`; `*` and `**`: `{subject}` is "
    "above the best baseline with p < 0.05 and p < 0.01 (paired t-test over seeds)"
)
_UNLEARNT = (
    "A run that did not learn, because its log loss on validation is not below that of constant probabilities, is "
    "never bold or underlined; the findings say what to change."
)
_SIGNIFICANCE = (
    "How far `{subject}` leads each run on the main steps, with {level} interval. Interval and p over rows: "
    "DeLong's paired test on the test rows, of the means over seeds; would other rows tell the same? p over seeds: "
    "paired t-test; would other starts of the training, on these rows? No p is corrected for how many there are."
)
_NO_SUBJECT = "No lead is tested: the parameter `explain` names no run."
_PROBABILITIES = (
    "Average precision belongs to the ranking (more is better). Log loss in nats and calibration error belong to the "
    "probabilities, corrected for downsampling (less is better). Out of order: the largest share of test rows for "
    "which a step is predicted above the one before it, which cannot be."
)
_COST = (
    "Means over seeds. Parameters: numbers learnt; of trees, their leaves. An epoch is one pass over train, without "
    "validation; of boosted trees, a round. Best: the epoch that was kept. Seconds in all: of training, with all that "
    "validation chose from. A run of independent networks has means of their epochs; its seconds an epoch are those of "
    "one epoch of each."
)
_FAIRNESS = (
    "All runs learn from the same rows, choose by the same rows of validation, and are judged on the same rows of test."
)


def tabulate(
    summary: pd.DataFrame,
    comparison: pd.DataFrame,
    *,
    steps: Sequence[str],
    main_steps: Sequence[str],
    reference: str,
    subject: str | None,
    confidence: float,
    tested_on: str,
    notes: ComparisonNotes,
    published: Published,
    verdict: str,
) -> str:
    """Write the comparison in Markdown.

    Args:
        summary: of ``comparison.summarise``.
        comparison: tidy table.
        steps: names in funnel order.
        main_steps: the ones that decide; marks and gains are for them.
        reference: the run over which gains are computed.
        subject: the run that is tested against all others; None: no lead is tested.
        confidence: level of the intervals, in (0, 1).
        tested_on: the rows that the numbers come from.
        notes: what is missing, and how the runs were trained.
        published: what others report for the same data.
        verdict: whether these are the same data.
    """
    steps = list(steps)
    main = [step for step in steps if step in main_steps]
    level = f"{100 * confidence:g} %"
    titles = _titles(summary, reference)
    found = findings(summary, steps=steps, main_steps=main, reference=reference, subject=subject)
    parts = [
        "## AUC on test",
        _describe_auc(tested_on=tested_on, level=level, reference=reference, subject=subject)
        + (f" {_UNLEARNT}" if unlearnt_marks(summary) else ""),
        _auc_table(summary, steps=steps, main_steps=main, titles=titles, subject=subject),
        "## Statistical significance",
        *_significance(summary, main_steps=main, confidence=confidence, titles=titles, subject=subject),
        "## Probabilities and order",
        _PROBABILITIES,
        _probability_table(comparison, main_steps=main, titles=titles, unlearnt=unlearnt_marks(summary)),
        "## Cost",
        _COST,
        _cost_table(summary, titles=titles),
        " ".join([_FAIRNESS, *_differences(notes.settings)]),
        *tabulate_published(summary, published, verdict=verdict, steps=steps),
        "## Findings",
        "\n".join(f"- {sentence}" for sentence in [*found, *notes.notes]),
    ]
    return "\n\n".join(parts) + "\n"


def describe_test(comparison: pd.DataFrame, *, steps: Sequence[str]) -> str:
    """What the numbers come from: "1,200,000 test rows (positives: 245,000 of click, ...)"."""
    whole = comparison.loc[comparison["metric"] == "rows", "value"]
    positives = comparison[comparison["metric"] == "positives"].drop_duplicates("step").set_index("step")["value"]
    counted = ", ".join(f"{int(positives[step]):,} of {step}" for step in steps if step in positives)
    rows = f"{int(whole.iloc[0]):,} test rows" if len(whole) else "the test split"
    return f"{rows} (positives: {counted})"


def _describe_auc(*, tested_on: str, level: str, reference: str, subject: str | None) -> str:
    text = _AUC.format(tested_on=tested_on, level=level, reference=reference)
    return text + ("" if subject is None else _BASELINE.format(subject=subject)) + "."


def _auc_table(
    summary: pd.DataFrame,
    *,
    steps: Sequence[str],
    main_steps: Sequence[str],
    titles: Mapping[str, str],
    subject: str | None,
) -> str:
    header = ["run"]
    for step in steps:
        header += [step, "gain"] if step in main_steps else [step]
    by_step = {step: rows_of_step(summary, step) for step in steps}
    lines = []
    for run in order_runs(summary):
        line = [titles[run]]
        for step, rows in by_step.items():
            is_main = step in main_steps
            stars = _stars(rows) if is_main and run == subject else ""
            line.append(_auc_cell(rows[run], is_main=is_main) + stars)
            if is_main:
                gain = rows[run]["gain"]
                line.append(f"{gain:+.4f}" if is_known(gain) and run != ORACLE else _UNDEFINED)
        lines.append(line)
    return _markdown(header, lines)


def _auc_cell(row: Mapping[str, Any], *, is_main: bool) -> str:
    if not is_known(row["auc"]):
        return _UNDEFINED
    text = f"{row['auc']:.4f}"
    if is_main and row["best_baseline"]:
        text = f"<ins>{text}</ins>"
    if is_main and (row["best"] or row["tied"]):
        text = f"**{text}**"
    if row["seeds"] > 1:
        text += f" ± {row['auc_std']:.4f}"
    elif is_known(row["auc_low"]):
        text += f" [{row['auc_low']:.4f}, {row['auc_high']:.4f}]"
    return text


def _stars(rows: Mapping[str, dict[str, Any]]) -> str:
    """Marks of the subject where its lead over the best baseline is significant over seeds."""
    baseline = marked(rows, "best_baseline")
    if baseline is None or not (rows[baseline]["lead"] > 0 and rows[baseline]["lead_seeds"] > 0):
        return ""
    p = rows[baseline]["p_seeds"]
    return next((" " + mark.replace("*", "\\*") for level, mark in _LEVELS if p < level), "")


def _significance(
    summary: pd.DataFrame,
    *,
    main_steps: Sequence[str],
    confidence: float,
    titles: Mapping[str, str],
    subject: str | None,
) -> list[str]:
    """Paragraphs: the subject's lead over every other run, and why a test is undefined."""
    if subject is None:
        return [_NO_SUBJECT]
    width = float(ndtri((1 + confidence) / 2))
    by_step = {step: rows_of_step(summary, step) for step in main_steps}
    header = [f"{subject} against"]
    for step in main_steps:
        header += [step, "p over rows", "p over seeds"]
    others = [run for run in order_runs(summary) if run not in (subject, ORACLE)]
    lines = [
        [titles[run], *(cell for rows in by_step.values() for cell in _lead_cells(rows[run], width=width))]
        for run in others
    ]
    notes = [rows[run]["note"] for rows in by_step.values() for run in others]
    reasons = [f"{_UNDEFINED}: {note}." for note in dict.fromkeys(filter(is_text, notes))]
    return [_SIGNIFICANCE.format(subject=subject, level=f"{100 * confidence:g} %"), _markdown(header, lines), *reasons]


def _lead_cells(row: Mapping[str, Any], *, width: float) -> list[str]:
    lead, error = row["lead"], row["lead_error"]
    if not is_known(lead):
        return [_UNDEFINED] * 3
    interval = f" [{lead - width * error:+.4f}, {lead + width * error:+.4f}]" if is_known(error) else ""
    return [f"{lead:+.4f}{interval}", *(p_value(row[name], undefined=_UNDEFINED) for name in ("p_rows", "p_seeds"))]


def _probability_table(
    comparison: pd.DataFrame, *, main_steps: Sequence[str], titles: Mapping[str, str], unlearnt: Collection[str]
) -> str:
    columns = [(step, metric) for step in main_steps for metric in _PROBABILITY_METRICS]
    means = {metric: _mean_of(comparison, metric) for metric in [*_PROBABILITY_METRICS, "order_violations"]}
    best = {
        (step, metric): _best(means[metric], step, more=_PROBABILITY_METRICS[metric][1], but={ORACLE, *unlearnt})
        for step, metric in columns
    }
    header = ["run", *(f"{step}: {_PROBABILITY_METRICS[metric][0]}" for step, metric in columns), "out of order"]
    rows = []
    for run in order_runs(comparison):
        violations = [share for share in means["order_violations"].get(run, {}).values() if is_known(share)]
        cells = [
            _number(means[metric].get(run, {}).get(step), bold=best[step, metric] == run) for step, metric in columns
        ]
        rows.append([titles[run], *cells, f"{100 * max(violations):.2f} %" if violations else _UNDEFINED])
    return _markdown(header, rows)


def _cost_table(summary: pd.DataFrame, *, titles: Mapping[str, str]) -> str:
    facts = summary.drop_duplicates("run").set_index("run")
    lines = []
    for run in order_runs(summary):
        if run != ORACLE:
            told = [(facts[name][run], form) for name, (_, form) in _COST_COLUMNS.items()]
            cells = [f"{value:{form}}" if is_known(value) else _UNDEFINED for value, form in told]
            lines.append([titles[run], *cells])
    return _markdown(["run", *(title for title, _ in _COST_COLUMNS.values())], lines)


def _differences(settings: Mapping[str, RunSettings]) -> list[str]:
    """Sentences: what the training of all networks has in common, where it differs, and options off their defaults."""
    training = {run: told.training for run, told in settings.items() if told.training}
    alike, different = [], []
    for name in dict.fromkeys(name for of_run in training.values() for name in of_run):
        values = {run: of_run[name] for run, of_run in training.items() if name in of_run}
        first, *others = values.values()
        if all(value == first for value in others):
            alike.append(f"{name} {first}")
        else:
            each = ", ".join(f"{run} {value}" for run, value in values.items())
            different.append(f"The networks differ in {name}: {each}.")
    common = [f"Common to all networks: {', '.join(alike)}."] if alike else []
    changed = [f"{run} {name} {value}" for run, told in settings.items() for name, value in told.changed.items()]
    return [*common, *different, f"Options other than the defaults: {'; '.join(changed) or 'none'}."]


def _mean_of(comparison: pd.DataFrame, metric: str) -> dict[str, dict[str, float]]:
    """{run: {step: mean over seeds}} of one metric."""
    of_metric = comparison[(comparison["metric"] == metric) & comparison["step"].notna()]
    result: dict[str, dict[str, float]] = {}
    for (run, step), values in of_metric.groupby(["run", "step"], sort=False)["value"]:
        result.setdefault(str(run), {})[str(step)] = float(values.mean())
    return result


def _best(means: Mapping[str, Mapping[str, float]], step: str, *, more: bool, but: Collection[str]) -> str | None:
    """The run with the best value of a step, some aside."""
    values = {
        run: of_step[step]
        for run, of_step in means.items()
        if run not in but and is_known(of_step.get(step, float("nan")))
    }
    return (max if more else min)(values, key=lambda run: values[run]) if values else None


def _number(value: Any, *, bold: bool) -> str:
    if not is_known(value):
        return _UNDEFINED
    return f"**{value:.5f}**" if bold else f"{value:.5f}"


def _titles(summary: pd.DataFrame, reference: str) -> dict[str, str]:
    """Run -> its name with what is to be known of it: "lightgbm (reference)", "ple (did not learn)"."""
    roles = {reference: "reference", ORACLE: "upper bound"}
    unlearnt, titles = unlearnt_marks(summary), {}
    for run in order_runs(summary):
        marks = [of_run[run] for of_run in (roles, unlearnt) if run in of_run]
        titles[run] = f"{run} ({', '.join(marks)})" if marks else run
    return titles


def _markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table: first column to the left, numbers to the right."""
    rule = ["---"] + ["---:"] * (len(header) - 1)
    lines = [[cell.replace("|", "\\|") for cell in line] for line in (header, rule, *rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
