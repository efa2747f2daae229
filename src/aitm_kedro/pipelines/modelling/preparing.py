"""What a learner is given: features and steps that count, and validation in its two parts."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec, FeatureSpecs
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Source, fingerprint_of
from aitm_kedro.explain.feature_check import FeatureCheck
from aitm_kedro.learning.parameters import ValidationOptions
from aitm_kedro.learning.validation import ValidationParts, cut_validation
from aitm_kedro.pipelines.modelling.checks import check_features_of, check_one_preparation, check_row_weights
from aitm_kedro.tables.parameters import Split
from aitm_kedro.tables.reports import SamplingReport


class Prepared(NamedTuple):
    """What a learner is given, of one preparation.

    Attributes:
        train: examples to learn from.
        valid: examples to choose by, all of them.
        parts: the same in two parts.
        features: without those that the feature check drops.
        data: fingerprints of all that was read.
    """

    train: Examples
    valid: Examples
    parts: ValidationParts
    features: list[FeatureSpec]
    data: dict[Source, str | None]

    def stopped_by(self) -> dict[Source, str]:
        """Fingerprint of the rows that learners stop on."""
        return {"stopping": self.parts.stopping.fingerprint_of_rows()}


def prepare(
    train_examples: Examples,
    valid_examples: Examples,
    feature_specs: FeatureSpecs,
    feature_check: FeatureCheck | None,
    sampling_report: SamplingReport,
    funnel: Funnel,
    split: Split,
    validation: ValidationOptions,
) -> Prepared:
    """Check that the inputs belong together, and cut them to what is learnt from.

    Raises:
        InputError: they are of different preparations.
    """
    check_one_preparation(train_examples, valid_examples, feature_specs, sampling_report)
    checked = check_features_of(feature_check, feature_specs)
    check_row_weights(train_examples, valid_examples)
    features = [spec for spec in feature_specs.features if spec.name not in checked.dropped]
    fields = [spec.name for spec in features]
    train, valid = (part.of_fields(fields).of_steps(funnel.steps) for part in (train_examples, valid_examples))
    return Prepared(
        train=_scale_row_weights(train),
        valid=valid,
        parts=cut_validation(valid, validation, is_chronological=split.by != "column"),
        features=features,
        data={
            "train": train_examples.fingerprint(),
            "valid": valid_examples.fingerprint(),
            "vocabulary": feature_specs.vocabulary,
            "features": feature_specs.fingerprint(),
            "dropped_features": checked.choice(),
            "keep_rates": fingerprint_of(sampling_report.keep_rates),
        },
    )


def _scale_row_weights(examples: Examples) -> Examples:
    """Weights count relative to each other: with a mean of 1, regularisation means what it means without them."""
    weights = examples.row_weights
    if weights is None:
        return examples
    return replace(examples, row_weights=weights / np.float32(weights.mean(dtype=np.float64)))
