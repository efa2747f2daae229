"""Encoded examples in memory: what every model trains on and is judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Self

import numpy as np
import pandas as pd
import pyarrow.dataset as ds

from aitm_kedro.errors import InputError
from aitm_kedro.funnel import IMPRESSION_ID, SEGMENT, value_column

# N = examples, F = fields, T = steps


@dataclass(frozen=True, kw_only=True)
class Examples:
    """N encoded impressions.

    Attributes:
        ids: int32 [N, F], C-contiguous; each field counts from 0 (unknown, rare, or null).
        labels: uint8 [N, T], end to end: labels[:, t] is 1 where step t and all before it happened.
        fields: the F feature names, in the order of the vocabulary.
        steps: the T steps, in funnel order.
        impression_id: [N], int64 or str.
        segment: [N] segment names, or None where the funnel has no segment.
        values: float32 [N] of each numeric field, NaN where null; none unless they were asked for.
    """

    ids: np.ndarray
    labels: np.ndarray
    fields: tuple[str, ...]
    steps: tuple[str, ...]
    impression_id: np.ndarray
    segment: np.ndarray | None = None
    values: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ where rows, their order, their ids or their labels do."""
        digest = blake2b(digest_size=6)
        for part in (pd.util.hash_array(self.impression_id), self.labels, self.ids):
            digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def steps_of_one_class(self) -> list[str]:
        """Steps that happened in no row, or in every one."""
        happened = self.labels.sum(axis=0, dtype=np.int64)
        return [step for step, count in zip(self.steps, happened, strict=True) if count in (0, len(self))]

    def of_steps(self, steps: Sequence[str]) -> Self:
        """The same rows with the labels of some steps alone."""
        if tuple(steps) == self.steps:
            return self
        chosen = [self.steps.index(step) for step in steps]
        return replace(self, labels=self.labels[:, chosen], steps=tuple(steps))


def read_examples(
    table: ds.Dataset, *, fields: Sequence[str], steps: Sequence[str], with_values: bool = False
) -> Examples:
    """Read an encoded table into arrays, one batch of rows at a time.

    Memory is that of the arrays plus one batch. Row order is that of the file.

    Args:
        table: what ``tables.encoding.encode_examples`` made.
        fields: names of the features wanted.
        steps: names of the steps.
        with_values: read also the values of the numeric ones among the fields, beside their bins.

    Raises:
        InputError: a field or step is not in the table.
    """
    rows = table.count_rows()
    has_segment = SEGMENT in table.schema.names
    ids = np.empty((rows, len(fields)), np.int32)
    labels = np.empty((rows, len(steps)), np.uint8)
    impression_id: list[np.ndarray] = []
    segment: list[np.ndarray] = []
    values = {
        name: np.empty(rows, np.float32) for name in fields if with_values and value_column(name) in table.schema.names
    }
    columns = [IMPRESSION_ID, *fields, *steps, *map(value_column, values)] + [SEGMENT] * has_segment
    missing = [name for name in columns if name not in table.schema.names]
    if missing:
        raise InputError(
            f"The encoded examples have no column {missing}: they were made for other steps or features. "
            "Run preparation and modelling again."
        )
    start = 0
    for batch in table.to_batches(columns=columns, batch_size=131_072):
        stop = start + batch.num_rows
        for position, name in enumerate(fields):
            ids[start:stop, position] = batch[name]
        for position, name in enumerate(steps):
            labels[start:stop, position] = batch[name]
        for name, column in values.items():
            column[start:stop] = batch[value_column(name)].to_numpy(zero_copy_only=False)
        impression_id.append(batch[IMPRESSION_ID].to_numpy(zero_copy_only=False))
        if has_segment:
            segment.append(batch[SEGMENT].to_numpy(zero_copy_only=False))
        start = stop
    return Examples(
        ids=ids,
        labels=labels,
        fields=tuple(fields),
        steps=tuple(steps),
        impression_id=np.concatenate(impression_id) if impression_id else np.empty(0, np.int64),
        segment=(np.concatenate(segment) if segment else np.empty(0, object)) if has_segment else None,
        values=values,
    )
