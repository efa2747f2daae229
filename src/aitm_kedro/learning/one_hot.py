"""Encoded examples as sparse one-hot matrices, for linear models."""

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from scipy import sparse

from aitm_kedro.core.examples import Examples

# N = examples, F = fields, R = ids of all fields

ROWS_AT_ONCE = 262_144


def one_hot(ids: np.ndarray, vocabulary_sizes: Sequence[int]) -> sparse.csr_matrix:
    """One column for each id of each field.

    Args:
        ids: int32 [N, F], each field counting from 0.
        vocabulary_sizes: ids of each of the F fields.

    Returns:
        float32 CSR [N, R] with F ones a row.
    """
    rows, fields = ids.shape
    starts = np.array([0, *accumulate(vocabulary_sizes)], np.int64)
    index = np.int32 if max(starts[-1], rows * fields) < 2**31 else np.int64
    columns = (ids + starts[:-1].astype(index)).ravel()
    bounds = np.arange(rows + 1, dtype=index) * fields
    return sparse.csr_matrix((np.ones(rows * fields, np.float32), columns, bounds), shape=(rows, int(starts[-1])))


def encode(examples: Examples, vocabulary_sizes: Sequence[int], rows: slice = slice(None)) -> sparse.csr_matrix:
    """Some rows as one column for each id of each field; a list has the shares of its ids.

    Returns:
        float32 CSR [n, R].
    """
    single = len(examples.single_fields)
    parts = [one_hot(examples.ids[rows], vocabulary_sizes[:single])]
    for lists, size in zip(examples.lists.values(), vocabulary_sizes[single:], strict=True):
        taken = lists.take(np.arange(len(examples))[rows])
        shares = sparse.csr_matrix((taken.shares(), taken.values, taken.offsets), shape=(len(taken), size))
        shares.sum_duplicates()  # an id may stand in a list twice
        parts.append(shares)
    return parts[0] if len(parts) == 1 else sparse.hstack(parts, format="csr", dtype=np.float32)
