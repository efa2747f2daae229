"""Compares a published data set with its known counts: are these the original files?"""

import logging
from collections.abc import Sequence

import ibis.expr.types as ir

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.published import Published
from aitm_kedro.tables.consistency import reason
from aitm_kedro.tables.parameters import Split, VocabularyOptions
from aitm_kedro.tables.reports import CountCheck, CountsReport
from aitm_kedro.tables.vocabulary import count_ids

logger = logging.getLogger(__name__)

RELEASED = VocabularyOptions(preset="released")


def compare_counts(
    impressions: ir.Table, *, funnel: Funnel, features: Features, split: Split, published: Published
) -> CountsReport:
    """Compare rows, rows with inconsistent labels, positives and vocabulary sizes with those that are known.

    Vocabulary sizes are those of the released code's rule, whatever the run's own, and are looked at only if another
    count matches: of other data they would say nothing, and they take longest.

    Raises:
        InputError: counts are known by split, but the source does not say which row is of which.
    """
    if published.source is None:
        return CountsReport(verdict="no counts are known for this source")
    if split.column is None or split.column not in impressions.columns:
        raise InputError(
            f"published has counts of the splits {list(published.splits)}, but split.column is {split.column!r}; name "
            "the column that says train or test, or set published.source to null"
        )
    checks = _compare_splits(impressions, funnel, split.column, published)
    if _is_source(checks):
        train = impressions.filter(impressions[split.column].cast("string") == "train")
        checks += _compare_vocabulary(train.filter(reason(train, funnel).isnull()), features, published)
    return CountsReport(source=published.source, verdict=_verdict(published.source, checks), checks=tuple(checks))


def _compare_splits(impressions: ir.Table, funnel: Funnel, column: str, published: Published) -> list[CountCheck]:
    consistent = reason(impressions, funnel).isnull()
    counts = impressions.group_by(part=impressions[column].cast("string")).agg(
        rows=impressions.count(),
        illegal=(~consistent).sum(),
        **{f"positives_{step}": impressions[step].sum(where=consistent) for step in funnel.steps},
    )
    found = counts.to_pandas().set_index("part").fillna(0).astype("int64")
    checks = []
    for part, expected in published.splits.items():
        row = found.loc[part] if part in found.index else dict.fromkeys(found.columns, 0)
        if expected.rows is not None:
            checks.append(_check(f"rows of {part}", expected.rows, int(row["rows"])))
        if expected.illegal is not None:
            checks.append(_check(f"illegal rows of {part}", expected.illegal, int(row["illegal"])))
        if expected.illegal_at_least is not None:
            least, illegal = expected.illegal_at_least, int(row["illegal"])
            checks.append(_check(f"illegal rows of {part}", f"at least {least}", illegal, matches=illegal >= least))
        for step, positives in expected.positives.items():
            name = f"positives_{step}"
            checks.append(_check(f"{step} in {part}", positives, int(row[name]) if name in found else None))
    return checks


def _compare_vocabulary(train: ir.Table, features: Features, published: Published) -> list[CountCheck]:
    return [
        _check(
            f"ids of {name}",
            expected,
            count_ids(train, name, min_count=RELEASED.threshold) if name in features.categorical else None,
        )
        for name, expected in published.vocabulary.items()
    ]


def _check(what: str, expected: int | str, found: int | None, *, matches: bool | None = None) -> CountCheck:
    """One count; ``found`` is None where the run does not read it."""
    agrees = (found == expected if matches is None else matches) if found is not None else None
    return CountCheck(what=what, expected=expected, found=found, matches=agrees)


def _is_source(checks: Sequence[CountCheck]) -> bool:
    """Whether any number of rows or positives matches, which is no accident; few inconsistent rows may well match."""
    return any(check.matches and not check.what.startswith("illegal") for check in checks)


def _verdict(source: str, checks: Sequence[CountCheck]) -> str:
    for check in checks:
        said = {True: "as published", False: "not as published", None: "not read"}[check.matches]
        logger.info("%s: %s, published %s: %s", check.what, check.found, check.expected, said)
    if all(check.matches is None for check in checks):
        return f"none of the known counts of {source} is read"
    wrong = [check.what for check in checks if check.matches is False]
    if not wrong:
        sentence = f"all {sum(bool(check.matches) for check in checks)} counts are those of {source} as published"
        logger.info("%s", sentence)
        return sentence
    if not _is_source(checks):
        sentence = f"these are not the original files of {source}: no known count matches"
    else:
        sentence = f"{len(wrong)} of {len(checks)} known counts of {source} do not match: {', '.join(wrong)}"
    logger.warning("%s", sentence)
    return sentence
