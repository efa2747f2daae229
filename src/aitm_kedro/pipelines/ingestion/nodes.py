"""Nodes of the ingestion stage: from the raw table to typed, unique, labelled impressions."""

import logging
from typing import Any

import ibis.expr.types as ir

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import IMPRESSION_ID, Funnel
from aitm_kedro.tables.attribution import attribute_conversions
from aitm_kedro.tables.deduplication import deduplicate
from aitm_kedro.tables.maturity import is_mature_by_label, is_mature_by_time, mature_until, observed_until
from aitm_kedro.tables.parameters import Ingestion, Split
from aitm_kedro.tables.reports import IngestionReport, RowsAside
from aitm_kedro.tables.sentences import counted, percent
from aitm_kedro.tables.source import Source, empty_oracle, read_source

logger = logging.getLogger(__name__)

MANY_REPEATED = 0.05
"""Share of rows with a repeated id and other features from which on these are no mere noise: ids are made wrongly."""


def ingest_impressions(
    raw: ir.Table,
    source_report: dict[str, Any],
    funnel: Funnel,
    features: Features,
    split: Split,
    ingestion: Ingestion,
) -> tuple[ir.Table, ir.Table, IngestionReport]:
    """Type, deduplicate and label the raw impressions, and leave out the immature ones.

    Args:
        raw: the source.
        source_report: what the source says of itself, such as lines that it could not read.
        funnel: the steps.
        features: columns to keep.
        split: which may need a column.
        ingestion: names, where labels come from, and in which forms columns are.

    Returns:
        impressions, oracle, ingestion_report.
    """
    if not isinstance(raw, ir.Table):
        raise InputError(
            f"raw_impressions is loaded as {type(raw).__name__}, but the stages work on Ibis tables; in the catalog, "
            "give it the type 'aitm_kedro.datasets.Table' (or ibis.FileDataset)"
        )
    source = read_source(raw, funnel=funnel, features=features, split=split, ingestion=ingestion)
    if source.read_as:
        logger.info("Columns read: %s", "; ".join(f"'{name}' {how}" for name, how in source.read_as.items()))
    unique = deduplicate(source.table, outcomes=source.outcomes)
    if source.labels_from == "times":
        assert source.last is not None
        labelled = attribute_conversions(unique.table, funnel)
        is_mature = is_mature_by_time(labelled, mature_until(funnel, source.last))
    else:
        labelled = unique.table
        is_mature = is_mature_by_label(labelled, funnel)
    immature = int(labelled.filter(~is_mature).count().execute())
    mature = labelled.filter(is_mature) if immature else labelled
    aside = RowsAside(exact_duplicates=unique.exact, other_duplicates=unique.other, immature=immature)
    report = _report(source, aside, funnel, source_report)
    _check_any_left(report, funnel)
    logger.info("Ingested %d of %d rows, aside: %s", report.rows_out, report.rows_in, aside)
    if aside.other_duplicates > MANY_REPEATED * report.rows_in:
        logger.warning(
            f"{counted(aside.other_duplicates, 'row')} of {report.rows_in:,} "
            f"({percent(aside.other_duplicates, report.rows_in)}) have an {IMPRESSION_ID} that other rows have, too, "
            "with other features; of each id the first row stays. Is it the id of an impression, or of a user?"
        )
    oracle = mature.select(IMPRESSION_ID, *source.oracle) if source.oracle else empty_oracle(mature, funnel)
    return mature.drop(*source.oracle) if source.oracle else mature, oracle, report


def _report(source: Source, aside: RowsAside, funnel: Funnel, source_report: dict[str, Any]) -> IngestionReport:
    has_windows = source.labels_from == "times"
    if funnel.windows and not has_windows:
        logger.warning(
            "Labels come from columns, so funnel.windows is not used: a null label says what is not known yet"
        )
    end = source.last if has_windows else None
    return IngestionReport(
        rows_in=source.rows,
        rows_out=source.rows - aside.total,
        rows_aside=aside,
        labels_from=source.labels_from,
        windows_days=dict(funnel.windows) if has_windows else None,
        first_impression=source.first,
        last_impression=source.last,
        observed_until=observed_until(funnel, end) if end else None,
        mature_until=mature_until(funnel, end) if end else None,
        read_as=dict(source.read_as),
        source=source_report,
    )


def _check_any_left(report: IngestionReport, funnel: Funnel) -> None:
    if report.rows_out:
        return
    why = (
        f"the log ends {report.observed_until} and all windows together are {funnel.total_window:g} days; "
        "use a longer log or shorter funnel.windows"
        if report.labels_from == "times"
        else f"each has a null among {list(funnel.steps)}; use rows whose outcome is known"
    )
    raise InputError(f"none of the {report.rows_in} impressions is mature: {why}")
