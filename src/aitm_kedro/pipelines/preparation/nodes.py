"""Nodes of the preparation stage: from impressions to encoded examples, and what models are told of each feature."""

import logging
from typing import Any

import ibis.expr.types as ir
import pandas as pd
from pydantic import TypeAdapter

from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import Features, FeatureSpecs
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Provenance
from aitm_kedro.core.published import Published
from aitm_kedro.explain import feature_check
from aitm_kedro.explain.parameters import FeatureCheckMode
from aitm_kedro.learning.parameters import ValidationOptions
from aitm_kedro.learning.validation import divide
from aitm_kedro.tables import (
    consistency,
    drift,
    encoding,
    feature_specs,
    sampling,
    source,
    splitting,
    statistics,
    vocabulary,
)
from aitm_kedro.tables.known_counts import compare_counts
from aitm_kedro.tables.parameters import Labels, Sampling, Split, VocabularyOptions
from aitm_kedro.tables.reports import CountsReport, DriftReport, LabelReport, SamplingReport

logger = logging.getLogger(__name__)


def check_labels(impressions: ir.Table, funnel: Funnel, labels: Labels) -> tuple[ir.Table, ir.Table, LabelReport]:
    """Find impressions with inconsistent labels, and treat them by the policy.

    Returns:
        legal_impressions (consistent labels), illegal_impressions (inconsistent ones, as they came in), label_report.
    """
    report = consistency.label_report(impressions, funnel, labels.policy)
    logger.info(f"Labels ({labels.policy}): {report.rows_in:,} rows in, {report.rows_out:,} out")
    consistency.warn_of_inconsistency(report, funnel)
    consistent = consistency.make_consistent(impressions, funnel, labels.policy)
    return consistent, consistency.inconsistent_rows(impressions, funnel), report


def check_published(
    impressions: ir.Table, funnel: Funnel, features: Features, split: Split, published: Published
) -> CountsReport:
    """Say whether a published data set holds what it must."""
    return compare_counts(impressions, funnel=funnel, features=features, split=split, published=published)


def split_impressions(
    impressions: ir.Table, report: LabelReport, funnel: Funnel, split: Split
) -> tuple[ir.Table, ir.Table, ir.Table]:
    """Divide the impressions into train, validation and test."""
    parts = splitting.split_impressions(impressions, split, aside=consistency.rows_set_aside(report, funnel))
    return parts["train"], parts["valid"], parts["test"]


def downsample_negatives(
    train: ir.Table, valid: ir.Table, labels: LabelReport, funnel: Funnel, options: Sampling
) -> tuple[ir.Table, ir.Table, SamplingReport]:
    """Drop final-step negatives of train and validation until positives are lambda of train.

    Returns:
        train_sample, valid_sample, sampling_report.
    """
    splits = {"train": train, "valid": valid}
    before = {name: sampling.count_by_segment(table, funnel) for name, table in splits.items()}
    sampling.warn_of_segments(before["train"], funnel)
    aside = consistency.rows_set_aside(labels, funnel)
    sampling.check_classes(before["train"], before["valid"], funnel, aside=aside)
    rates = sampling.keep_rates(before["train"], funnel, options)
    samples = {
        name: sampling.downsample(table, before[name], rates=rates, funnel=funnel, seed=options.seed)
        for name, table in splits.items()
    }
    counts = {
        name: {"before": before[name], "after": sampling.count_by_segment(sample, funnel)}
        for name, sample in samples.items()
    }
    after = {name: split["after"] for name, split in counts.items()}
    sampled = f" (left by downsampling to sampling.positive_share {options.positive_share}; null keeps every row)"
    sampling.check_classes(after["train"], after["valid"], funnel, aside=sampled)
    share = "all" if rates.overall == 1 else f"{rates.overall:.4g}"
    logger.info("Kept %s of the final step's negatives", share)
    report = sampling.sampling_report(counts, rates=rates, funnel=funnel, sampling=options)
    return samples["train"], samples["valid"], report


def build_vocabulary(
    train_sample: ir.Table,
    train: ir.Table,
    valid: ir.Table,
    funnel: Funnel,
    features: Features,
    options: VocabularyOptions,
) -> ir.Table:
    """Learn the ids of every feature from train, after or before downsampling, with or without validation."""
    counted = {"sample": train_sample, "train": train, "train_and_valid": train.union(valid)}[options.counted]
    source.check_features(counted, features, funnel)
    learnt = vocabulary.learn_vocabulary(counted, features, options)
    logger.info(f"Vocabulary: {learnt['feature'].nunique():,} fields, {len(learnt):,} rows")
    return vocabulary.as_table(learnt)


def describe_features(train_sample: ir.Table, words: ir.Table, features: Features) -> FeatureSpecs:
    """Say what models may know of each feature: number of ids, edges of bins, statistics of values in train."""
    return feature_specs.describe_features(words, train_sample, features)


def encode_impressions(table: ir.Table, words: ir.Table, funnel: Funnel, features: Features) -> ir.Table:
    """Replace features by integer ids."""
    return encoding.encode_examples(table, words, funnel=funnel, features=features)


def check_features(
    train: Examples,
    valid: Examples,
    specs: FeatureSpecs,
    funnel: Funnel,
    split: Split,
    validation: ValidationOptions,
    mode: Any,
) -> feature_check.FeatureCheck:
    """Find features that make predictions on validation worse; warn of them, or drop them.

    Raises:
        InputError: none would be left.
    """
    names = [spec.name for spec in specs.features]
    train, valid = (part.of_fields(names).of_steps(funnel.steps) for part in (train, valid))
    chosen: FeatureCheckMode = TypeAdapter(FeatureCheckMode).validate_python(mode)
    found = feature_check.check_features(
        train,
        divide(valid, validation, is_chronological=split.by != "column", share=0.5),
        features=specs.features,
        funnel=funnel,
        mode=chosen,
        provenance=Provenance.now(
            data={"train": train.fingerprint(), "valid": valid.fingerprint(), "features": specs.fingerprint()},
            parameters={"feature_check": chosen, "validation": validation},
        ),
    )
    if found.harmful:
        logger.warning("%s", found.describe())
    return found


def measure_drift(
    train: ir.Table, valid: ir.Table, test: ir.Table, report: SamplingReport, specs: FeatureSpecs, funnel: Funnel
) -> DriftReport:
    """Compare validation and test with train as it was before downsampling; warn where test is far from it."""
    found = drift.drift_report(train, valid, test, sampling=report, specs=specs, funnel=funnel)
    drift.tell_drift(found, "test")
    return found


def describe_dataset(train: ir.Table, valid: ir.Table, test: ir.Table, words: ir.Table, funnel: Funnel) -> pd.DataFrame:
    """The paper's Table 1 for this run; warn of too few labels."""
    return statistics.describe_dataset({"train": train, "valid": valid, "test": test}, words, funnel)
