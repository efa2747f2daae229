"""Label consistency: y_1 >= y_2 >= ... >= y_T (paper, section 4.1) and times that do not go backwards."""

from collections import Counter
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import IMPRESSION_TIME, Funnel, time_column

REASON = "reason"

Policy = Literal["drop", "truncate", "promote", "fail"]


def pattern(table: ir.Table, funnel: Funnel) -> ir.StringValue:
    """The labels as text, such as '1100'."""
    text: ir.Value = ibis.literal("")
    for step in funnel.steps:
        text = text + table[step].cast("string")
    return text


def reason(table: ir.Table, funnel: Funnel) -> ir.StringValue:
    """Why a row is illegal: its labels ('1010'), or the first step that is earlier than the one before; else null."""
    increases, goes_back = _increases(table, funnel), _goes_back(table, funnel)
    names = ("impression", *funnel.steps)
    branches = [(goes_back[step], f"{step} earlier than {names[place]}") for place, step in enumerate(funnel.steps)]
    return ibis.cases(
        (ibis.or_(ibis.literal(False), *increases.values()), pattern(table, funnel)),
        *branches,
        else_=ibis.null("string"),
    )


def repair(table: ir.Table, funnel: Funnel, policy: Policy) -> ir.Table:
    """Make the labels of every row legal, if the policy says how; the others leave them as they are.

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


def make_legal(table: ir.Table, funnel: Funnel, policy: Policy) -> ir.Table:
    """The table under the policy: without its illegal rows, or with them repaired."""
    if policy in ("drop", "fail"):
        return table.filter(reason(table, funnel).isnull())
    return repair(table, funnel, policy)


def illegal_rows(table: ir.Table, funnel: Funnel) -> ir.Table:
    """The illegal rows as they came in, with the reason."""
    return table.mutate(**{REASON: reason(table, funnel)}).filter(lambda t: t[REASON].notnull())


def label_report(table: ir.Table, funnel: Funnel, policy: Policy) -> dict[str, Any]:
    """Count every pattern and reason in one scan: rows_in = rows_out + rows_aside.

    Raises:
        InputError: the policy is 'fail' and a row is illegal, or no row is left.
    """
    marked = table.mutate(_before=pattern(table, funnel), **{REASON: reason(table, funnel)})
    repaired = repair(marked, funnel, policy)
    patterns = repaired.group_by(["_before", REASON, pattern(repaired, funnel).name("_after")])
    rows = patterns.agg(_rows=lambda t: t.count()).to_pandas()
    legal, illegal, positives = Counter[str](), Counter[str](), Counter[str]()
    for before, why, result, count in rows.itertuples(index=False):
        is_legal = not isinstance(why, str)
        (legal if is_legal else illegal)[before if is_legal else why] += int(count)
        if is_legal or policy in ("truncate", "promote"):
            positives.update(
                {step: int(count) for step, label in zip(funnel.steps, result, strict=True) if label == "1"}
            )
    return _report(funnel, policy, legal=legal, illegal=illegal, positives=positives)


def _report(
    funnel: Funnel, policy: Policy, *, legal: Counter[str], illegal: Counter[str], positives: Counter[str]
) -> dict[str, Any]:
    broken, rows_in = illegal.total(), legal.total() + illegal.total()
    counts = ", ".join(f"{why}: {count}" for why, count in illegal.most_common())
    if policy == "fail" and broken:
        raise InputError(
            f"{broken} of {rows_in} impressions break the order of the steps {list(funnel.steps)} ({counts}); "
            "mend them, or set labels.policy to drop, truncate or promote"
        )
    repaired = policy in ("truncate", "promote")
    rows_out = rows_in if repaired else rows_in - broken
    if rows_out == 0:
        raise InputError(f"no impression is left after label consistency ({counts}); check the order of funnel.steps")
    return {
        "policy": policy,
        "rows_in": rows_in,
        "rows_out": rows_out,
        "rows_aside": rows_in - rows_out,
        "rows_repaired": broken if repaired else 0,
        "legal": dict(sorted(legal.items())),
        "illegal": dict(illegal.most_common()),
        "steps": {step: {"positives": positives[step], "rate": positives[step] / rows_out} for step in funnel.steps},
    }


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
