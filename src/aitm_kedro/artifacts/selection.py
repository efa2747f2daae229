"""Which bundle is used: the one that is asked for, or the best on validation."""

from collections.abc import Mapping, Sequence

from aitm_kedro.artifacts.bundle import Bundle
from aitm_kedro.artifacts.parameters import Scoring
from aitm_kedro.core.errors import InputError

Key = tuple[str, int]
"""Name of a run, and seed."""


def choose_bundle(bundles: Mapping[Key, Bundle | None], scoring: Scoring) -> Bundle:
    """The bundle that scores.

    Args:
        bundles: of every run and seed, None where it was not trained.
        scoring: which run and seed; what is left open, validation decides (mean AUC of the main steps). Test is not
            asked: who chooses by it, has no honest figure of it left.

    Raises:
        InputError: there is none.
    """
    wanted = [key for key in bundles if scoring.run in (None, key[0]) and scoring.seed in (None, key[1])]
    there = [bundle for key in wanted if (bundle := bundles[key]) is not None]
    if not there:
        raise InputError(_nothing(list(bundles), wanted, scoring))
    return max(there, key=_score)


def _score(bundle: Bundle) -> float:
    score = bundle.manifest.validation_score
    return -1.0 if score is None else score


def _nothing(known: Sequence[Key], wanted: Sequence[Key], scoring: Scoring) -> str:
    if not wanted:
        named = ", ".join(f"{run} with seed {seed}" for run, seed in known)
        return (
            f"scoring asks for the run '{scoring.run}' (seed {scoring.seed}), but the runs are {named}; set scoring.run"
        )
    named = ", ".join(f"{run}.seed{seed}" for run, seed in wanted)
    return f"there is no bundle of {named}; train it first: kedro run --pipeline=modelling"
