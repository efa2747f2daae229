"""Layout of the files of Ali-CCP (https://tianchi.aliyun.com/dataset/408): columns, fields, reasons to set aside."""

import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.ragged import LARGEST_WEIGHT

Split = Literal["train", "test"]

SPLITS: tuple[Split, ...] = ("train", "test")

SINGLE_VALUED = (
    "101", "121", "122", "124", "125", "126", "127", "128", "129",
    "205", "206", "207", "216", "508", "509", "702", "853", "301",
)  # fmt: skip
"""Fields with one value a row: user (101 to 129), item (205 to 216), crosses (508 to 853), position (301).

They are the 18 fields that the AITM paper uses, in the order of its code.
"""

MULTI_VALUED = ("109_14", "110_14", "127_14", "150_14", "210")
"""Fields with any number of values: categories, shops, brands and intentions of 14 days; intentions of the item."""

TEST_OFFSET = 10**12
"""Added to the sample ids of test, which start from 1 again: an impression has an id of its own."""

ENTRIES, ID, VALUE = b"\x01", b"\x02", b"\x03"
"""Separators of a feature text: entry x01 entry, each field x02 id x03 value."""

LONGEST_ID = 18
"""Digits of an id; a longer one may not fit an int64."""

# There is one way alone to match an entry. With two, a text with a mistake at its end would be tried 2^entries times.
# A carriage return belongs to the end of a line or is a mistake: Arrow would break the line there.
_ENTRY = rb"[^\x01\x02\x03\r]+\x02-?[0-9]{1,%d}\x03(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?" % LONGEST_ID

REASONS = {
    "columns": "another number of columns",
    "sample_id": "a sample id that is no whole number of at most 12 digits",
    "label": "a label that is neither 0 nor 1",
    "common_feature_index": "no common feature index",
    "feature_count": "a number of features that is no whole number",
    "features": "features that are not field \\x02 id \\x03 value, the id whole, the value a number from 0",
}
"""Why a line cannot be read, in words."""


class Column(NamedTuple):
    """A column of a file.

    Attributes:
        name: ours; the files have no header.
        reason: why a line with another value cannot be read, a key of ``REASONS``.
        pattern: of all values that can be read.
    """

    name: str
    reason: str
    pattern: re.Pattern[bytes]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A file of each split.

    Attributes:
        name: of the file, without split and ending.
        columns: in the order of the file; the last one holds the features.
    """

    name: str
    columns: tuple[Column, ...]

    def file(self, split: Split) -> str:
        """Name of the file."""
        return f"{self.name}_{split}.csv"

    def complaint(self, line: bytes) -> str | None:
        r"""Why a line, without its end, cannot be read: a key of ``REASONS``; None if it can.

        Example:
            >>> SKELETON.complaint(b"1,0,yes,a9,1,205\x0217\x031.0")
            'label'
        """
        values = line.split(b",")
        if len(values) != len(self.columns):
            return "columns"
        for column, value in zip(self.columns, values, strict=True):
            if not column.pattern.fullmatch(value):
                return column.reason
        return None if _weights_are_finite(values[-1]) else "features"


def _weights_are_finite(features: bytes) -> bool:
    values = (entry.rpartition(VALUE)[2] for entry in features.split(ENTRIES) if entry)
    return all(float(value) <= LARGEST_WEIGHT for value in values)


_COUNT = Column("feature_count", "feature_count", re.compile(rb"[0-9]{1,9}"))
_FEATURES = Column("features", "features", re.compile(rb"(?:%s(?:\x01%s)*)?" % (_ENTRY, _ENTRY)))

SKELETON = Layout(
    name="sample_skeleton",
    columns=(
        Column("sample_id", "sample_id", re.compile(rb"[0-9]{1,12}")),
        Column("click", "label", re.compile(rb"[01]")),
        Column("purchase", "label", re.compile(rb"[01]")),
        Column("common_feature_index", "common_feature_index", re.compile(rb"[^\r]*")),
        _COUNT,
        _FEATURES,
    ),
)
COMMON = Layout(
    name="common_features",
    columns=(
        Column("common_feature_index", "common_feature_index", re.compile(rb"[^\r]+")),
        _COUNT,
        _FEATURES,
    ),
)


def weights_field(field: str) -> str:
    """Name of the column with the weights of a multi-valued field's values."""
    return f"{field}_weights"


class Fields(NamedTuple):
    """Fields to read.

    Attributes:
        single: single-valued ones.
        multi: multi-valued ones.
        weighted: of these, the ones whose weights are wanted.
    """

    single: tuple[str, ...] = SINGLE_VALUED
    multi: tuple[str, ...] = ()
    weighted: tuple[str, ...] = ()


def choose_fields(features: Features | None) -> Fields:
    """What to read for the features of a run; the paper's fields if there are none.

    Raises:
        InputError: a feature is no field, or stands under the wrong heading.
    """
    if features is None:
        return Fields()
    for name in features.numeric:
        raise InputError(f"features.numeric names '{name}', but no field of Ali-CCP is a number")
    for name in features.categorical:
        if name in MULTI_VALUED:
            raise InputError(
                f"features.categorical names '{name}', which has several values a row; list it under features.lists"
            )
        _check_known(name, "categorical")
    for feature in features.lists:
        if feature.name in SINGLE_VALUED:
            raise InputError(
                f"features.lists names '{feature.name}', which has one value a row; list it under features.categorical"
            )
        _check_known(feature.name, "lists")
        if feature.weights not in (None, weights_field(feature.name)):
            raise InputError(
                f"features.lists gives '{feature.name}' the weights '{feature.weights}', but Ali-CCP has them as "
                f"'{weights_field(feature.name)}'"
            )
    return Fields(
        single=features.categorical,
        multi=tuple(feature.name for feature in features.lists),
        weighted=tuple(feature.name for feature in features.lists if feature.weights),
    )


def _check_known(name: str, heading: str) -> None:
    if name not in (*SINGLE_VALUED, *MULTI_VALUED):
        raise InputError(
            f"features.{heading} names '{name}', which is no field of Ali-CCP; one value a row have "
            f"{', '.join(SINGLE_VALUED)}, several have {', '.join(MULTI_VALUED)}"
        )
