"""The end of a run: what all its seeds have saved belongs together."""

from collections.abc import Sequence

import pandas as pd

from aitm_kedro.artifacts.bundle import Bundle
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.namespaces import namespace_of
from aitm_kedro.evaluation.results import Metrics


def collect_results(*results: Metrics | pd.DataFrame | Bundle | None, run: str, seeds: Sequence[int]) -> list[int]:
    """Check what every seed of a run has saved before others read it.

    Args:
        *results: metrics of each seed, then its placements, then its bundle; None where a seed has not run.
        run: name of the run.
        seeds: its seeds.

    Returns:
        The seeds that are whole.

    Raises:
        InputError: the metrics and the bundle of a seed are of different evaluations.
    """
    count = len(seeds)
    whole = []
    for seed, metrics, placements, bundle in zip(
        seeds, results[:count], results[count : 2 * count], results[2 * count :], strict=True
    ):
        if isinstance(metrics, Metrics) and isinstance(bundle, Bundle):
            if bundle.manifest.judged != metrics.provenance:
                name = namespace_of(run, seed)
                raise InputError(
                    f"the metrics and the bundle of '{name}' are of different evaluations, as a run leaves them that "
                    f"is stopped between the two; write both again: kedro run --nodes={name}.evaluate"
                )
            if placements is not None:
                whole.append(seed)
    return whole
