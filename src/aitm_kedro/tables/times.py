"""Reads columns of times: timestamps, ISO text, formats of one's own, seconds and smaller units since 1970.

What a column holds is found in the same scan of the table that looks at everything else: ``examine`` says what to
measure, ``decide`` how to read the column by it. What could mean two things is never guessed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from aitm_kedro.core.errors import InputError
from aitm_kedro.tables.dialects import moment_after, moment_of
from aitm_kedro.tables.parameters import TimeForm, TimeUnit
from aitm_kedro.tables.sentences import counted
from aitm_kedro.tables.values import as_category, not_blank, without_nan

EPOCH = datetime(1970, 1, 1)

PLAUSIBLE = datetime(1990, 1, 1), datetime(2100, 1, 1)
"""Numbers are taken for times if all of them lie between these, in one unit; the ranges of the units are far apart."""

UNITS: Mapping[TimeUnit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Parts of a second."""

_DAY = r"\d{4}[-/]\d{1,2}[-/]\d{1,2}"
_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?"
_ZONED = rf"^({_DAY}[T ]{_CLOCK}) ?(Z|z|UTC|[+-]\d{{2}}(?::?\d{{2}})?)$"
_UNZONED = rf"^{_DAY}(?:[T ]{_CLOCK})?$"
_NUMBER = r"^-?\d+(\.\d+)?$"
_DAY_OR_MONTH_FIRST = r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}"

_FORMAT = "ingestion.time.format says how it is written, for example {format: '%d.%m.%Y %H:%M'}"

