"""Random numbers: streams that go by name, and draws from fixed discrete distributions by table look-up."""

import zlib

import numpy as np

STORY = 20_210_814  # every name of the story has a stream of its own, and this number is common to all of them


def stream(*names: str) -> np.random.Generator:
    """The random stream of one part of the story; the same on every run and for every seed of the rows."""
    return np.random.default_rng([STORY, *(zlib.crc32(name.encode()) for name in names)])


def zipf(values: int, *, exponent: float, offset: float) -> np.ndarray:
    """Heavy-tailed weights 1 / (rank + offset)^exponent, [values], summing to 1."""
    weights = (np.arange(values) + 1.0 + offset) ** -exponent
    return np.asarray(weights / weights.sum())


def slots(weights: np.ndarray, bits: int) -> np.ndarray:
    """The inverse of a discrete distribution: 2^bits values, each as often as its weight asks for, int16 or int32."""
    steps = np.cumsum(weights, dtype=float)
    middles = (np.arange(1 << bits) + 0.5) / (1 << bits) * steps[-1]
    chosen = np.searchsorted(steps, middles, side="right")
    return np.asarray(np.minimum(chosen, len(weights) - 1), np.int16 if len(weights) < 2**15 else np.int32)


def draw(table: np.ndarray, row: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """One value a row from the distribution ``table[row]``, where ``table`` is [rows of slots, 2^bits]."""
    size = table.shape[1]
    slot = rng.integers(0, size, len(row), dtype=np.int32)
    slot += row * np.int32(size)
    return table.ravel()[slot]


def cells(trait: np.ndarray, count: int) -> np.ndarray:
    """A standard normal trait cut into ``count`` steps of equal width between -2.2 and 2.2, [N] int32."""
    return np.clip(trait * (count / 4.4) + count / 2, 0, count - 1).astype(np.int32)
