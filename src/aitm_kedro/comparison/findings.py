"""What the comparison says, in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from aitm_kedro.evaluation.results import ORACLE

_Rows = Mapping[str, dict[str, Any]]
"""Run -> its row of the summary, of one step."""


def findings(
    summary: pd.DataFrame, *, steps: Sequence[str], main_steps: Sequence[str], reference: str, subject: str | None
) -> list[str]:
    """Sentences: which run leads, how sure that is, which lie below the reference, and what could not be judged.

    Args:
        summary: of ``comparison.summarise``.
        steps: names in funnel order.
        main_steps: the ones that decide.
        reference: the run over which gains are computed.
        subject: the run that is tested against all others, or None.
    """
    sentences = _absent(summary, reference=reference, subject=subject)
    for step in main_steps:
        rows = rows_of_step(summary, step)
        sentences += _leader(rows, step)
        if subject is not None:
            sentences += _against_best_baseline(rows, step, subject)
        sentences += _below_reference(rows, step, reference)
    for step in steps:
        if summary.loc[summary["step"] == step, "auc"].isna().all():
            sentences.append(f"`{step}` has no AUC: test has only one class of it.")
    return sentences


def rows_of_step(summary: pd.DataFrame, step: str) -> dict[str, dict[str, Any]]:
    """{run: its row} of one step."""
    rows = summary[summary["step"] == step].to_dict("records")
    return {str(row["run"]): {str(name): value for name, value in row.items()} for row in rows}


def marked(rows: _Rows, mark: str) -> str | None:
    """The run that has a mark, ``best`` or ``best_baseline``."""
    return next((run for run, row in rows.items() if row[mark]), None)


def is_known(number: Any) -> bool:
    """Whether a number is defined."""
    return bool(pd.notna(number))


def is_text(note: object) -> bool:
    """Whether there is a note; an empty one comes back from a CSV file as NaN."""
    return isinstance(note, str) and bool(note)


def p_value(value: Any, *, undefined: str = "") -> str:
    """A p-value as readers want it: 0.0123, or < 0.0001."""
    if not is_known(value):
        return undefined
    return "< 0.0001" if value < 0.0001 else f"{value:.4f}"


def _absent(summary: pd.DataFrame, *, reference: str, subject: str | None) -> list[str]:
    runs, sentences = set(summary["run"]), []
    if reference not in runs:
        sentences.append(f"The reference `{reference}` has no results to compare, so there are no gains over it.")
    if subject is not None and subject not in runs:
        sentences.append(f"`{subject}` has no results to compare, so its lead over other runs is not tested.")
    return sentences


def _leader(rows: _Rows, step: str) -> list[str]:
    best = marked(rows, "best")
    if best is None:
        return []
    others = {run: row["auc"] for run, row in rows.items() if run not in (best, ORACLE) and is_known(row["auc"])}
    if not others:
        return [f"`{best}` is the only run on {step}."]
    second = max(others, key=lambda run: others[run])
    return [f"`{best}` is the best run on {step}, {rows[best]['auc'] - others[second]:.4f} above `{second}`."]


def _against_best_baseline(rows: _Rows, step: str, subject: str) -> list[str]:
    """The paper's question: does the subject beat the best baseline, and is the difference significant?"""
    baseline = marked(rows, "best_baseline")
    if baseline is None or not is_known(rows[baseline]["lead"]):
        return []
    row = rows[baseline]
    tests = [
        f", p = {p_value(row[name])} over {what}".replace("= <", "<")
        for name, what in (("p_seeds", "seeds"), ("p_rows", "rows"))
        if is_known(row[name])
    ]
    reason = f" ({row['note']})" if is_text(row["note"]) else ""
    sentence = f"`{subject}` against the best baseline on {step}, `{baseline}`: {row['lead']:+.4f}{''.join(tests)}"
    return [f"{sentence}{reason}."]


def _below_reference(rows: _Rows, step: str, reference: str) -> list[str]:
    if reference not in rows or not is_known(rows[reference]["auc"]):
        return []
    bar, low = rows[reference]["auc"], rows[reference]["auc_low"]
    below = {run: row["auc"] for run, row in rows.items() if row["auc"] < bar and run != ORACLE}
    if not below:
        return [f"No run lies below the reference (`{reference}`) on {step}."]
    outside = {run for run, auc in below.items() if is_known(low) and auc < low}
    named = ", ".join(
        f"`{run}` ({auc:.4f}{', outside its interval' if run in outside else ''})" for run, auc in below.items()
    )
    return [f"Below the reference (`{reference}`, {bar:.4f}) on {step}: {named}."]
