"""Reads the raw table: selects, checks and types the columns that the parameters name; bad input ends in a sentence."""

import difflib
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import ibis
import ibis.expr.types as ir

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import IMPRESSION_ID, IMPRESSION_TIME, Funnel, oracle_column, time_column
from aitm_kedro.core.ragged import LARGEST_WEIGHT
from aitm_kedro.tables.parameters import Ingestion, Split
from aitm_kedro.tables.values import as_category, as_number, as_time, without_nan

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
    """

    table: ir.Table
    labels_from: LabelSource
    outcomes: tuple[str, ...]
    oracle: tuple[str, ...]
    rows: int
    first: datetime | None
    last: datetime | None


def read_source(raw: ir.Table, *, funnel: Funnel, features: Features, split: Split, ingestion: Ingestion) -> Source:
    """Select, check and type the columns that the parameters name.

    The data are scanned once, and once more for each list with weights.

    Raises:
        InputError: a column is missing, or holds what it must not.
    """
    raw = rename_columns(raw, ingestion.rename)
    check_features(raw, features, funnel)
    labels_from = find_labels(raw.columns, funnel, ingestion.labels_from)
    labels = funnel.steps if labels_from == "columns" else ()
    moments = tuple(time_column(step) for step in funnel.steps)
    events = moments if labels_from == "times" else ()
    times = [name for name in (IMPRESSION_TIME, *moments) if name in raw.columns]
    oracle = _find_oracle(raw.columns, funnel)
    plain = _find_plain(raw, funnel, features, split)
    _check_present(raw.columns, [IMPRESSION_ID], "it names each impression")
    if events:
        _check_present(raw.columns, [IMPRESSION_TIME], "labels made from event times need it")
    _check_types(raw, labels, funnel)
    facts = _check_values(raw, times=times, labels=labels, weight=funnel.row_weight)
    check_list_weights(raw, features)
    columns = {
        IMPRESSION_ID: raw[IMPRESSION_ID].cast("string" if raw[IMPRESSION_ID].type().is_string() else "int64"),
        **{name: as_time(raw[name]) for name in times},
        **{name: without_nan(raw[name]) for name in plain if name not in times},
        **{name: without_nan(raw[name]).cast("int8") for name in labels},
        **{name: as_number(raw[name]) for name in oracle},
    }
    return Source(
        table=_select(raw, columns), labels_from=labels_from, outcomes=events or labels, oracle=oracle, **facts
    )


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
    for name in features.numeric:
        kind = table[name].type()
        if not (kind.is_numeric() or kind.is_boolean() or kind.is_null()):
            place = "lists" if kind.is_array() else "categorical"
            raise InputError(f"features.numeric names '{name}', which is {kind}; list it under features.{place}")
    for name in features.categorical:
        kind = table[name].type()
        if kind.is_array():
            raise InputError(f"features.categorical names '{name}', which is {kind}; list it under features.lists")
        if kind.is_nested() or kind.is_binary():
            raise InputError(f"features.categorical names '{name}', which is {kind}; it must hold one value a row")
    _check_lists(table, features)


def _check_lists(table: ir.Table, features: Features) -> None:
    _check_present(table.columns, features.weights, "features.lists names it")
    for feature in features.lists:
        kind = table[feature.name].type()
        if not kind.is_array():
            raise InputError(
                f"features.lists names '{feature.name}', which is {kind}; list it under features.categorical"
            )
        if kind.value_type.is_nested() or kind.value_type.is_binary():
            raise InputError(
                f"features.lists names '{feature.name}', which is {kind}; its lists must hold text or numbers"
            )
        weights = table[feature.weights].type() if feature.weights else None
        if weights is not None and not (weights.is_array() and weights.value_type.is_numeric()):
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


def _find_plain(raw: ir.Table, funnel: Funnel, features: Features, split: Split) -> list[str]:
    """Columns that go through as they are: features, segment, row weight, and the one that says train or test."""
    names = [*features.names, *features.weights]
    if funnel.segment:
        _check_present(raw.columns, [funnel.segment], "funnel.segment names it")
        names.append(funnel.segment)
    if funnel.row_weight:
        _check_present(raw.columns, [funnel.row_weight], "funnel.row_weight names it")
        names.append(funnel.row_weight)
    if split.by == "column" and split.column:
        _check_present(raw.columns, [split.column], "split.column names it")
        names.append(split.column)
    return list(dict.fromkeys(names))


def _check_present(columns: Iterable[str], names: Iterable[str], reason: str) -> None:
    columns = list(columns)
    missing = [name for name in names if name not in columns]
    if not missing:
        return
    hints = [
        f"'{close[0]}' for '{name}'" for name in missing if (close := difflib.get_close_matches(name, columns, n=1))
    ]
    raise InputError(
        f"the impressions have no column {', '.join(repr(name) for name in missing)} ({reason})"
        + (
            f"; did you mean {', '.join(hints)}?"
            if hints
            else "; correct the name, or map it with ingestion.rename, and run ingestion again"
        )
    )


def _check_types(raw: ir.Table, labels: Sequence[str], funnel: Funnel) -> None:
    kind = raw[IMPRESSION_ID].type()
    if not (kind.is_integer() or kind.is_string()):
        raise InputError(f"column '{IMPRESSION_ID}' is {kind}; it must be an integer or text")
    for name in labels:
        kind = raw[name].type()
        if not (kind.is_numeric() or kind.is_boolean() or kind.is_null()):
            raise InputError(f"label column '{name}' is {kind}; it must hold 0, 1 or null")
    if funnel.row_weight:
        _check_row_weight(raw, funnel.row_weight, funnel)


def _check_row_weight(raw: ir.Table, name: str, funnel: Funnel) -> None:
    taken = {IMPRESSION_ID, IMPRESSION_TIME, *map(time_column, funnel.steps), *map(oracle_column, funnel.steps)}
    if name in taken:
        raise InputError(
            f"funnel.row_weight names '{name}', which is no weight but an id, a time or the truth; name another "
            "column, or null"
        )
    kind = raw[name].type()
    if not (kind.is_numeric() or kind.is_null()):
        raise InputError(f"funnel.row_weight names '{name}', which is {kind}; it must hold numbers from 0 on")


def _check_values(raw: ir.Table, *, times: Sequence[str], labels: Sequence[str], weight: str | None) -> dict[str, Any]:
    """Look at every value that must be of a form, in one aggregate; returns rows, first and last impression time."""
    needed = dict.fromkeys(times, "timestamps (such as 2024-03-31 23:59:59) or null")
    needed |= dict.fromkeys(labels, "0, 1 or null")
    needed |= {weight: f"numbers from 0 to {LARGEST_WEIGHT:g} (funnel.row_weight names it)"} if weight else {}
    facts = _scan(raw, times=times, labels=labels, weight=weight)
    if facts["rows"] == 0:
        raise InputError("raw_impressions has no rows")
    if facts["null_ids"]:
        raise InputError(f"column '{IMPRESSION_ID}' is null in {facts['null_ids']} rows; give every impression an id")
    for name, values in needed.items():
        if facts[f"wrong_{name}"]:
            raise InputError(
                f"column '{name}' must hold {values}, but {facts[f'wrong_{name}']} rows hold something else, "
                f"for example {facts[f'example_{name}']}"
            )
    if facts.get("null_times"):
        raise InputError(f"column '{IMPRESSION_TIME}' is null in {facts['null_times']} rows; fill it or leave them out")
    if facts.get("largest_weight") == 0:
        raise InputError(
            f"column '{weight}' (funnel.row_weight names it) is 0 in all {facts['rows']} rows, so that none would "
            "count; correct it, or set funnel.row_weight to null"
        )
    moments = {name: facts[name].to_pydatetime() if name in facts else None for name in ("first", "last")}
    return {"rows": int(facts["rows"]), **moments}


def check_list_weights(raw: ir.Table, features: Features) -> None:
    """Check that weights of lists are numbers from 0 on that float32 can hold, and as many as there are values.

    Raises:
        InputError: naming the column.
    """
    for feature in features.lists:
        if feature.weights is None:
            continue
        values, weights = raw[feature.name], raw[feature.weights]
        differ = _length(values) != _length(weights)
        each = raw.select(weight=weights.unnest())["weight"].cast("float64")
        wrong = (each.isnull() | each.isnan() | (each < 0) | (each > LARGEST_WEIGHT)).fill_null(True)
        for count, complaint in (
            (raw.filter(differ).count(), f"rows have another number of weights than of values of '{feature.name}'"),
            (wrong.sum(), f"of its weights are no numbers from 0 to {LARGEST_WEIGHT:g}"),
        ):
            found = count.to_pyarrow().as_py()
            if found:
                raise InputError(f"column '{feature.weights}' is wrong: {found} {complaint}; mend it")


def _length(lists: ir.ArrayColumn) -> ir.IntegerValue:
    """Number of values; 0 for null, of which some engines say that it is null and others that it is -1."""
    return ibis.greatest(lists.length().fill_null(0), 0)


def _scan(raw: ir.Table, *, times: Sequence[str], labels: Sequence[str], weight: str | None) -> dict[str, Any]:
    """Count what is wrong, with an example each, and find the first and the last impression; one query."""
    wrong = {name: raw[name].notnull() & as_time(raw[name]).isnull() for name in times}
    wrong |= {name: ~as_number(raw[name]).isin([0.0, 1.0]) for name in labels}
    expressions: dict[str, ir.Value] = {"rows": raw.count(), "null_ids": raw[IMPRESSION_ID].isnull().sum()}
    if IMPRESSION_TIME in times:
        moment = as_time(raw[IMPRESSION_TIME])
        expressions |= {"first": moment.min(), "last": moment.max(), "null_times": raw[IMPRESSION_TIME].isnull().sum()}
    if weight is not None:
        number = as_number(raw[weight])
        wrong[weight] = ~number.between(0, LARGEST_WEIGHT).fill_null(False)
        expressions["largest_weight"] = number.max()
    for name, condition in wrong.items():
        is_wrong = condition.fill_null(False)
        expressions[f"wrong_{name}"] = is_wrong.sum()
        expressions[f"example_{name}"] = as_category(raw[name]).fill_null("null").max(where=is_wrong)
    return dict(raw.aggregate(**expressions).to_pandas().to_dict("records")[0])


def empty_oracle(table: ir.Table, funnel: Funnel) -> ir.Table:
    """No rows, with the columns of the true probabilities: what a source without them has."""
    nothing = {oracle_column(step): ibis.null("float64") for step in funnel.steps}
    return table.select(IMPRESSION_ID, **nothing).filter(ibis.literal(False))
