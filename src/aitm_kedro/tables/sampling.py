"""Downsampling: fewer rows without the final step in train and validation, segment by segment.

Paper, section 5.1 and Figure 5c. Rows are chosen by hash; every row in which the final step happened is kept.
"""

import logging
from collections.abc import Collection, Mapping

import ibis
import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import NO_SEGMENT, Funnel
from aitm_kedro.tables.hashing import row_hash
from aitm_kedro.tables.parameters import Sampling
from aitm_kedro.tables.reports import BeforeAndAfter, Counts, CountsBySegment, KeepRates, SamplingReport, step_counts
from aitm_kedro.tables.sentences import as_rate
from aitm_kedro.tables.values import as_category, small_table

logger = logging.getLogger(__name__)

FEW_IN_SEGMENT = 10
"""Rows a segment, on average over all of them, below which figures of each say nothing."""

_KEEP_ALL = "g"  # behind every hexadecimal digit
_KEEP_NONE = ""  # before all of them
_BUCKET = 2  # leading digits of the hash; only one bucket in 16**_BUCKET is ever ordered


def segment_of(table: ir.Table, funnel: Funnel) -> ir.StringValue:
    """The segment of each row as text; one segment 'all' where the funnel has none.

    Raises:
        InputError: the segment's column is missing.
    """
    if funnel.segment is None:
        return ibis.literal("all")
    if funnel.segment not in table.columns:
        raise InputError(f"funnel.segment names '{funnel.segment}', but the impressions have no such column")
    return as_category(table[funnel.segment]).fill_null(NO_SEGMENT)


def count_by_segment(table: ir.Table, funnel: Funnel) -> pd.DataFrame:
    """Rows and positives of every step; index: segment, columns: rows and the steps."""
    counts = table.group_by(segment=segment_of(table, funnel)).agg(
        rows=lambda t: t.count(), **{f"positives_{step}": table[step].sum() for step in funnel.steps}
    )
    frame: pd.DataFrame = counts.order_by("segment").to_pandas().set_index("segment")
    frame.columns = pd.Index(["rows", *funnel.steps])
    return frame.astype("int64")


def warn_of_segments(train: pd.DataFrame, funnel: Funnel) -> None:
    """Say so if the segment tells rows hardly apart, or nearly every one from every other.

    Args:
        train: ``count_by_segment`` of train.
        funnel: which names the segment.
    """
    rows = int(train["rows"].sum())
    if funnel.segment is None or not rows:
        return
    if len(train) > rows / FEW_IN_SEGMENT:
        what = f"{len(train):,} values in {rows:,} train impressions, too many for figures of each"
    elif len(train) == 1:
        what = f"one value alone ('{train.index[0]}') in all {rows:,} train impressions"
    else:
        return
    logger.warning(
        f"The segment '{funnel.segment}' (funnel.segment) has {what}; name a column that divides the business, or null."
    )


def check_classes(train: pd.DataFrame, valid: pd.DataFrame, funnel: Funnel, *, aside: str = "") -> None:
    """Check that there is something to learn in train, and something to decide by in validation.

    Args:
        train: ``count_by_segment`` of train.
        valid: of validation.
        funnel: the steps.
        aside: what to add to a complaint, such as where rows have gone before.

    Raises:
        InputError: a step has no positive in train, or no main step has both classes in train, or in validation.
    """
    for step in funnel.steps:
        if train[step].sum() == 0:
            raise InputError(
                f"step '{step}' has no positives among the {train['rows'].sum():,} train impressions; "
                f"train on a longer log or take the step out of funnel.steps{aside}"
            )
    if not _has_both_classes(train, funnel):
        raise InputError(
            f"every one of the {train['rows'].sum():,} train impressions has all main steps "
            f"{list(funnel.main_steps)}, so that there is nothing to learn; add impressions without them to the log, "
            f"or name other steps in funnel.main_steps{aside}"
        )
    if not _has_both_classes(valid, funnel):
        raise InputError(
            f"none of the main steps {list(funnel.main_steps)} has both positives and negatives among the "
            f"{valid['rows'].sum():,} validation impressions, so that no model could be chosen; "
            f"enlarge validation (parameter 'split'){aside}"
        )


def _has_both_classes(counts: pd.DataFrame, funnel: Funnel) -> bool:
    """Whether there is a main step that some rows have and others have not."""
    return any(0 < counts[step].sum() < counts["rows"].sum() for step in funnel.main_steps)


def keep_rates(train: pd.DataFrame, funnel: Funnel, sampling: Sampling) -> KeepRates:
    """The rates at which final-step positives become lambda of the train split (or of each segment of it)."""
    if sampling.positive_share is None:
        return KeepRates(overall=1.0, per_segment=None)
    positives = train[funnel.steps[-1]]
    negatives = train["rows"] - positives
    overall = _keep_rate(int(positives.sum()), int(negatives.sum()), sampling.positive_share)
    if overall >= 1:
        share = positives.sum() / train["rows"].sum()
        logger.warning(
            f"The final step '{funnel.steps[-1]}' has {as_rate(share)} positives in train, so sampling.positive_share "
            f"({as_rate(sampling.positive_share)}) is reached already and nothing is downsampled; set it to null, or "
            "higher."
        )
    if not sampling.per_segment:
        return KeepRates(overall=overall, per_segment=None)
    own = {
        str(name): _keep_rate(int(count), int(others), sampling.positive_share) if count else overall
        for name, count, others in zip(train.index, positives, negatives, strict=True)
    }
    return KeepRates(overall=overall, per_segment=own)


