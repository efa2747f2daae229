"""Finds and treats inconsistent labels: a step without the step before it, or event times that go backwards.

Labels of a row are consistent where y_1 >= y_2 >= ... >= y_T (paper, section 4.1) and no step is earlier than the one
before it.
"""

import logging
import re
from collections import Counter
from collections.abc import Mapping

import ibis
import ibis.expr.types as ir

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import IMPRESSION_TIME, Funnel, time_column
from aitm_kedro.tables.parameters import LabelPolicy
from aitm_kedro.tables.reports import LabelReport, step_counts
from aitm_kedro.tables.sentences import counted, join_names, percent

logger = logging.getLogger(__name__)

REASON = "reason"

MANY_INCONSISTENT = 0.05
"""Share of rows with inconsistent labels from which on they are no mere noise: labels are made or named wrongly."""


def pattern(table: ir.Table, funnel: Funnel) -> ir.StringValue:
    """The labels as text, such as '1100'."""
    text: ir.Value = ibis.literal("")
    for step in funnel.steps:
        text = text + table[step].cast("string")
    return text


def reason(table: ir.Table, funnel: Funnel) -> ir.StringValue:
    """Why the labels of a row are inconsistent; null where they are consistent.

    The reason is the labels themselves ('1010'), or else the first step that is earlier than the one before it.
    """
    increases, goes_back = _increases(table, funnel), _goes_back(table, funnel)
    names = ("impression", *funnel.steps)
    branches = [(goes_back[step], f"{step} earlier than {names[place]}") for place, step in enumerate(funnel.steps)]
    return ibis.cases(
        (ibis.or_(ibis.literal(False), *increases.values()), pattern(table, funnel)),
        *branches,
        else_=ibis.null("string"),
    )


def repair(table: ir.Table, funnel: Funnel, policy: LabelPolicy) -> ir.Table:
    """Make the labels of every row consistent, if the policy says how; the other policies leave them as they are.

    ``truncate``: the first step that breaks the order and every later one become 0. ``promote``: every step before one
    that happened becomes 1; times that go backwards change nothing then.
    """
    labels: dict[str, ir.Value] = {}
    if policy == "truncate":
        increases, goes_back = _increases(table, funnel), _goes_back(table, funnel)
        broken: ir.Value = ibis.literal(False)
        for step in funnel.steps:
            broken = broken | increases[step] | goes_back[step]
            labels[step] = broken.ifelse(0, table[step]).cast("int8")
    elif policy == "promote":
        for place, step in enumerate(funnel.steps):
            later = [table[name] for name in funnel.steps[place:]]
            labels[step] = (ibis.greatest(*later) if len(later) > 1 else later[0]).cast("int8")
    return table.mutate(**labels)


def make_consistent(table: ir.Table, funnel: Funnel, policy: LabelPolicy) -> ir.Table:
    """The table under the policy: without its rows with inconsistent labels, or with them repaired."""
    if _repairs(policy):
        return repair(table, funnel, policy)
    return table.filter(reason(table, funnel).isnull())


def inconsistent_rows(table: ir.Table, funnel: Funnel) -> ir.Table:
    """The rows with inconsistent labels as they came in, with the reason."""
    return table.mutate(**{REASON: reason(table, funnel)}).filter(lambda t: t[REASON].notnull())


def label_report(table: ir.Table, funnel: Funnel, policy: LabelPolicy) -> LabelReport:
    """Count every pattern of labels and every reason, in one scan.

    Raises:
        InputError: the policy is 'fail' and a row has inconsistent labels, or no row is left.
    """
    marked = table.mutate(_before=pattern(table, funnel), **{REASON: reason(table, funnel)})
    repaired = repair(marked, funnel, policy)
    patterns = repaired.group_by(["_before", REASON, pattern(repaired, funnel).name("_after")])
    rows = patterns.agg(_rows=lambda t: t.count()).to_pandas()
    consistent, inconsistent, positives = Counter[str](), Counter[str](), Counter[str]()
    for before, why, after, count in rows.itertuples(index=False):
        is_consistent = not isinstance(why, str)
        (consistent if is_consistent else inconsistent)[before if is_consistent else why] += int(count)
        if is_consistent or _repairs(policy):
            happened = [step for step, label in zip(funnel.steps, after, strict=True) if label == "1"]
            positives.update(dict.fromkeys(happened, int(count)))
    _check_policy(funnel, policy, inconsistent, rows=consistent.total() + inconsistent.total())
    return _report(funnel, policy, consistent=consistent, inconsistent=inconsistent, positives=positives)


