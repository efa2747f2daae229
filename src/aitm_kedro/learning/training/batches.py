"""Batches of encoded examples, truly shuffled or in order."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aitm_kedro.core.examples import Examples
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.learning.layers.embedding import Ids, WithLists

# N = examples, B = rows of a batch, F = fields, T = steps

CHUNK = 32
"""Batches gathered and moved to the device at a time: few large copies instead of many small ones."""


class Batch(NamedTuple):
    """Ids int32 [B, F], with their lists if there are any, and labels float32 [B, T], on the device."""

    ids: Ids
    labels: Tensor


def shuffled_batches(
    examples: Examples, *, batch_size: int, generator: torch.Generator, device: torch.device
) -> Iterator[Batch]:
    """Every example exactly once, in an order drawn anew from all of them; the last batch may be smaller.

    Memory is that of the order, 4 bytes a row, and of one chunk: the examples themselves may be on disk.
    """
    order = torch.randperm(len(examples), generator=generator, dtype=_index_type(len(examples)))
    ids, labels = torch.from_numpy(examples.ids), torch.from_numpy(examples.labels)
    for rows in order.split(batch_size * CHUNK):
        chunk_ids, chunk_labels = _to_device(ids.index_select(0, rows), labels.index_select(0, rows), device)
        parts = zip(rows.split(batch_size), chunk_ids.split(batch_size), chunk_labels.split(batch_size), strict=True)
        for batch_rows, batch_ids, batch_labels in parts:
            yield Batch(_with_lists(batch_ids, examples.lists, batch_rows.numpy(), device), batch_labels)


def ordered_ids(examples: Examples, *, batch_size: int, device: torch.device) -> Iterator[Ids]:
    """Ids [B, F] on the device, with their lists if there are any, in the order of the examples."""
    for start in range(0, len(examples), batch_size):
        rows = np.arange(start, min(start + batch_size, len(examples)))
        ids = torch.from_numpy(examples.ids[rows[0] : rows[-1] + 1]).to(device)
        yield _with_lists(ids, examples.lists, rows, device)


def as_batch(examples: Examples) -> Ids:
    """All examples as one batch, on the CPU."""
    return _with_lists(torch.from_numpy(examples.ids), examples.lists, np.arange(len(examples)), torch.device("cpu"))


def _with_lists(ids: Tensor, lists: Mapping[str, Ragged], rows: np.ndarray, device: torch.device) -> Ids:
    """Ids of some rows, with the lists of these rows."""
    if not lists:
        return ids
    taken = [field.take(rows) for field in lists.values()]
    sizes = [len(part.values) for part in taken]
    row = np.concatenate([np.repeat(np.arange(len(rows)), part.lengths) for part in taken])
    field = np.repeat(np.arange(len(taken)), sizes)
    parts = (
        np.concatenate([part.values for part in taken]).astype(np.int64),
        field,
        row * len(taken) + field,
        np.concatenate([part.shares() for part in taken]),
    )
    return WithLists(ids, *(torch.from_numpy(part).to(device) for part in parts))


def _index_type(rows: int) -> torch.dtype:
    return torch.int32 if rows < 2**31 else torch.int64


def _to_device(ids: Tensor, labels: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
    if device.type == "cuda":
        ids, labels = ids.pin_memory(), labels.pin_memory()
    return ids.to(device, non_blocking=True), labels.to(device, non_blocking=True).float()
