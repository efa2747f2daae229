"""Which bundle is used: the one that is asked for, or the best on validation."""

import difflib
import logging
from collections.abc import Mapping, Sequence

from aitm_kedro.artifacts.bundle import Bundle, Manifest
from aitm_kedro.artifacts.parameters import Scoring
from aitm_kedro.core.errors import InputError

logger = logging.getLogger(__name__)

Key = tuple[str, int]
"""Name of a run, and seed."""


def choose_bundle(bundles: Mapping[Key, Bundle | None], scoring: Scoring) -> Bundle:
    """The bundle that scores.

    Args:
        bundles: of every run and seed, None where it was not trained.
        scoring: which run and seed; what is left open, validation decides (mean AUC of the main steps). Test is not
            asked: who chooses by it, has no honest figure of it left. Those that did not learn come last.

    Raises:
        InputError: there is none.
    """
    wanted = [key for key in bundles if scoring.run in (None, key[0]) and scoring.seed in (None, key[1])]
    if not wanted:
        raise InputError(_unknown(list(bundles), scoring))
    there = [bundle for key in wanted if (bundle := bundles[key]) is not None]
    if not there:
        named = ", ".join(f"'{run}' with seed {seed}" for run, seed in wanted)
        raise InputError(f"there is no bundle of {named}; train it first: kedro run --pipelines=modelling")
    chosen = max(_of_same_validation(there), key=_score)
    if not chosen.manifest.learnt:
        logger.warning(
            "'%s' with seed %d scores, although it did not learn: constants predict validation as well%s; see the "
            "warning of its training",
            chosen.manifest.run,
            chosen.manifest.seed,
            "" if len(there) == 1 else ", as for all others",
        )
    return chosen


def _of_same_validation(bundles: Sequence[Bundle]) -> list[Bundle]:
    """Bundles that were chosen by the same rows and steps as the newest one: scores on other rows say nothing."""
    newest = max((bundle.manifest for bundle in bundles), key=lambda manifest: manifest.trained.made)
    same = [bundle for bundle in bundles if _judge(bundle.manifest) == _judge(newest)]
    others = [f"'{b.manifest.run}' with seed {b.manifest.seed}" for b in bundles if b not in same]
    if others:
        logger.warning(
            "Passed over, since other validation rows or main steps judged them than the newest: %s; train them again",
            ", ".join(others),
        )
    return same


def _judge(manifest: Manifest) -> tuple[str | None, str, tuple[str, ...]]:
    """What decides on it: rows of validation, which part of them, and steps."""
    part = str(manifest.trained.parameters.get("validation"))
    return manifest.trained.data.get("valid"), part, manifest.funnel.main_steps


def _score(bundle: Bundle) -> tuple[bool, float]:
    score = bundle.manifest.validation_score
    return bundle.manifest.learnt, -1.0 if score is None else score


def _unknown(known: Sequence[Key], scoring: Scoring) -> str:
    runs = list(dict.fromkeys(run for run, _ in known))
    if scoring.run is not None and scoring.run not in runs:
        close = difflib.get_close_matches(scoring.run, runs, n=1)
        advice = f"did you mean '{close[0]}'?" if close else f"set scoring.run to one of {', '.join(runs)}"
        return f"there is no run '{scoring.run}' to score with; {advice}"
    seeds = sorted({seed for run, seed in known if scoring.run in (None, run)})
    whose = "no run has the" if scoring.run is None else f"the run '{scoring.run}' has no"
    return f"{whose} seed {scoring.seed}; set scoring.seed to one of {', '.join(map(str, seeds))}"
