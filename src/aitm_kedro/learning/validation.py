"""The two parts of validation: one stops and tunes the learners, the other compares what they have learnt.

Who was stopped where some rows look best, looks better on them than on others, and the more so, the oftener validation
was asked. Blends are weighted, and runs compared and chosen, on rows that no training has seen in any way.
"""

import logging
from typing import NamedTuple

import numpy as np
import pandas as pd

from aitm_kedro.core.examples import Examples
from aitm_kedro.learning.parameters import ValidationOptions

logger = logging.getLogger(__name__)

HASH_KEY = "validation.parts"
"""Of the hash of impressions, 16 characters as pandas asks for."""


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
