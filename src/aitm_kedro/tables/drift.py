"""Drift between splits: histograms of every feature and rates of every step, in train and in what comes after it.

Encoded examples are compared, whose ids are those that train has taught. Downsampling would look like drift, so each
row of train and validation counts for those that downsampling has dropped beside it: 1 / keep rate for a negative of
the final step (inverse probability weighting).
"""

import logging
from collections.abc import Sequence
from typing import NamedTuple

import ibis.expr.types as ir
import numpy as np
import pyarrow as pa

from aitm_kedro.core.features import FeatureSpec, FeatureSpecs
from aitm_kedro.core.funnel import SEGMENT, Funnel
from aitm_kedro.evaluation.stability import LARGE_PSI, Level, compare_rates, population_stability_index
from aitm_kedro.tables.hashing import in_share, row_hash
from aitm_kedro.tables.reports import (
    Counts,
    DriftReport,
    FeatureDrift,
    KeepRates,
    SamplingReport,
    SplitDrift,
    StepDrift,
    step_counts,
)
from aitm_kedro.tables.sentences import as_rate, join_names
from aitm_kedro.tables.statistics import count_positives

logger = logging.getLogger(__name__)

# N = rows, B = bins

SAMPLE_ROWS = 100_000
"""Rows of each split, about, that features are compared on; more would cost time and change nothing."""

NAMED_IDS = 50
"""Most frequent ids of a categorical feature or a list that have a bin of their own; the others share one."""

KEEP_ALL = KeepRates(overall=1.0)
"""Of test, which is never downsampled."""


def drift_report(
    train: ir.Table, valid: ir.Table, test: ir.Table, *, sampling: SamplingReport, specs: FeatureSpecs, funnel: Funnel
) -> DriftReport:
    """Compare validation and test with train: features on a sample of rows chosen by hash, rates on all rows.

    Bins of a categorical feature: unknown or rare (id 0), the ``NAMED_IDS`` most frequent ids, all others. Of a list:
    the same, of the ids of all its values. Of a numeric feature: null, and the bins of the vocabulary.

    Args:
        train: encoded examples, maybe downsampled.
        valid: the same.
        test: encoded examples, all of them.
        sampling: what downsampling did to train and validation.
        specs: the features, those that are constant in train left out.
        funnel: the steps.
    """
    counts = count_positives(test, funnel)
    test_rows = int(counts["rows"])
    positives = {step: int(counts[step]) for step in funnel.steps}
    before = {
        "train": sampling.train.before,
        "valid": sampling.valid.before,
        "test": Counts(rows=test_rows, steps=step_counts(positives, rows=test_rows)),
    }
    samples = {
        "train": (_sample(train, rows=sampling.train.after.rows), sampling.keep_rates),
        "valid": (_sample(valid, rows=sampling.valid.after.rows), sampling.keep_rates),
        "test": (_sample(test, rows=test_rows), KEEP_ALL),
    }
    found = {name: _count_ids(table, rates, specs.features, funnel) for name, (table, rates) in samples.items()}
    return DriftReport(
        train_rows=found["train"].rows,
        splits={
            name: SplitDrift(
                rows=found[name].rows,
                features=_compare_features(found["train"], found[name]),
                steps=_compare_steps(before["train"], before[name]),
            )
            for name in ("valid", "test")
        },
    )


def _sample(table: ir.Table, *, rows: int) -> ir.Table:
    """About ``SAMPLE_ROWS`` of the rows; all of them if there are no more."""
    if rows <= SAMPLE_ROWS:
        return table
    return table.filter(in_share(row_hash(table, purpose="drift", seed=0), SAMPLE_ROWS / rows))


class _Histograms(NamedTuple):
    """Rows, and the counts [B] of each feature; they sum to the number of rows that, unweighted, would say as much."""

    rows: int
    counts: dict[str, np.ndarray]


