"""Checks of modelling: what a node reads belongs together, and what it learns from can be learnt from.

What Kedro loads is the newest version of each dataset, or one that ``--load-versions`` names, and these may be of
different preparations or trainings. Whether they belong together is told by content (``core.provenance``).
"""

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpecs
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Source, check_made_from, fingerprint_of, provenance_of_table
from aitm_kedro.explain.feature_check import FeatureCheck
from aitm_kedro.learning.ensemble import Member
from aitm_kedro.learning.history import RunHistory, what_may_help
from aitm_kedro.learning.learner import Trained
from aitm_kedro.tables.fingerprints import fingerprint_vocabulary
from aitm_kedro.tables.reports import BeforeAndAfter, SamplingReport

logger = logging.getLogger(__name__)

FEW_STEPS = 10
"""Batches of an epoch below which little is learnt in it."""


def again(name: str) -> str:
    """Command that trains a run and seed again, and all that comes after."""
    return f"kedro run --from-nodes={name}.train"


def judged_from(weights: str, test_examples: Examples, sampling_report: SamplingReport) -> dict[Source, str]:
    """Fingerprints of what predictions and metrics are made from."""
    return {
        "weights": weights,
        "test": test_examples.fingerprint_of_rows(),
        "keep_rates": fingerprint_of(sampling_report.keep_rates),
    }


def check_trained_for(trained: Trained, test_examples: Examples, sampling_report: SamplingReport, *, name: str) -> None:
    """Make sure that ids mean what the model has learnt, and that its predictions are corrected by its keep rates."""
    found: dict[Source, str | None] = {
        "vocabulary": test_examples.vocabulary,
        "keep_rates": fingerprint_of(sampling_report.keep_rates),
    }
    check_made_from(f"the weights of '{name}'", trained.spec.data, found, advice=_train_again(name))


def check_predictions(predictions: pd.DataFrame, data: Mapping[Source, str], *, name: str) -> None:
    """Make sure that predictions are of these weights, test rows and keep rates (``judged_from``)."""
    made = provenance_of_table(predictions.attrs)
    advice = f"predict again: kedro run --from-nodes={name}.predict_test"
    check_made_from(f"the predictions of '{name}'", {} if made is None else made.data, data, advice=advice)


def check_vocabulary(trained: Trained, vocabulary: pd.DataFrame, *, name: str) -> None:
    """Make sure that the bundle gets the vocabulary of its model."""
    if "vocabulary" in trained.spec.data:
        found: dict[Source, str | None] = {"vocabulary": fingerprint_vocabulary(vocabulary)}
        check_made_from(f"the weights of '{name}'", trained.spec.data, found, advice=_train_again(name))


def _train_again(name: str) -> str:
    return (
        f"train again ({again(name)}), or load what belongs together (--load-versions={name}.weights:...,"
        "test_examples@arrays:..., and what else the sentence names)"
    )


def check_one_preparation(
    train: Examples, valid: Examples, feature_specs: FeatureSpecs, sampling_report: SamplingReport
) -> None:
    """Make sure that all that a model learns from was prepared together.

    Raises:
        InputError: it was not; two things that differ are named.
    """
    advice = "prepare all of them again: kedro run --pipelines=preparation"
    for split, examples in (("train", train), ("valid", valid)):
        if examples.vocabulary != feature_specs.vocabulary:
            raise InputError(
                f"{split}_examples and feature_specs come from different vocabularies "
                f"({examples.vocabulary or 'not known'} and {feature_specs.vocabulary or 'not known'}), so they are of "
                f"different preparations; {advice}"
            )
    for split, examples, report in (("train", train, sampling_report.train), ("valid", valid, sampling_report.valid)):
        if not _counts_agree(examples, report):
            raise InputError(
                f"{split}_examples ({len(examples)} rows) are not the rows that sampling_report counts "
                f"({report.after.rows} rows), so they are of different preparations; {advice}"
            )


def check_features_of(feature_check: FeatureCheck | None, feature_specs: FeatureSpecs) -> FeatureCheck:
    """Make sure that the features that were checked are those that models are told of.

    Raises:
        InputError: they are of another preparation, or were never checked.
    """
    if feature_check is None:
        raise InputError(
            "features were not checked after they were prepared, so nobody knows which to train on; check them: "
            "kedro run --nodes=check_features"
        )
    check_made_from(
        "the results of the feature check",
        feature_check.provenance.data,
        {"features": feature_specs.fingerprint()},
        advice="check again: kedro run --nodes=check_features",
    )
    return feature_check


def check_members(members: Sequence[Member], data: Mapping[Source, str | None], funnel: Funnel, *, name: str) -> None:
    """Make sure that models can be blended: all have learnt from what there is to learn from now.

    Args:
        members: the models.
        data: fingerprints of what there is to learn from now, and of the rows to stop on.
        funnel: the steps of now.
        name: of the ensemble, with its seed.

    Raises:
        InputError: one has learnt from something else.
    """
    for member in members:
        advice = f"train it again: {again(member.name)}"
        spec = member.trained.spec
        if spec.steps != funnel.steps:
            raise InputError(
                f"'{name}' blends '{member.name}', whose steps are {', '.join(spec.steps)}, but funnel.steps are "
                f"{', '.join(funnel.steps)}; {advice}"
            )
        what = f"the weights of '{member.name}', which '{name}' blends,"
        check_made_from(what, spec.data, data, advice=advice)


def _counts_agree(examples: Examples, report: BeforeAndAfter) -> bool:
    happened = dict(zip(examples.steps, examples.labels.sum(axis=0, dtype=np.int64).tolist(), strict=True))
    counted = {step: count.positives for step, count in report.after.steps.items()}
    return len(examples) == report.after.rows and happened == counted


def check_row_weights(train: Examples, valid: Examples) -> None:
    """Make sure that some rows count, of those that a model learns from and of those that it chooses by.

    Raises:
        InputError: all rows of a split have the weight 0.
    """
    told = {"train": (train, "nothing can be learnt"), "validation": (valid, "nothing can be chosen by it")}
    for split, (examples, consequence) in told.items():
        if examples.row_weights is not None and not examples.row_weights.any():
            raise InputError(
                f"funnel.row_weight is 0 in every {split} row, so {consequence}; weigh some, or split otherwise"
            )


def warn_unless_learnt(history: RunHistory, *, reads_training: bool) -> None:
    """Say so if constants would have predicted validation as well, and what to change."""
    if history.learnt:
        return
    found, constant = (sum(part.values()) for part in (history.valid_log_loss, history.constant_log_loss))
    advice = what_may_help(reads_training=reads_training)
    ranks = history.ranks
    verdict = "ranks but did not learn probabilities" if ranks else "did not learn"
    logger.warning(
        f"'{history.run}' with seed {history.seed} {verdict}: its log loss on validation over all steps is "
        f"{found:.4f} nats, and that of constant probabilities {constant:.4f}; "
        f"{'use its order only, or try' if ranks else 'try'} {advice}."
    )


def warn_of_large_batch(batch_size: int, *, rows: int) -> None:
    """Say so if an epoch has a handful of steps only."""
    if batch_size * FEW_STEPS > rows:
        logger.warning(
            "training.batch_size is %d, so that the %d train rows make %d steps an epoch, too few to learn from; set "
            "it to %d or less.",
            batch_size, rows, -(-rows // batch_size), max(rows // (10 * FEW_STEPS), 1),
        )  # fmt: skip
