"""The fingerprint of a vocabulary: by it, ids that mean something else are told apart."""

from hashlib import blake2b

import ibis
import ibis.expr.types as ir
import numpy as np
import pandas as pd

from aitm_kedro.core.features import VOCABULARY

MEANING = ("feature", "kind", "id", "value", "lower", "count")
"""Columns of a vocabulary that decide what an id means: of which value or bin it is, and in how many rows it was found.

The counts tell apart train splits that happen to lead to the same ids."""


def fingerprint_vocabulary(vocabulary: ir.Table | pd.DataFrame) -> str:
    """Twelve hexadecimal digits that differ where an id, its value or bin, or its count does.

    The order of rows makes no difference. Rows are hashed here and not by the engine, so that every engine gives the
    same; a million ids take about a second.

    Args:
        vocabulary: what ``learn_vocabulary`` returned, or its table.
    """
    frame = vocabulary.select(*MEANING).to_pandas() if isinstance(vocabulary, ir.Table) else vocabulary[list(MEANING)]
    # One type each, whatever a file or an engine made of them.
    typed = frame.astype({"id": "int64", "count": "int64", "lower": "float64"})
    hashes = np.sort(pd.util.hash_pandas_object(typed, index=False).to_numpy())
    return blake2b(hashes.tobytes(), digest_size=6).hexdigest()


def with_vocabulary(examples: ir.Table, fingerprint: str) -> ir.Table:
    """Encoded examples with the fingerprint of their vocabulary beside every row, which costs nothing in Parquet."""
    return examples.mutate(**{VOCABULARY: ibis.literal(fingerprint)})