def _keep_rate(positives: int, negatives: int, share: float) -> float:
    """Rate w such that positives / (positives + w * negatives) = share, at most 1."""
    return min(1.0, positives * (1 - share) / (share * negatives)) if negatives else 1.0


def downsample(table: ir.Table, counts: pd.DataFrame, *, rates: KeepRates, funnel: Funnel, seed: int) -> ir.Table:
    """Keep every final-step positive, and in each segment round(w * negatives) negatives: those of the lowest hash.

    Args:
        table: impressions of one split.
        counts: ``count_by_segment`` of them.
        rates: w overall or by segment.
        funnel: the steps.
        seed: of the hash.
    """
    final = funnel.steps[-1]
    negatives = counts["rows"] - counts[final]
    keep = {str(name): round(rates.of(str(name)) * int(count)) for name, count in negatives.items()}
    if all(keep[str(name)] == count for name, count in negatives.items()):
        return table
    hashed = table.mutate(_stratum=segment_of(table, funnel), _hash=row_hash(table, purpose="sampling", seed=seed))
    narrow = hashed.filter(hashed[final] == 0).select("_stratum", "_hash")
    whole = [name for name in keep if keep[name] == negatives[name]]
    last = _last_hashes(narrow, {name: count for name, count in keep.items() if name not in whole})
    limit = dict.fromkeys(whole, _KEEP_ALL) | last
    limits = small_table(
        pd.DataFrame({"_name": limit.keys(), "_limit": limit.values()}),
        {"_name": pa.string(), "_limit": pa.string()},
    )
    joined = hashed.left_join(limits, hashed["_stratum"] == limits["_name"])
    return joined.filter((joined[final] == 1) | (joined["_hash"] <= joined["_limit"])).select(*table.columns)


def _last_hashes(narrow: ir.Table, keep: Mapping[str, int]) -> dict[str, str]:
    """For each segment the hash of its ``keep``-th row in order of the hash.

    Rows are counted by the hash's first digits; only those of the bucket that holds the row looked for are ordered.
    """
    buckets = narrow.group_by(["_stratum", lambda t: t["_hash"].left(_BUCKET).name("_bucket")])
    sizes = buckets.agg(_rows=lambda t: t.count()).order_by(["_stratum", "_bucket"]).to_pandas()
    sizes["_upto"] = sizes.groupby("_stratum")["_rows"].cumsum()
    sizes["_place"] = sizes["_stratum"].map(keep) - (sizes["_upto"] - sizes["_rows"])  # 1-based, in this bucket
    wanted = sizes[(sizes["_place"] >= 1) & (sizes["_place"] <= sizes["_rows"])]
    last = {name: _KEEP_NONE for name, count in keep.items() if count == 0}
    if wanted.empty:
        return last
    places = small_table(
        wanted[["_stratum", "_bucket", "_place"]],
        {"_stratum": pa.string(), "_bucket": pa.string(), "_place": pa.int64()},
    )
    inside = narrow.mutate(_bucket=narrow["_hash"].left(_BUCKET)).inner_join(places, ["_stratum", "_bucket"])
    rank = ibis.row_number().over(ibis.window(group_by="_stratum", order_by="_hash"))
    found = inside.mutate(_rank=rank + 1).filter(lambda t: t["_rank"] == t["_place"]).select("_stratum", "_hash")
    hashes = found.to_pandas()
    return last | dict(zip(hashes["_stratum"], hashes["_hash"], strict=True))


def sampling_report(
    counts: Mapping[str, Mapping[str, pd.DataFrame]], *, rates: KeepRates, funnel: Funnel, sampling: Sampling
) -> SamplingReport:
    """What the keep rates do to every step and segment.

    Args:
        counts: 'train' and 'valid', each with ``count_by_segment`` 'before' and 'after'.
        rates: the keep rates.
        funnel: the steps.
        sampling: the parameters.
    """
    segments = {str(name) for split in counts.values() for name in split["before"].index}
    splits = {
        split: BeforeAndAfter(before=_by_segment(frames["before"], funnel), after=_by_segment(frames["after"], funnel))
        for split, frames in counts.items()
    }
    return SamplingReport(
        positive_share=sampling.positive_share,
        seed=sampling.seed,
        keep_rates=_of_all_segments(rates, segments),
        train=splits["train"],
        valid=splits["valid"],
    )


def _of_all_segments(rates: KeepRates, segments: Collection[str]) -> KeepRates:
    """The same rates, with an entry for segments that occur in validation alone, too."""
    if rates.per_segment is None:
        return rates
    names = sorted({*segments, *rates.per_segment})
    return KeepRates(overall=rates.overall, per_segment={name: rates.of(name) for name in names})


def _by_segment(frame: pd.DataFrame, funnel: Funnel) -> CountsBySegment:
    """Counts of ``count_by_segment``, and their sums."""
    whole = _counts(frame.sum(), funnel)
    segments = {} if funnel.segment is None else {str(name): _counts(row, funnel) for name, row in frame.iterrows()}
    return CountsBySegment(rows=whole.rows, steps=whole.steps, segments=segments)


def _counts(row: pd.Series, funnel: Funnel) -> Counts:
    rows = int(row["rows"])
    return Counts(rows=rows, steps=step_counts({step: int(row[step]) for step in funnel.steps}, rows=rows))
