"""Accounts for every line of the files of Ali-CCP: lines read, lines set aside by reason, and when to give up."""

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from aitm_kedro.core.errors import InputError
from aitm_kedro.sources.ali_ccp.layout import REASONS, SKELETON, SPLITS
from aitm_kedro.sources.ali_ccp.parsing import Parsed, Unreadable
from aitm_kedro.sources.ali_ccp.streams import File

logger = logging.getLogger(__name__)

PATIENCE = 1000
"""Unreadable lines from which on a file is given up if it consists of little else."""

ASIDE = pa.schema({"file": pa.string(), "line": pa.int64(), "reason": pa.string(), "text": pa.string()})
"""Columns of the lines set aside."""

_COUNTED = ("without_common_row", "repeated_field", "repeated_common_row", "feature_count_differs")


class Account:
    """What became of the lines of a file.

    Attributes:
        file: the file.
        rows: lines that were read.
        lines: all of them, empty ones included.
        reasons: how many lines cannot be read, by reason.
        counts: what else is worth knowing, by name.
    """

    def __init__(self, file: File) -> None:
        self.file = file
        self.rows = self.lines = 0
        self.reasons, self.counts = Counter[str](), Counter[str]()
        self._first: Unreadable | None = None

    @property
    def unreadable(self) -> int:
        """Lines that cannot be read."""
        return self.reasons.total()

    def add(self, chunk: Parsed) -> list[Unreadable]:
        """Count the lines of a chunk; those that cannot be read, with their number in the file."""
        aside = [line._replace(line=line.line + self.lines) for line in chunk.unreadable]
        self._first = self._first or next(iter(aside), None)
        self.reasons.update(line.reason for line in aside)
        self.rows += chunk.rows
        self.lines += chunk.lines
        self.counts["repeated_field"] += chunk.repeated_field
        self.counts["feature_count_differs"] += chunk.feature_count_differs
        return aside

    def check_so_far(self) -> None:
        """Raise InputError if reading on is of no use: most lines of the file cannot be read."""
        if self.unreadable > PATIENCE and self.unreadable > self.rows:
            self._complain(f"most of the first {self.rows + self.unreadable} lines")

    def check(self, *, share: float) -> None:
        """Raise InputError if more than a share of all lines cannot be read, or no line can."""
        read = self.rows + self.unreadable
        if self.unreadable > share * read:
            self._complain(f"{self.unreadable} of {read} lines", f", more than {share:.4%}")
        if not self.rows:
            raise InputError(f"{self.file.place} has no line that can be read; download it again")

    def _complain(self, what: str, limit: str = "") -> None:
        assert self._first is not None
        reasons = ", ".join(f"{REASONS[reason]}: {count}" for reason, count in self.reasons.most_common())
        raise InputError(
            f"{what} of {self.file.place} cannot be read ({reasons}){limit}. The first is line {self._first.line}: "
            f"{shown(self._first.text)[:200]}. Mend the file, download it again, or allow more: parameter "
            "ali_ccp.max_unreadable"
        )


def aside_table(name: str, lines: Iterable[Unreadable]) -> pa.Table:
    """Lines of a file that cannot be read, as ``ASIDE``."""
    rows = [{"file": name, "line": line, "reason": REASONS[why], "text": shown(text)} for line, why, text in lines]
    return pa.Table.from_pylist(rows, schema=ASIDE)


def report_of(accounts: Mapping[str, Account], *, aside: str) -> dict[str, Any]:
    """The accounts of all files, and their sums.

    Args:
        accounts: by the name of the file.
        aside: where the lines are that cannot be read.
    """
    whole = sum((account.counts for account in accounts.values()), Counter[str]())
    sums: dict[str, Any] = {
        "source": "Ali-CCP",
        "rows": {split: accounts[SKELETON.file(split)].rows for split in SPLITS},
        "unreadable_lines": sum(account.unreadable for account in accounts.values()),
        **{what: whole[what] for what in _COUNTED},
    }
    logger.info("Read %s", sums)
    files = {
        name: {
            "rows": account.rows,
            "unreadable": {REASONS[reason]: count for reason, count in account.reasons.items()},
            **{what: count for what, count in account.counts.items() if count},
        }
        for name, account in accounts.items()
    }
    return {**sums, "unreadable_lines_in": aside, "files": files}


def shown(line: bytes) -> str:
    """A line as text, with its separators visible."""
    return line.decode("latin-1").encode("unicode_escape").decode()
