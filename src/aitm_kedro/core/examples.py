"""Encoded examples: what every model trains on and is judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import NamedTuple, Self

import numpy as np
import pandas as pd

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.ragged import Ragged

# N = examples, F = fields with one id a row, V = numeric fields, L = fields with a list of ids a row, T = steps


class Fingerprints(NamedTuple):
    """What encoded examples are, by content.

    Attributes:
        whole: of everything that is known of the rows (``Examples.fingerprint``).
        rows: the same without features (``Examples.fingerprint_of_rows``).
        vocabulary: of the vocabulary that gave the ids; None: not known.
    """

    whole: str
    rows: str
    vocabulary: str | None


@dataclass(frozen=True, kw_only=True)
class Examples:
    """N encoded impressions.

    Attributes:
        ids: int32 [N, F], C-contiguous; each field counts from 0 (unknown, rare, or null).
        labels: uint8 [N, T], end to end: labels[:, t] is 1 where step t and all before it happened.
        fields: the F + L feature names, in the order of the vocabulary; those of lists come last.
        steps: the T steps, in funnel order.
        impression_id: [N], int64 or str.
        segment: [N] segment names, or None where the funnel has no segment.
        numeric: the V fields, among those with one id, whose values stand beside the ids.
        values: float32 [N, V], C-contiguous, NaN where null; may be left out if there are none.
        lists: of each of the L list fields, N lists of ids (int32), none of them empty; weights are at least 0.
        row_weights: float32 [N], what each row counts in loss and metrics; None: all alike.
        vocabulary: fingerprint of the vocabulary that gave the ids; None where whoever encoded them vouches for it, as
            a bundle that encodes rows by its own vocabulary.
        stored: fingerprints of these very rows, where they were written down with them; a changed copy has none.
    """

    ids: np.ndarray
    labels: np.ndarray
    fields: tuple[str, ...]
    steps: tuple[str, ...]
    impression_id: np.ndarray
    segment: np.ndarray | None = None
    numeric: tuple[str, ...] = ()
    values: np.ndarray = field(default_factory=lambda: np.empty((0, 0), np.float32))
    lists: Mapping[str, Ragged] = field(default_factory=dict)
    row_weights: np.ndarray | None = None
    vocabulary: str | None = None
    stored: Fingerprints | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.numeric:
            object.__setattr__(self, "values", np.empty((len(self.ids), 0), np.float32))

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def single_fields(self) -> tuple[str, ...]:
        """The F fields with one id a row."""
        return tuple(name for name in self.fields if name not in self.lists)

    def stored_as(self, fingerprints: Fingerprints) -> Self:
        """The same, with fingerprints that were computed before, so that millions of rows are not read for them."""
        same = replace(self)
        object.__setattr__(same, "stored", fingerprints)
        return same

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ where rows, their order, or anything that is known of them does."""
        return self._compute_fingerprint() if self.stored is None else self.stored.whole

    def fingerprint_of_rows(self) -> str:
        """The same of all but the features: impressions, labels, segments and weights."""
        return self.of_fields(())._compute_fingerprint() if self.stored is None else self.stored.rows

    def _compute_fingerprint(self) -> str:
        names = repr((self.fields, self.steps, self.numeric))
        digest = blake2b(names.encode(), digest_size=6)
        lists = [part for value in self.lists.values() for part in (value.offsets, value.values, value.weights)]
        rows = pd.util.hash_array(self.impression_id)
        segments = None if self.segment is None else pd.util.hash_array(np.asarray(self.segment, object))
        for part in (rows, self.labels, self.ids, self.values, self.row_weights, segments, *lists):
            if part is not None:
                digest.update(np.ascontiguousarray(part).data)
        return digest.hexdigest()

    def steps_of_one_class(self) -> list[str]:
        """Steps that happened in no row that counts, or in every one."""
        labels = self.counted_labels
        happened = labels.sum(axis=0, dtype=np.int64)
        return [step for step, count in zip(self.steps, happened, strict=True) if count in (0, len(labels))]

    @property
    def counted_labels(self) -> np.ndarray:
        """Labels of the rows whose weight is above 0, uint8 [n, T]."""
        return self.labels if self.row_weights is None else self.labels[self.row_weights > 0]

    def of_steps(self, steps: Sequence[str]) -> Self:
        """The same rows with the labels of some steps alone.

        Raises:
            InputError: a step is not there.
        """
        if tuple(steps) == self.steps:
            return self
        _check_there(steps, self.steps)
        chosen = [self.steps.index(step) for step in steps]
        return replace(self, labels=self.labels[:, chosen], steps=tuple(steps))

    def of_fields(self, fields: Sequence[str]) -> Self:
        """The same rows with some features alone; lists come last, here as everywhere.

        Raises:
            InputError: a feature is not there, or a list stands before a feature with one id.
        """
        if tuple(fields) == self.fields:
            return self
        _check_there(fields, self.fields)
        is_list = [name in self.lists for name in fields]
        if is_list != sorted(is_list):
            raise InputError(f"Features with lists come last, but the order asked for is {list(fields)}.")
        single = self.single_fields
        chosen = [single.index(name) for name in fields if name not in self.lists]
        numeric = tuple(name for name in fields if name in self.numeric)
        return replace(
            self,
            ids=np.ascontiguousarray(self.ids[:, chosen]),
            fields=tuple(fields),
            numeric=numeric,
            values=np.ascontiguousarray(self.values[:, [self.numeric.index(name) for name in numeric]]),
            lists={name: self.lists[name] for name in fields if name in self.lists},
        )

    def without_values(self) -> Self:
        """The same rows without the values of numeric fields, for models that read their bins alone."""
        return replace(self, numeric=())

    def rows_without_known_values(self) -> dict[str, int]:
        """Feature -> rows in which it is null, or holds nothing but values that train has not seen or has as rare."""
        counts = (self.ids == 0).sum(axis=0)
        found = dict(zip(self.single_fields, counts.tolist(), strict=True))
        for name, lists in self.lists.items():
            row = np.repeat(np.arange(len(self)), lists.lengths)
            known = np.zeros(len(self), bool)
            known[row[lists.values > 0]] = True
            found[name] = int((~known).sum())
        return found

    def take(self, rows: np.ndarray) -> Self:
        """Some rows, in this order."""
        return replace(
            self,
            ids=self.ids[rows],
            labels=self.labels[rows],
            impression_id=self.impression_id[rows],
            segment=None if self.segment is None else self.segment[rows],
            values=self.values[rows],
            lists={name: lists.take(rows) for name, lists in self.lists.items()},
            row_weights=None if self.row_weights is None else self.row_weights[rows],
        )


def _check_there(wanted: Sequence[str], present: Sequence[str]) -> None:
    missing = [name for name in wanted if name not in present]
    if missing:
        raise InputError(
            f"The encoded examples have no column {missing}: they were made for other steps or features. "
            "Run preparation and modelling again."
        )
