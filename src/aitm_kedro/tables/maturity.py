"""Maturity: which impressions are old enough for their outcome to be known."""

from datetime import datetime, timedelta

import ibis
import ibis.expr.types as ir

from aitm_kedro.core.funnel import IMPRESSION_TIME, Funnel
from aitm_kedro.tables.attribution import window_seconds
from aitm_kedro.tables.values import naive_utc


def observed_until(funnel: Funnel, last: datetime) -> datetime:
    """End of the log: as given, else the time of its latest impression."""
    return naive_utc(funnel.observed_until) if funnel.observed_until else last


def mature_until(funnel: Funnel, last: datetime) -> datetime:
    """The latest impression time at which every window has closed within the log."""
    return observed_until(funnel, last) - timedelta(seconds=sum(window_seconds(funnel).values()))


def is_mature_by_time(table: ir.Table, latest: datetime) -> ir.BooleanColumn:
    """True where the windows have closed, whatever happened in them: choosing by outcome would bias the rates."""
    return table[IMPRESSION_TIME] <= ibis.literal(latest)


def is_mature_by_label(table: ir.Table, funnel: Funnel) -> ir.BooleanColumn:
    """True where every label is known; windows are the business of whoever made the labels."""
    return ibis.and_(*(table[step].notnull() for step in funnel.steps))