def _repairs(policy: LabelPolicy) -> bool:
    """Whether the policy keeps rows with inconsistent labels, and repairs them."""
    return policy in ("truncate", "promote")


def describe_reasons(inconsistent: Mapping[str, int], funnel: Funnel) -> str:
    """Reasons in words, most rows first: "approval without application: 1,203 rows, click earlier than impression: …".

    Labels are told by the first step that breaks the order: '1010' and '1011' are both "approval without application".

    Args:
        inconsistent: rows by reason, as in ``LabelReport.illegal``.
        funnel: the steps.
    """
    words = Counter[str]()
    for why, rows in inconsistent.items():
        words[_in_words(why, funnel)] += rows
    return join_names([f"{what}: {counted(rows, 'row')}" for what, rows in words.most_common()])


def _in_words(why: str, funnel: Funnel) -> str:
    """A reason in words; one about times is in words already."""
    if not re.fullmatch("[01]+", why):
        return why
    step = why.index("01") + 1
    return f"{funnel.steps[step]} without {funnel.steps[step - 1]}"


def warn_of_inconsistency(report: LabelReport, funnel: Funnel) -> None:
    """Warn if so many rows have inconsistent labels that this can be no noise."""
    broken = report.rows_aside + report.rows_repaired
    if broken > MANY_INCONSISTENT * report.rows_in:
        done = "repaired" if _repairs(report.policy) else "set aside"
        logger.warning(
            f"{percent(broken, report.rows_in)} of the {report.rows_in:,} impressions have inconsistent labels and are "
            f"{done} (labels.policy {report.policy}): {describe_reasons(report.illegal, funnel)}; check the order of "
            "funnel.steps, and how labels and times are made."
        )


def rows_set_aside(report: LabelReport, funnel: Funnel) -> str:
    """What to add to a complaint about rows that are missing: those set aside for their labels; empty if none were."""
    if not report.rows_aside:
        return ""
    return (
        f"; {report.rows_aside:,} of {report.rows_in:,} impressions were set aside for inconsistent labels "
        f"({describe_reasons(report.illegal, funnel)})"
    )


def _check_policy(funnel: Funnel, policy: LabelPolicy, inconsistent: Counter[str], *, rows: int) -> None:
    broken = inconsistent.total()
    counts = describe_reasons(inconsistent, funnel)
    if policy == "fail" and broken:
        raise InputError(
            f"{broken:,} of {rows:,} impressions break the order of the steps {list(funnel.steps)} ({counts}); "
            "mend them, or set labels.policy to drop, truncate or promote"
        )
    if (rows if _repairs(policy) else rows - broken) == 0:
        raise InputError(
            f"no impression is left of {rows:,}, for all have inconsistent labels ({counts}); check the order of "
            "funnel.steps, or set labels.policy to truncate or promote"
        )


def _report(
    funnel: Funnel,
    policy: LabelPolicy,
    *,
    consistent: Counter[str],
    inconsistent: Counter[str],
    positives: Counter[str],
) -> LabelReport:
    broken, rows_in = inconsistent.total(), consistent.total() + inconsistent.total()
    aside = 0 if _repairs(policy) else broken
    return LabelReport(
        policy=policy,
        rows_in=rows_in,
        rows_out=rows_in - aside,
        rows_aside=aside,
        rows_repaired=broken - aside,
        legal=dict(sorted(consistent.items())),
        illegal=dict(inconsistent.most_common()),
        steps=step_counts({step: positives[step] for step in funnel.steps}, rows=rows_in - aside),
    )


def _increases(table: ir.Table, funnel: Funnel) -> dict[str, ir.Value]:
    """For each step, whether it happened although the step before did not; never for the first one."""
    marks: dict[str, ir.Value] = {funnel.steps[0]: ibis.literal(False)}
    for before, step in zip(funnel.steps, funnel.steps[1:], strict=False):
        marks[step] = table[step] > table[before]
    return marks


def _goes_back(table: ir.Table, funnel: Funnel) -> dict[str, ir.Value]:
    """For each step, whether its time is earlier than the one before, of the times that the source has."""
    marks: dict[str, ir.Value] = dict.fromkeys(funnel.steps, ibis.literal(False))
    before = IMPRESSION_TIME if IMPRESSION_TIME in table.columns else None
    for step in funnel.steps:
        after = time_column(step)
        if after in table.columns:
            if before is not None:
                marks[step] = (table[after] < table[before]).fill_null(False)
            before = after
    return marks