Kind = Literal["timestamps", "text", "numbers"]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How a column of times is read.

    Attributes:
        what: in words, for the log and the report; None for timestamps, which are as they should be.
        first: the earliest moment; None if all are null.
        last: the latest one.
        column: the moments, UTC without zone.
        is_utc: whether the values say which moment they mean, by a zone or as numbers since 1970; if not, they are
            taken as UTC. None if all are null.
    """

    what: str | None
    first: datetime | None
    last: datetime | None
    column: ir.TimestampColumn
    is_utc: bool | None


def examine(column: ir.Column, form: TimeForm) -> dict[str, ir.Value]:
    """Aggregates by which ``decide`` knows how to read a column: null where they do not apply."""
    kind = _kind(column.type(), form)
    if kind is None:
        return {"known": column.count(), "example": column.cast("string").max()}
    if kind == "timestamps":
        moment = column.cast("timestamp")
        return {"known": moment.count(), "first": moment.min(), "last": moment.max()}
    if kind == "numbers":
        number = _number(column)
        strange = (column.notnull() & number.isnull()).ifelse(as_category(column), None)
        return {
            "known": without_nan(column).count(),
            "least": number.min(),
            "most": number.max(),
            "example": strange.max(),
        }
    return _examine_text(not_blank(as_category(column)), form)


def _examine_text(text: ir.StringColumn, form: TimeForm) -> dict[str, ir.Value]:
    moment = _read_text(text, form)
    found: dict[str, ir.Value] = {"known": text.count(), "first": moment.min(), "last": moment.max()}
    strange = text.notnull() & moment.isnull()
    if form.format is None:
        number = _number(text)
        strange = strange & number.isnull()
        found |= {
            "zoned": text.re_search(_ZONED).sum(),
            "numbers": number.count(),
            "least": number.min(),
            "most": number.max(),
        }
    return found | {"strange": strange.sum(), "example": strange.ifelse(text, None).max()}


def decide(name: str, column: ir.Column, form: TimeForm, found: Mapping[str, Any]) -> Reading:
    """How to read a column.

    Args:
        name: of the column.
        column: as it came.
        form: the parameter ``ingestion.time``.
        found: what ``examine`` asked for.

    Raises:
        InputError: it holds something else than times, or what could mean several.
    """
    kind = _kind(column.type(), form)
    if not found["known"]:
        return Reading(what=None, first=None, last=None, column=ibis.null("timestamp"), is_utc=None)
    if kind is None:
        raise InputError(
            f"column '{name}' is {column.type()}, for example {found['example']}; it must hold timestamps, text such "
            "as 2024-03-31 23:59:59, or numbers since 1970"
        )
    if kind == "timestamps":
        has_zone = column.type().is_timestamp() and column.type().timezone is not None
        moment = column.cast("timestamp")
        return Reading(what=None, first=found["first"], last=found["last"], column=moment, is_utc=has_zone)
    if kind == "numbers":
        return _decide_numbers(name, _number(column), form, found)
    return _decide_text(name, not_blank(as_category(column)), form, found)


def _decide_numbers(name: str, number: ir.NumericColumn, form: TimeForm, found: Mapping[str, Any]) -> Reading:
    least, most = found["least"], found["most"]
    if found["example"] is not None:
        raise InputError(f"column '{name}' must hold times or null, but holds {found['example']}; make it null")
    unit = form.unit or _guess_unit(least, most)
    if unit is None:
        raise InputError(
            f"column '{name}' holds numbers from {least:g} to {most:g}, which are not all times between "
            f"{PLAUSIBLE[0].year} and {PLAUSIBLE[1].year} in one of the units s, ms, us and ns since 1970; make those "
            "that are no times null, or set ingestion.time: {unit: s} (or ms, us, ns; {format: '%Y%m%d'} if 20240331 "
            "is a day)"
        )
    try:
        first, last = (EPOCH + timedelta(microseconds=_microseconds(end, unit)) for end in (least, most))
    except OverflowError:
        raise InputError(
            f"column '{name}' holds numbers from {least:g} to {most:g}, which are no times in the unit '{unit}' of "
            "ingestion.time; name another one (s, ms, us or ns)"
        ) from None
    how = "by ingestion.time.unit" if form.unit else "guessed by their size"
    moment = _from_number(number, unit)
    return Reading(what=f"{unit} since 1970 ({how})", first=first, last=last, column=moment, is_utc=True)


def _guess_unit(least: float, most: float) -> TimeUnit | None:
    for unit, parts in UNITS.items():
        low, high = ((end - EPOCH).total_seconds() * parts for end in PLAUSIBLE)
        if low <= least and most < high:
            return unit
    return None


def _decide_text(name: str, text: ir.StringColumn, form: TimeForm, found: Mapping[str, Any]) -> Reading:
    known, strange, numbers = found["known"], found["strange"], found.get("numbers", 0)
    if strange:
        raise InputError(_not_read(name, found, form))
    if numbers == known:
        return _decide_numbers(name, _number(text), form, {**found, "example": None})
    zoned = found.get("zoned", 0)
    if numbers or 0 < zoned < known:
        mixed = counted(numbers, "number") if numbers else f"{zoned:,} with a time zone"
        raise InputError(
            f"column '{name}' mixes forms: {mixed} among {known:,} times; write all alike, since nobody can "
            "say of which zone or unit the others are"
        )
    if form.format is not None:
        what, is_utc = f"text in the format {form.format}", "%z" in form.format
    else:
        what = "text with time zones, made UTC" if zoned else "text without time zones, taken as UTC"
        is_utc = bool(zoned)
    moment = _read_text(text, form)
    return Reading(what=what, first=found["first"], last=found["last"], column=moment, is_utc=is_utc)


def _not_read(name: str, found: Mapping[str, Any], form: TimeForm) -> str:
    example, rows = str(found["example"]), found["strange"]
    held = f"{rows:,} {'row holds' if rows == 1 else 'rows hold'} something else, for example {example[:80]}"
    if form.format is not None:
        return (
            f"column '{name}' must hold times in the format {form.format} (ingestion.time.format) or null, but {held}; "
            "correct the format, or the rows"
        )
    complaint = f"column '{name}' must hold times (such as 2024-03-31 23:59:59) or null, but {held}"
    if re.match(_DAY_OR_MONTH_FIRST, example):
        return f"{complaint}, where day and month could be meant either way; {_FORMAT}"
    return f"{complaint}; {_FORMAT}"


def _kind(given: dt.DataType, form: TimeForm) -> Kind | None:
    """How values of a type are looked at; whole numbers are text if a format says how days are written by them."""
    if given.is_timestamp() or given.is_date() or given.is_null():
        return "timestamps"
    if given.is_numeric() and not given.is_boolean():
        return "text" if form.format is not None and form.unit is None else "numbers"
    return "text" if given.is_string() or given.is_binary() else None


def _number(column: ir.Column) -> ir.NumericColumn:
    """Integers as they are, which floats could not hold in nanoseconds; text and others as floats, or null."""
    kind = column.type()
    if kind.is_integer():
        return column.cast("int64")
    if kind.is_string():
        return column.re_search(_NUMBER).ifelse(column, None).try_cast("float64")
    number = column.cast("float64")
    return (number.isnan() | number.isinf()).ifelse(None, number) if kind.is_floating() else number


def _microseconds(number: float, unit: TimeUnit) -> int:
    """What ``_from_number`` makes of one number."""
    return int(number // 1000) if unit == "ns" else round(number * (10**6 // UNITS[unit]))


def _from_number(number: ir.NumericColumn, unit: TimeUnit) -> ir.TimestampColumn:
    # A float holds no number of nanoseconds exactly, but does hold whole microseconds.
    microseconds = (number - number % 1000) / 1000 if unit == "ns" else number * (10**6 // UNITS[unit])
    is_whole = microseconds.type().is_integer()
    return moment_after((microseconds if is_whole else microseconds.round()).cast("int64"))


def _read_text(text: ir.StringColumn, form: TimeForm) -> ir.TimestampColumn:
    """The moments of text, null where there is none; ISO if no format is given."""
    if form.format is not None:
        return moment_of(text, form.format)
    plain = text.re_search(_UNZONED).ifelse(text, None)
    moment, zone = text.re_extract(_ZONED, 1), text.re_extract(_ZONED, 2).replace("UTC", "Z").upper()
    seconds = moment.re_search(r":\d{2}:").ifelse("", ":00")  # engines want them before a zone
    full = text.re_search(_ZONED).ifelse(moment + seconds + zone, plain)
    return full.try_cast(dt.Timestamp(timezone="UTC")).cast("timestamp")  # else zones would be passed over
