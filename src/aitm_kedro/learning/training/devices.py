"""Where a network runs, and how many threads it may use."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import lru_cache
from typing import Literal

import torch

from aitm_kedro.core.errors import InputError

Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["float32", "bfloat16"]


def choose_device(name: Device) -> torch.device:
    """The device called ``name``; ``auto`` takes CUDA or MPS where there is one, else the CPU.

    Raises:
        InputError: the device is not there.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(candidate for candidate in ("cuda", "mps", "cpu") if there[candidate])
    if not there[name]:
        raise InputError(f"training.device is '{name}', which this machine does not have; set it to auto or cpu")
    return torch.device(name)


def autocast(device: torch.device, precision: Precision) -> AbstractContextManager[object]:
    """Run matrix products in bfloat16 if so asked; parameters stay float32."""
    if precision == "float32":
        return nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


@contextmanager
def cpu_threads(count: int | None) -> Iterator[None]:
    """Use ``count`` CPU threads, or as many as torch does by itself."""
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(count or before)
        yield
    finally:
        torch.set_num_threads(before)


@lru_cache(maxsize=1)
def keep_freed_memory() -> None:
    """Let malloc keep the memory of freed activations instead of returning it at once.

    glibc gives blocks above a threshold back to the system, so that each step pays for clearing the same pages anew, up
    to a quarter of its time. Freeing one block just under 32 MiB raises that threshold to it for good. Without glibc
    this does nothing.
    """
    block = torch.empty(32_000_000, dtype=torch.uint8)
    del block
