"""Reads the raw table: selects, checks and types the columns that the parameters name; bad input ends in a sentence."""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.types as ir

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import IMPRESSION_ID, IMPRESSION_TIME, Funnel, oracle_column, time_column
from aitm_kedro.tables.column_names import nearest_names
from aitm_kedro.tables.forms import (
    can_read,
    read_category,
    read_features,
    read_number,
    require_features,
    require_number,
)
from aitm_kedro.tables.label_values import read_label, require_label
from aitm_kedro.tables.parameters import Ingestion, Split
from aitm_kedro.tables.requirements import Requirement, enforce, measure
from aitm_kedro.tables.sentences import counted, join_names
from aitm_kedro.tables.times import Reading, decide, examine
from aitm_kedro.tables.values import as_category, as_number

logger = logging.getLogger(__name__)

LabelSource = Literal["columns", "times"]


@dataclass(frozen=True, kw_only=True)
class Source:
    """A raw table with typed columns.

    Attributes:
        table: impression_id, impression_time if there is one, features, segment, row weight, split column, and the
            outcome and oracle columns.
        labels_from: whether the outcomes are 0/1 columns or event times.
        outcomes: the label columns or the event times, in funnel order.
        oracle: the columns of the true probabilities, in funnel order; empty if the source has none.
        rows: number of raw rows.
        first: time of the earliest impression; None without times.
        last: time of the latest one.
        read_as: column -> how it was read, for columns that were not of the type that they have now.
    """

    table: ir.Table
    labels_from: LabelSource
    outcomes: tuple[str, ...]
    oracle: tuple[str, ...]
    rows: int
    first: datetime | None
    last: datetime | None
    read_as: Mapping[str, str]


def read_source(raw: ir.Table, *, funnel: Funnel, features: Features, split: Split, ingestion: Ingestion) -> Source:
    """Select, check and type the columns that the parameters name; the data are scanned once.

    Raises:
        InputError: the table is empty, a column is missing, or holds what it must not.
    """
    _check_not_empty(raw)
    raw = rename_columns(raw, ingestion.rename)
    check_features(raw, features, funnel)
    labels_from = find_labels(raw.columns, funnel, ingestion.labels_from)
    labels = funnel.steps if labels_from == "columns" else ()
    moments = tuple(time_column(step) for step in funnel.steps)
    events = moments if labels_from == "times" else ()
    oracle = _find_oracle(raw.columns, funnel)
    _check_present(raw.columns, [IMPRESSION_ID], "it names each impression")
    if events:
        _check_present(raw.columns, [IMPRESSION_TIME], "labels made from event times need it")
    _check_id(raw)
    plain = _read_plain(raw, funnel, features, split, trim=ingestion.trim)
    requirements = [require_label(name, raw[name], ingestion.label_values) for name in labels]
    requirements += _require_row_weight(raw, funnel) + require_features(raw, features)
    times = {name: raw[name] for name in (IMPRESSION_TIME, *moments) if name in raw.columns}
    facts = _scan(raw, times, requirements, funnel, ingestion)
    readings = {name: _read_time(name, column, ingestion, facts) for name, column in times.items()}
    if events:
        _warn_of_zones(readings)
    columns = {
        IMPRESSION_ID: _read_id(raw[IMPRESSION_ID]),
        **plain,
        **{name: reading.column for name, reading in readings.items()},
        **{name: read_label(raw[name], ingestion.label_values) for name in labels},
        **{name: as_number(raw[name]) for name in oracle},
    }
    _warn_of_twins(raw, columns)
    shown = readings.get(IMPRESSION_TIME)
    return Source(
        table=_select(raw, columns),
        labels_from=labels_from,
        outcomes=events or labels,
        oracle=oracle,
        rows=facts["rows"],
        first=shown.first if shown else None,
        last=shown.last if shown else None,
        read_as=_read_as(raw, columns, readings),
    )


def _check_not_empty(raw: ir.Table) -> None:
    # Whether there is a row is quick to say, and comes first: an empty file has not the right columns either.
    if not raw.columns or not raw.limit(1).count().execute():
        named = f"it has the columns {', '.join(raw.columns)}, but no rows" if raw.columns else "not even columns"
        raise InputError(f"raw_impressions is empty: {named}; check the file, and 'filepath' in the catalog")


def _warn_of_twins(raw: ir.Table, read: Collection[str]) -> None:
    """Engines rename the second of two columns of one name, before anybody else sees them."""
    for name in read:
        twin = f"{name}_1"
        if twin in raw.columns and twin not in read:
            logger.warning(
                "raw_impressions has the columns '%s' and '%s': if its file names '%s' twice (or once in other case), "
                "the engine has renamed the second one, and the first one is read; name each column once.",
                name, twin, name,
            )  # fmt: skip


