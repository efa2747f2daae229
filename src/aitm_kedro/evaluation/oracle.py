"""True probabilities, where a simulated source knows them: the upper bound of what any model can reach."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
import pyarrow as pa

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import IMPRESSION_ID, oracle_column

# N = examples, T = steps


def align_truth(
    batches: Iterable[pa.RecordBatch], impression_id: np.ndarray, *, steps: Sequence[str]
) -> np.ndarray | None:
    """True probabilities in the order of the examples.

    Args:
        batches: of the oracle table, in any order, with more impressions than the examples or none at all.
        impression_id: [N], unique.
        steps: the T names.

    Returns:
        float64 [N, T], or None where the table is empty.

    Raises:
        InputError: the table knows some of the examples but not all.
    """
    truth = np.full((len(impression_id), len(steps)), np.nan)
    position = pd.Index(impression_id)
    rows = 0
    for batch in batches:
        rows += batch.num_rows
        target = position.get_indexer(batch[IMPRESSION_ID].to_numpy(zero_copy_only=False))
        for t, step in enumerate(steps):
            truth[target[target >= 0], t] = batch[oracle_column(step)].to_numpy(zero_copy_only=False)[target >= 0]
    if not rows:
        return None
    if missing := int(np.isnan(truth).any(axis=1).sum()):
        raise InputError(
            f"oracle has no probability for {missing} of {len(truth)} test examples; run ingestion and preparation "
            "again"
        )
    return truth


def differing_steps(truth: np.ndarray, labels: np.ndarray, *, steps: Sequence[str]) -> list[str]:
    """Steps whose true probabilities cannot be those of the labels, by their sums.

    Args:
        truth: probabilities [N, T].
        labels: 0/1 [N, T].
        steps: the T steps.

    Returns:
        Steps where expected and counted positives are more than 10 % and six standard errors apart: other windows or
        policies than the source's, beyond what chance explains.
    """
    expected, counted = truth.sum(axis=0, dtype=np.float64), labels.sum(axis=0, dtype=np.float64)
    error = np.sqrt((truth * (1 - truth)).sum(axis=0, dtype=np.float64))
    apart = np.abs(counted - expected)
    return [step for t, step in enumerate(steps) if apart[t] > 6 * error[t] and apart[t] > 0.1 * expected[t]]
