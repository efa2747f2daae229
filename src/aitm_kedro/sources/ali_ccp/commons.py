"""Collects the common features of Ali-CCP: rows that many impressions of one user share."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
import pyarrow as pa

from aitm_kedro.core.ragged import Ragged, offsets_of
from aitm_kedro.sources.ali_ccp.parsing import Parsed, Single

# C = common rows, M = values of a multi-valued field of all of them


@dataclass(frozen=True, kw_only=True)
class Commons:
    """All C common rows of a split.

    Attributes:
        places: common_feature_index -> row.
        single: single-valued fields, [C] each, those that occur.
        multi: multi-valued fields, C lists each, those that occur; their values stay on disk.
        repeated: rows whose index stands in a later row again.
    """

    places: Mapping[bytes, int]
    single: Mapping[str, Single]
    multi: Mapping[str, Ragged]
    repeated: int

    @property
    def values_a_row(self) -> float:
        """Mean number of values of the multi-valued fields."""
        return sum(len(lists.values) for lists in self.multi.values()) / max(len(self.places), 1)

    def find(self, index: pa.Array) -> np.ndarray:
        """Row of each common_feature_index, int64 [n]; -1 where there is none."""
        coded = index.dictionary_encode()
        rows = np.fromiter(map(self.places.get, coded.dictionary.to_pylist(), repeat(-1)), np.int64)
        return rows[coded.indices.to_numpy()] if len(rows) else np.empty(0, np.int64)


def collect(chunks: Iterable[Parsed], *, scratch: Path) -> Commons:
    """Put the chunks of a file together.

    Args:
        chunks: of one file, in order.
        scratch: folder for the values of multi-valued fields, which may be larger than the memory.
    """
    places: dict[bytes, int] = {}
    rows = 0
    singles: dict[str, list[tuple[int, Single]]] = {}
    multis: dict[str, _Collector] = {}
    for chunk in chunks:
        index = chunk.columns["common_feature_index"].to_pylist()
        places.update(zip(index, range(rows, rows + chunk.rows), strict=True))
        for name, single in chunk.single.items():
            singles.setdefault(name, []).append((rows, single))
        for name, lists in chunk.multi.items():
            if name not in multis:
                multis[name] = _Collector(scratch / name)
            multis[name].add(rows, lists)
        rows += chunk.rows
    return Commons(
        places=places,
        single={name: _join(parts, rows) for name, parts in singles.items()},
        multi={name: collector.close(rows) for name, collector in multis.items()},
        repeated=rows - len(places),
    )


def _join(parts: Iterable[tuple[int, Single]], rows: int) -> Single:
    """Chunks, each with its first row; rows in between have no value."""
    whole = Single(np.zeros(rows, np.int64), np.zeros(rows, bool))
    for start, part in parts:
        whole.ids[start : start + len(part.ids)] = part.ids
        whole.known[start : start + len(part.ids)] = part.known
    return whole


class _Collector:
    """Lists of a field, chunk after chunk; the values go to files."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True)
        self._path = path
        self._lengths: list[tuple[int, np.ndarray]] = []

    def add(self, start: int, lists: Ragged) -> None:
        """Append the rows from ``start`` on."""
        assert lists.weights is not None
        self._lengths.append((start, lists.lengths))
        for name, numbers in (("values", lists.values), ("weights", lists.weights)):
            with (self._path / name).open("ab") as file:
                file.write(numbers.data)  # `tofile` would not say why it cannot, such as a full disk

    def close(self, rows: int) -> Ragged:
        """All ``rows``; those that were not added are empty."""
        lengths = np.zeros(rows, np.int64)
        for start, part in self._lengths:
            lengths[start : start + len(part)] = part
        return Ragged(
            offsets_of(lengths),
            np.memmap(self._path / "values", np.int64, mode="r"),
            np.memmap(self._path / "weights", np.float32, mode="r"),
        )