def _read_as(raw: ir.Table, columns: Mapping[str, ir.Value], readings: Mapping[str, Reading]) -> dict[str, str]:
    """How columns were read that were of another kind: for the log and the report."""
    found = {name: reading.what for name, reading in readings.items() if reading.what}
    for name, column in columns.items():
        given, kind = raw[name].type(), column.type()
        if (given.is_string() and not kind.is_string()) or given.is_binary():
            found.setdefault(name, f"{given} as {kind}")
    return found


def _select(raw: ir.Table, columns: dict[str, ir.Value]) -> ir.Table:
    """The columns in the order of the raw table; the raw table itself if it is just that, and need not be copied."""
    ordered = {name: columns[name] for name in (*raw.columns, *columns) if name in columns}
    if len(ordered) == len(raw.columns) and all(column.equals(raw[name]) for name, column in ordered.items()):
        return raw
    return raw.select(**ordered)


def rename_columns(raw: ir.Table, names: dict[str, str]) -> ir.Table:
    """The raw table with the names of the parameter ``ingestion.rename`` ({name here: name in the raw table})."""
    _check_present(raw.columns, names.values(), "ingestion.rename names it")
    taken = [here for here, there in names.items() if here in raw.columns and here not in names.values()]
    if taken:
        raise InputError(
            f"raw_impressions has a column '{taken[0]}' already, and ingestion.rename gives that name to "
            f"'{names[taken[0]]}'; rename one of them"
        )
    return raw.rename(names) if names else raw


def check_features(table: ir.Table, features: Features, funnel: Funnel) -> None:
    """Check that every feature is there, is of a type that can be read, and is no label (label leakage).

    The table needs no labels itself, so that new rows can be checked as well.

    Raises:
        InputError: naming the feature.
    """
    try:
        features.forbid_labels(funnel)
    except ValueError as error:
        raise InputError(str(error)) from error
    _check_present(table.columns, features.names, "features names it")
    _check_present(table.columns, features.weights, "features.lists names it")
    for name in features.numeric:
        kind = table[name].type()
        if not can_read("numeric", kind):
            place = "lists" if kind.is_array() else "categorical"
            raise InputError(f"features.numeric names '{name}', which is {kind}; list it under features.{place}")
    for name in features.categorical:
        kind = table[name].type()
        if not can_read("categorical", kind):
            advice = "list it under features.lists" if kind.is_array() else "it must hold one value a row"
            raise InputError(f"features.categorical names '{name}', which is {kind}; {advice}")
    _check_lists(table, features)


def _check_lists(table: ir.Table, features: Features) -> None:
    for feature in features.lists:
        kind = table[feature.name].type()
        if not can_read("list", kind):
            advice = "its lists must hold text or numbers" if kind.is_array() else "list it under features.categorical"
            raise InputError(f"features.lists names '{feature.name}', which is {kind}; {advice}")
        weights = table[feature.weights].type() if feature.weights else None
        if weights is not None and not can_read("weights", weights):
            raise InputError(
                f"features.lists names '{feature.weights}' as weights of '{feature.name}', but it is {weights}; it "
                "must hold a list of numbers in each row"
            )


def find_labels(columns: Collection[str], funnel: Funnel, wanted: Literal["auto", "columns", "times"]) -> LabelSource:
    """Decide where the labels come from: 0/1 columns named as the steps, or event times.

    Raises:
        InputError: neither is complete, or both are and nobody has chosen.
    """
    missing: dict[LabelSource, list[str]] = {
        "columns": [step for step in funnel.steps if step not in columns],
        "times": [time_column(step) for step in funnel.steps if time_column(step) not in columns],
    }
    found = [source for source in missing if not missing[source]]
    if wanted != "auto":
        _check_present(columns, missing[wanted], f"ingestion.labels_from is '{wanted}'")
        return wanted
    if len(found) == 2:
        raise InputError(
            f"raw_impressions has label columns {list(funnel.steps)} and their event times; "
            "set ingestion.labels_from to 'columns' or 'times'"
        )
    if not found:
        raise InputError(
            f"raw_impressions has neither all label columns (missing: {', '.join(missing['columns'])}) nor all event "
            f"times (missing: {', '.join(missing['times'])}); check funnel.steps or use ingestion.rename"
        )
    return found[0]


def _find_oracle(columns: Collection[str], funnel: Funnel) -> tuple[str, ...]:
    names = tuple(oracle_column(step) for step in funnel.steps)
    present = [name for name in names if name in columns]
    if present:
        _check_present(columns, names, f"'{present[0]}' is there, and the truth is needed for every step or none")
    return names if present else ()


def _read_plain(raw: ir.Table, funnel: Funnel, features: Features, split: Split, *, trim: bool) -> dict[str, ir.Column]:
    """Features, segment, row weight, and the column that says train or test."""
    columns = {}
    if funnel.segment:
        _check_present(raw.columns, [funnel.segment], "funnel.segment names it")
        columns[funnel.segment] = read_category(raw[funnel.segment], trim=trim)
    if funnel.row_weight:
        _check_present(raw.columns, [funnel.row_weight], "funnel.row_weight names it")
        columns[funnel.row_weight] = read_number(raw[funnel.row_weight])
    if split.by == "column" and split.column:
        _check_present(raw.columns, [split.column], "split.column names it")
        columns[split.column] = read_category(raw[split.column], trim=trim)
    return columns | read_features(raw, features, trim=trim)


