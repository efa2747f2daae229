"""What the comparison says, in sentences."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import pandas as pd

from aitm_kedro.comparison.summary import overlap, spread_of
from aitm_kedro.evaluation.results import ORACLE

_Rows = Mapping[str, dict[str, Any]]
"""Run -> its row of the summary, of one step."""


class Standing(NamedTuple):
    """A run's AUC on a step.

    Attributes:
        run: its name.
        auc: mean over its seeds.
        low: lower end of its interval: one standard deviation over several seeds, DeLong's of one; None: undefined.
        high: upper end.
        seeds: how many.
    """

    run: str
    auc: float
    low: float | None
    high: float | None
    seeds: int

    @property
    def text(self) -> str:
        """The AUC with its interval: "0.8609 ± 0.0015 over 5 seeds", "0.8609 [0.8541, 0.8677]" or "0.8609"."""
        return _with_interval(self.auc, self.low, self.high, seeds=self.seeds)


class Best(NamedTuple):
    """The run with the highest AUC on a step, and how sure that is.

    Attributes:
        first: the run; not the oracle, and none that did not learn.
        second: the next one; None: there is no other.
        overlap: whether the intervals of the two have values in common; False without a second.
        tied: names of the runs that cannot be told apart from the first (``summary.is_tied``: paired tests, where they
            could be made), highest first. While there are any, the first is not to be called better than they are.
    """

    first: Standing
    second: Standing | None
    overlap: bool
    tied: tuple[str, ...]


def best_run(summary: pd.DataFrame, *, step: str) -> Best | None:
    """The run with the highest AUC on a step, the next one, and which runs cannot be told apart from it.

    Args:
        summary: of ``comparison.summarise``.
        step: its name.

    Returns:
        None where no run that learnt has an AUC on the step.
    """
    rows = rows_of_step(summary, step)
    best = marked(rows, "best")
    if best is None:
        return None
    others = [run for run in _ranked(rows) if run != best and not rows[run]["unlearnt"]]
    second = rows[others[0]] if others else None
    return Best(
        first=_standing(rows[best]),
        second=None if second is None else _standing(second),
        overlap=second is not None and overlap(spread_of(rows[best]), spread_of(second)),
        tied=tuple(run for run in others if rows[run]["tied"]),
    )


def _ranked(rows: _Rows) -> list[str]:
    """Runs with an AUC, the oracle aside, highest first."""
    known = [run for run, row in rows.items() if run != ORACLE and is_known(row["auc"])]
    return sorted(known, key=lambda run: -rows[run]["auc"])


def _standing(row: Mapping[str, Any]) -> Standing:
    low, high = spread_of(row) or (None, None)
    return Standing(str(row["run"]), float(row["auc"]), low, high, int(row["seeds"]))


def _with_interval(auc: float, low: float | None, high: float | None, *, seeds: int) -> str:
    if low is None or high is None:
        return f"{auc:.4f}"
    return f"{auc:.4f} ± {high - auc:.4f} over {seeds} seeds" if seeds > 1 else f"{auc:.4f} [{low:.4f}, {high:.4f}]"


def describe_best(summary: pd.DataFrame, *, step: str) -> str | None:
    """Which run is best on a step, as a sentence with its interval; None where none has an AUC."""
    best = best_run(summary, step=step)
    if best is None:
        return None
    first, second = best.first, best.second
    learnt = "" if (summary["unlearnt"] == 0).all() else " that learnt"
    if second is None:
        return f"`{first.run}` is the only run{learnt} on {step}: AUC {first.text}."
    lead = first.auc - second.auc
    if not best.tied:
        return f"`{first.run}` is the best run{learnt} on {step}: AUC {first.text}, {lead:.4f} above `{second.run}`."
    named = ", ".join(f"`{run}`" for run in best.tied)
    return (
        f"No run{learnt} is clearly the best on {step}: `{first.run}` has the highest AUC, {first.text}, but cannot be "
        f"told apart from {named}."
    )


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
        leader = describe_best(summary, step=step)
        sentences += [] if leader is None else [leader]
        if subject is not None:
            sentences += _against_best_baseline(rows, step, subject)
        sentences += _above_reference(rows, step, reference)
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


def unlearnt_marks(summary: pd.DataFrame) -> dict[str, str]:
    """{run: what is to stand beside its name} of the runs that did not learn, or not with every seed."""
    marks = {}
    for run, rows in summary[summary["unlearnt"] > 0].groupby("run", sort=False):
        failed, seeds = int(rows["unlearnt"].max()), int(rows["seeds"].max())
        what = "did not learn probabilities" if rows["ranks"].all() else "did not learn"
        marks[str(run)] = what if failed >= seeds else f"{failed} of {seeds} seeds {what}"
    return marks


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


def _above_reference(rows: _Rows, step: str, reference: str) -> list[str]:
    """A run counts as better than the reference only beyond the upper end of its interval."""
    if reference not in rows or not is_known(rows[reference]["auc"]):
        return []
    bar, high = rows[reference]["auc"], rows[reference]["auc_high"]
    above = [run for run in _ranked(rows) if rows[run]["auc"] > bar and run != reference]
    better = [run for run in above if is_known(high) and rows[run]["auc"] > high]
    within = [run for run in above if run not in better]
    told = (
        (better, f"Better than the reference (`{reference}`, {bar:.4f}) on {step}, beyond its interval"),
        (within, f"Above the reference (`{reference}`, {bar:.4f}) on {step}, but not beyond its interval"),
    )
    return [f"{what}: {_named(rows, runs)}." for runs, what in told if runs]


def _named(rows: _Rows, runs: Sequence[str]) -> str:
    return ", ".join(f"`{run}` ({rows[run]['auc']:.4f})" for run in runs)


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
