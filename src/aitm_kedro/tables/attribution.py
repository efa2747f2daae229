"""Attribution: labels from event times. A step counts if the one before counts and it happened inside its window."""

import ibis
import ibis.expr.types as ir

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import IMPRESSION_TIME, Funnel, time_column

_DAY = 24 * 60 * 60


def window_seconds(funnel: Funnel) -> dict[str, int]:
    """Seconds after the step before in which each step counts.

    Raises:
        InputError: a step has no window.
    """
    missing = [step for step in funnel.steps if step not in funnel.windows]
    if missing:
        raise InputError(
            f"labels come from event times, but funnel.windows has no entry for {', '.join(missing)}; "
            "give the days after the step before in which each counts"
        )
    return {step: round(funnel.windows[step] * _DAY) for step in funnel.steps}


def attribute_conversions(table: ir.Table, funnel: Funnel) -> ir.Table:
    """Add a 0/1 column for each step, made from ``{step}_time`` and the windows.

    A step that comes later than its window after the step before does not count, and neither does any after it. Steps
    whose step before is missing, or that are earlier than it, are left at 1: they are not late but inconsistent, which
    ``consistency`` counts and treats.
    """
    labels: dict[str, ir.Value] = {}
    late: ir.Value = ibis.literal(False)
    before = table[IMPRESSION_TIME]
    for step, seconds in window_seconds(funnel).items():
        moment = table[time_column(step)]
        late = late | (moment > before + ibis.interval(seconds=seconds)).fill_null(False)
        labels[step] = (moment.notnull() & ~late).cast("int8")
        before = moment
    return table.mutate(**labels)