def _check_present(columns: Iterable[str], names: Iterable[str], reason: str) -> None:
    columns = list(columns)
    missing = [name for name in names if name not in columns]
    if not missing:
        return
    hints = [f"'{near}' for '{name}'" for name, near in nearest_names(missing, columns).items()]
    raise InputError(
        f"the impressions have no column {', '.join(repr(name) for name in missing)} ({reason})"
        + (
            f"; did you mean {', '.join(hints)}?"
            if hints
            else "; correct the name, or map it with ingestion.rename, and run ingestion again"
        )
    )


def _check_id(raw: ir.Table) -> None:
    kind = raw[IMPRESSION_ID].type()
    if not (kind.is_integer() or kind.is_string() or kind.is_uuid() or kind.is_decimal()):
        raise InputError(f"column '{IMPRESSION_ID}' is {kind}; it must be an integer or text")


def _read_id(column: ir.Column) -> ir.Column:
    fits = column.type().is_integer() and not isinstance(column.type(), dt.UInt64)
    return column.cast("int64") if fits else as_category(column)


def _require_row_weight(raw: ir.Table, funnel: Funnel) -> list[Requirement]:
    name = funnel.row_weight
    if name is None:
        return []
    taken = {IMPRESSION_ID, IMPRESSION_TIME, *map(time_column, funnel.steps), *map(oracle_column, funnel.steps)}
    if name in taken:
        raise InputError(
            f"funnel.row_weight names '{name}', which is no weight but an id, a time or the truth; name another "
            "column, or null"
        )
    kind = raw[name].type()
    if kind.is_boolean() or not can_read("numeric", kind):
        raise InputError(f"funnel.row_weight names '{name}', which is {kind}; it must hold numbers from 0 on")
    numbers = require_number(name, raw[name], least=0, is_null_wrong=True)
    return [replace(numbers, holds=f"{numbers.holds} (funnel.row_weight names it)")]


def _scan(
    raw: ir.Table,
    times: Mapping[str, ir.Column],
    requirements: Sequence[Requirement],
    funnel: Funnel,
    ingestion: Ingestion,
) -> dict[str, Any]:
    """Look at every value in one query, and check what must hold."""
    name = raw[IMPRESSION_ID]
    missing = name.isnull() | (name.strip() == "") if name.type().is_string() else name.isnull()
    expressions = {"rows": raw.count(), "missing_ids": missing.sum(), **measure(requirements)}
    if funnel.row_weight:
        expressions["largest_weight"] = as_number(raw[funnel.row_weight]).max()
    for name, column in times.items():
        expressions |= {f"{what}_of_{name}": value for what, value in examine(column, ingestion.time).items()}
    facts: dict[str, Any] = raw.aggregate(**expressions).to_pyarrow().to_pylist()[0]
    if facts["missing_ids"]:
        raise InputError(
            f"column '{IMPRESSION_ID}' is null or blank in {counted(facts['missing_ids'], 'row')}; give every "
            "impression an id"
        )
    enforce(raw, requirements, facts)
    if facts.get("largest_weight") == 0:
        raise InputError(
            f"column '{funnel.row_weight}' (funnel.row_weight names it) is 0 in all {facts['rows']} rows, so that none "
            "would count; correct it, or set funnel.row_weight to null"
        )
    return facts


def _read_time(name: str, column: ir.Column, ingestion: Ingestion, facts: Mapping[str, Any]) -> Reading:
    suffix = f"_of_{name}"
    found = {key.removesuffix(suffix): value for key, value in facts.items() if key.endswith(suffix)}
    reading = decide(name, column, ingestion.time, found)
    if name == IMPRESSION_TIME and (nulls := facts["rows"] - found["known"]):
        raise InputError(f"column '{name}' is null in {counted(nulls, 'row')}; fill it, or leave such rows out")
    return reading


def _warn_of_zones(readings: Mapping[str, Reading]) -> None:
    """Say so if some columns tell their zone and others do not: hours may lie between times of one moment."""
    local, absolute = (
        [f"'{name}'" for name, reading in readings.items() if reading.is_utc is wanted] for wanted in (False, True)
    )
    if local and absolute:
        logger.warning(
            f"The times in {join_names(local)} have no time zone and are taken as UTC, while those in "
            f"{join_names(absolute)} have one or are numbers since 1970; if the former are local times, windows are "
            "wrong by hours: write all with a zone."
        )


def empty_oracle(table: ir.Table, funnel: Funnel) -> ir.Table:
    """No rows, with the columns of the true probabilities: what a source without them has."""
    nothing = {oracle_column(step): ibis.null("float64") for step in funnel.steps}
    return table.select(IMPRESSION_ID, **nothing).filter(ibis.literal(False))