def _count_ids(table: ir.Table, rates: KeepRates, specs: Sequence[FeatureSpec], funnel: Funnel) -> _Histograms:
    """Histogram of every feature, each row weighted by those that it stands for."""
    bins = {spec.name: spec.ids if spec.kind == "numeric" else min(spec.ids, NAMED_IDS + 2) for spec in specs}
    context = [funnel.steps[-1], *([SEGMENT] if funnel.segment else [])]
    counts = {name: np.zeros(size) for name, size in bins.items()}
    rows, weight, squares = 0, 0.0, 0.0
    for batch in table.select(*bins, *context).to_pyarrow_batches():
        weights = _weights(batch, rates, funnel)
        rows, weight, squares = rows + len(weights), weight + weights.sum(), squares + (weights**2).sum()
        for name, size in bins.items():
            counts[name] += _histogram(batch.column(name), weights, bins=size)
    effective = weight**2 / squares if rows else 0.0  # Kish's effective sample size
    # Scaled for lists as well, whose values are no independent observations.
    return _Histograms(rows, {name: each * (effective / max(each.sum(), 1.0)) for name, each in counts.items()})


def _histogram(ids: pa.Array, weights: np.ndarray, *, bins: int) -> np.ndarray:
    """Weighted counts [B] of ids, or of the ids in lists; the last bin takes all that are beyond it."""
    if pa.types.is_list(ids.type):
        weights = np.repeat(weights, ids.value_lengths().to_numpy(zero_copy_only=False))
        ids = ids.flatten()
    found = np.minimum(ids.to_numpy(zero_copy_only=False), bins - 1)
    return np.bincount(found, weights=weights, minlength=bins)


def _weights(batch: pa.RecordBatch, rates: KeepRates, funnel: Funnel) -> np.ndarray:
    """Rows of the log that each row of the batch stands for, [N]."""
    happened = batch.column(funnel.steps[-1]).to_numpy() > 0
    if SEGMENT in batch.schema.names:
        segments = batch.column(SEGMENT).dictionary_encode()
        of_segment = np.array([rates.of(name) for name in segments.dictionary.to_pylist()])
        keep = of_segment[segments.indices.to_numpy()]
    else:
        keep = np.full(len(happened), rates.of("all"))
    return np.where(happened, 1.0, 1.0 / keep)


def _compare_features(train: _Histograms, other: _Histograms) -> dict[str, FeatureDrift]:
    """Drift of each feature, the largest first."""
    found = {name: population_stability_index(counts, other.counts[name]) for name, counts in train.counts.items()}
    ordered = sorted(found.items(), key=lambda item: -item[1].psi)
    return {name: FeatureDrift(**drift._asdict()) for name, drift in ordered}


def _compare_steps(train: Counts, other: Counts) -> dict[str, StepDrift]:
    steps = {}
    for step, ours in train.steps.items():
        theirs = other.steps[step]
        drift = compare_rates(ours.positives, train.rows, theirs.positives, other.rows)
        steps[step] = StepDrift(train_rate=ours.rate, rate=theirs.rate, **drift._asdict())
    return steps


def tell_drift(report: DriftReport, split: str) -> None:
    """Warn of features and steps that differ much between train and a split, and say which differ somewhat."""
    drift, where = report.splits[split], f"train and {split}"
    large = _features_of(drift, "large")
    if large:
        logger.warning(
            f"The distribution of {join_names(large)} differs much between {where} (population stability index above "
            f"{LARGE_PSI:g}), so that what is learnt may not hold: check how such columns are made, train on later "
            "rows, or take them out of features (drift_report has all numbers)."
        )
    moderate = _features_of(drift, "moderate")
    if moderate:
        logger.info(f"The distribution of {join_names(moderate)} differs somewhat between {where} (drift_report)")
    _tell_steps(drift, where)


def _features_of(drift: SplitDrift, level: Level) -> Sequence[str]:
    """Features of this level in quotes, the largest PSI first, with the PSI."""
    return [f"'{name}' ({found.psi:.2f})" for name, found in drift.features.items() if found.level == level]


def _tell_steps(drift: SplitDrift, where: str) -> None:
    changed = {step: found for step, found in drift.steps.items() if found.level != "none"}
    rates = join_names([f"'{step}': {as_rate(d.train_rate)} and {as_rate(d.rate)}" for step, d in changed.items()])
    if any(found.level == "large" for found in changed.values()):
        logger.warning(
            f"The rates of steps differ much between {where} ({rates}), so that predicted probabilities will be off: "
            "check how labels are made, whether late ones are missing, and whether a later train fits better."
        )
    elif changed:
        logger.info(f"The rates of steps differ somewhat between {where} ({rates})")
