"""Batches of encoded examples, truly shuffled or in order."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from aitm_kedro.core.examples import Examples
from aitm_kedro.core.ragged import Ragged
from aitm_kedro.learning.layers.batch import Batch, Lists

# N = examples, B = rows of a batch, F = fields, V = numeric fields, T = steps

CHUNK = 32
"""Batches gathered and moved to the device at a time: few large copies instead of many small ones."""


class Labelled(NamedTuple):
    """A batch with labels float32 [B, T], and what its rows count in the loss, float32 [B] or None; on the device."""

    batch: Batch
    labels: Tensor
    row_weights: Tensor | None


def shuffled_batches(
    examples: Examples, *, batch_size: int, generator: torch.Generator, device: torch.device
) -> Iterator[Labelled]:
    """Every example exactly once, in an order drawn anew from all of them; the last batch may be smaller.

    Memory is that of the order, 4 bytes a row, and of one chunk: the examples themselves may be on disk.
    """
    order = torch.randperm(len(examples), generator=generator, dtype=_index_type(len(examples)))
    columns = _columns(examples)
    for rows in order.split(batch_size * CHUNK):
        chunk = {name: _move(column.index_select(0, rows), device) for name, column in columns.items()}
        chunk["labels"] = chunk["labels"].float()
        pieces = {name: column.split(batch_size) for name, column in chunk.items()}
        for place, batch_rows in enumerate(rows.split(batch_size)):
            part = {name: of_column[place] for name, of_column in pieces.items()}
            lists = _take_lists(examples.lists, batch_rows.numpy(), device)
            batch = Batch(part["ids"], part.get("values"), lists)
            yield Labelled(batch, part["labels"], part.get("row_weights"))


def ordered_batches(examples: Examples, *, batch_size: int, device: torch.device) -> Iterator[Batch]:
    """Batches on the device, in the order of the examples."""
    for start in range(0, len(examples), batch_size):
        yield _take_batch(examples, slice(start, min(start + batch_size, len(examples))), device)


def as_batch(examples: Examples) -> Batch:
    """All examples as one batch, on the CPU; there may be none."""
    return _take_batch(examples, slice(0, len(examples)), torch.device("cpu"))


def _take_batch(examples: Examples, rows: slice, device: torch.device) -> Batch:
    """Neighbouring rows."""
    values = _move(torch.from_numpy(examples.values[rows]), device) if examples.numeric else None
    ids = _move(torch.from_numpy(examples.ids[rows]), device)
    return Batch(ids, values, _take_lists(examples.lists, np.arange(rows.start, rows.stop), device))


def _columns(examples: Examples) -> dict[str, Tensor]:
    """What is gathered row by row."""
    columns = {"ids": torch.from_numpy(examples.ids), "labels": torch.from_numpy(examples.labels)}
    if examples.numeric:
        columns["values"] = torch.from_numpy(examples.values)
    if examples.row_weights is not None:
        columns["row_weights"] = torch.from_numpy(examples.row_weights)
    return columns


def _take_lists(lists: Mapping[str, Ragged], rows: np.ndarray, device: torch.device) -> Lists | None:
    """The lists of some rows."""
    if not lists:
        return None
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
    return Lists(*(torch.from_numpy(part).to(device) for part in parts))


def _index_type(rows: int) -> torch.dtype:
    return torch.int32 if rows < 2**31 else torch.int64


def _move(tensor: Tensor, device: torch.device) -> Tensor:
    return (tensor.pin_memory() if device.type == "cuda" else tensor).to(device, non_blocking=True)
