"""What learners are validated by: the two parts of validation, and windows of it that roll through time.

One part stops and tunes the learners, the other compares what they have learnt. Who was stopped where some rows look
best, looks better on them than on others, and the more so, the oftener validation was asked. Blends are weighted, and
runs compared and chosen, on rows that no training has seen in any way.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec
from aitm_kedro.learning.parameters import ValidationOptions

logger = logging.getLogger(__name__)

HASH_KEY = "validation.parts"
"""Of the hash of impressions, 16 characters as pandas asks for."""


class Window(NamedTuple):
    """Rows of a while, and all rows before them, which are learnt from."""

    train: Examples
    valid: Examples


class ValidationParts(NamedTuple):
    """Rows of validation by their use; the same rows twice where it was not cut.

    Attributes:
        stopping: what learners stop on, and choose their settings by.
        selection: what they are compared on.
    """

    stopping: Examples
    selection: Examples


def cut_validation(valid: Examples, options: ValidationOptions, *, is_chronological: bool) -> ValidationParts:
    """Cut validation in two, always in the same way.

    Args:
        valid: in order of time, where there is one.
        options: how to cut.
        is_chronological: whether the split between train, validation and test goes by time.
    """
    if not options.selection_share:
        return ValidationParts(valid, valid)
    parts = divide(valid, options, is_chronological=is_chronological, share=options.selection_share)
    whole = set(valid.steps_of_one_class())
    missing = [step for step in valid.steps if step not in whole and any(step in p.steps_of_one_class() for p in parts)]
    if missing:
        logger.warning(
            "Validation has too few positives of %s to be cut in two (%d rows), so all of its rows stop the training "
            "and compare the runs as well, which flatters them; give split more validation rows, or set "
            "validation.selection_share to 0.",
            " and ".join(f"'{step}'" for step in missing),
            len(valid),
        )
        return ValidationParts(valid, valid)
    return parts


def divide(valid: Examples, options: ValidationOptions, *, is_chronological: bool, share: float) -> ValidationParts:
    """Divide rows by time or by a hash of their ids, whatever classes they have.

    Args:
        valid: in order of time, where there is one.
        options: how.
        is_chronological: whether the split between train, validation and test goes by time.
        share: of the second part.
    """
    if options.by == "time" or (options.by == "auto" and is_chronological):
        is_second = np.arange(len(valid)) >= round(len(valid) * (1 - share))
    else:
        is_second = pd.util.hash_array(np.asarray(valid.impression_id), hash_key=HASH_KEY) < share * 2.0**64
    return ValidationParts(valid.take(np.flatnonzero(~is_second)), valid.take(np.flatnonzero(is_second)))


def roll(
    train: Examples, valid: Examples, *, windows: int, features: Sequence[FeatureSpec], min_count: int
) -> Iterator[Window]:
    """Windows as long as validation, the earliest first; the last of them is validation itself.

    A value that a window's train rows have not seen ``min_count`` times has the id 0 there, as if the vocabulary had
    been learnt from these rows alone; bins of numbers stay as they are.

    Args:
        train: in order of time.
        valid: the rows that come next.
        windows: how many, at least 1.
        features: specs of the fields, in their order.
        min_count: of the frequency filter.

    Raises:
        InputError: the windows leave less to learn from than they are long.
    """
    length = len(valid)
    first = len(train) - (windows - 1) * length
    if first < length:
        raise InputError(
            f"rolling.windows is {windows}, and each is as long as validation ({length} rows), which leaves "
            f"{max(first, 0)} of {len(train)} train rows to learn from in the earliest; set it to "
            f"{max(len(train) // length, 1)} or less, or split.valid_share to less"
        )
    for start in range(first, len(train), length):
        before, rows = train.take(np.arange(start)), train.take(np.arange(start, start + length))
        known = _known_values(before, features, min_count)
        yield Window(_forget_others(before, known), _forget_others(rows, known))
    yield Window(train, valid)


def _known_values(train: Examples, features: Sequence[FeatureSpec], min_count: int) -> dict[str, np.ndarray]:
    """Of each field but numeric ones: which ids occur often enough, bool [ids]."""
    kinds = {spec.name: spec for spec in features}
    ids = dict(zip(train.single_fields, train.ids.T, strict=True)) | {k: part.values for k, part in train.lists.items()}
    return {
        name: np.bincount(found, minlength=kinds[name].ids) >= min_count
        for name, found in ids.items()
        if kinds[name].kind != "numeric"
    }


def _forget_others(examples: Examples, known: dict[str, np.ndarray]) -> Examples:
    """The same rows with the id 0 for values that are not known."""
    ids = examples.ids.copy()
    for place, name in enumerate(examples.single_fields):
        if name in known:
            ids[:, place] = np.where(known[name][ids[:, place]], ids[:, place], 0)
    lists = {
        name: replace(part, values=np.where(known[name][part.values], part.values, 0).astype(part.values.dtype))
        for name, part in examples.lists.items()
    }
    return replace(examples, ids=ids, lists=lists)
