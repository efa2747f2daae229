"""Batches of encoded examples, truly shuffled or in order."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aitm_kedro.examples import Examples

# N = examples, B = rows of a batch, F = fields, T = steps

CHUNK = 32
"""Batches gathered and moved to the device at a time: few large copies instead of many small ones."""


class Batch(NamedTuple):
    """Ids int32 [B, F] and labels float32 [B, T], on the device."""

    ids: Tensor
    labels: Tensor


def shuffled_batches(
    examples: Examples, *, batch_size: int, generator: torch.Generator, device: torch.device
) -> Iterator[Batch]:
    """Every example exactly once, in an order drawn anew from all of them; the last batch may be smaller.

    Memory is that of the order, 4 bytes a row, and of one chunk.
    """
    order = torch.randperm(len(examples), generator=generator, dtype=_index_type(len(examples)))
    ids, labels = torch.from_numpy(examples.ids), torch.from_numpy(examples.labels)
    for rows in order.split(batch_size * CHUNK):
        chunk = _to_device(ids.index_select(0, rows), labels.index_select(0, rows), device)
        yield from map(Batch, chunk.ids.split(batch_size), chunk.labels.split(batch_size))


def ordered_ids(ids: np.ndarray, *, batch_size: int, device: torch.device) -> Iterator[Tensor]:
    """Ids [B, F] on the device, in the order of ``ids`` [N, F]."""
    for batch in torch.from_numpy(ids).split(batch_size):
        yield batch.to(device)


def _index_type(rows: int) -> torch.dtype:
    return torch.int32 if rows < 2**31 else torch.int64


def _to_device(ids: Tensor, labels: Tensor, device: torch.device) -> Batch:
    if device.type == "cuda":
        ids, labels = ids.pin_memory(), labels.pin_memory()
    return Batch(ids.to(device, non_blocking=True), labels.to(device, non_blocking=True).float())
