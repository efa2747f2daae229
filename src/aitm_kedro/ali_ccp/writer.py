"""All files joined into one Parquet file, and an account of every line."""

import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from aitm_kedro.ali_ccp.commons import collect
from aitm_kedro.ali_ccp.joining import Joined, join, schema_of
from aitm_kedro.ali_ccp.layout import COMMON, PAPER_FIELDS, REASONS, SKELETON, SPLITS, Split
from aitm_kedro.ali_ccp.parsing import Parsed, Unreadable, parse
from aitm_kedro.ali_ccp.streams import File, find_files, read_chunks
from aitm_kedro.errors import InputError
from aitm_kedro.funnel import IMPRESSION_ID
from aitm_kedro.machine import cores, in_order
from aitm_kedro.storage import ensure, remove

logger = logging.getLogger(__name__)

Made = TypeVar("Made")

VERSION = 1
"""Of what is written; another one reads the files again."""

CHUNK_BYTES = 8 << 20
SECONDS_BETWEEN_MESSAGES = 10.0
IMPRESSIONS, UNREADABLE, REPORT, SCRATCH = "impressions.parquet", "unreadable.parquet", "report.json", "scratch"
PATIENCE = 1000
"""Unreadable lines from which on a file is given up as soon as their share is too large."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is read.

    Attributes:
        single: single-valued fields.
        multi: multi-valued fields.
        max_values: of a multi-valued field, the heaviest values that a row keeps; None: all.
        max_unreadable: share of the lines of a file that may be unreadable.
    """

    single: tuple[str, ...] = PAPER_FIELDS
    multi: tuple[str, ...] = ()
    max_values: int | None = None
    max_unreadable: float = 0.001


class Read(NamedTuple):
    """What reading the files left.

    Attributes:
        impressions: Parquet file with impression_id, split, click, purchase and the fields.
        unreadable: Parquet file with the lines set aside: file, line, reason, text.
        report: JSON file that accounts for every line.
    """

    impressions: Path
    unreadable: Path
    report: Path

    @classmethod
    def inside(cls, folder: Path) -> "Read":
        """The files of a folder."""
        return cls(*(folder / name for name in (IMPRESSIONS, UNREADABLE, REPORT)))


def ensure_impressions(folder: Path, target: Path, options: Options) -> Read:
    """Read the four files and join them, unless that has been done.

    Args:
        folder: with the files as downloaded.
        target: folder for the result, one folder a choice of files and options.
        options: what is read.

    Raises:
        InputError: a file is missing, empty or cut short, too many lines cannot be read, or the disk is full.
    """
    files = find_files(folder)
    path = _folder_of(files, target, options)
    try:
        ensure(path, lambda part: _Reader(files, part, options).run())
    except OSError as error:
        reason = (error.strerror or str(error)).rpartition("] ")[2]  # Arrow's words end with "[errno 28] No space ..."
        raise InputError(f"Ali-CCP cannot be read from '{folder}' into '{path}': {reason}") from error
    return Read.inside(path)


def locate_impressions(folder: Path, target: Path, options: Options) -> Read:
    """Where ``ensure_impressions`` leaves its files, whether they are there or not.

    Raises:
        InputError: a file is missing.
    """
    return Read.inside(_folder_of(find_files(folder), target, options))


def _folder_of(files: Mapping[str, File], target: Path, options: Options) -> Path:
    known = json.dumps([VERSION, asdict(options), [file.identity for file in files.values()]], sort_keys=True)
    return target / f"read-{hashlib.sha256(known.encode()).hexdigest()[:12]}"


@dataclass(kw_only=True)
class _Account:
    """What became of the lines of a file."""

    rows: int = 0
    lines: int = 0
    unreadable: list[Unreadable] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, chunk: Parsed) -> None:
        self.unreadable += [line._replace(line=line.line + self.lines) for line in chunk.unreadable]
        self.rows += chunk.rows
        self.lines += chunk.lines
        self.counts["repeated_field"] += chunk.repeated_field
        self.counts["feature_count_differs"] += chunk.feature_count_differs

    def check(self, file: File, *, share: float) -> None:
        """Raise InputError if too many lines cannot be read."""
        read = self.rows + len(self.unreadable)
        if len(self.unreadable) <= share * read:
            return
        reasons = Counter(line.reason for line in self.unreadable)
        first = self.unreadable[0]
        raise InputError(
            f"{len(self.unreadable)} of the first {read} lines of {file.place} cannot be read ("
            + ", ".join(f"{REASONS[reason]}: {count}" for reason, count in reasons.most_common())
            + f"), more than {share:.4%}. The first is line {first.line}: {_shown(first.text)[:200]}. Mend the file, "
            "download it again, or allow more: parameter ali_ccp.max_unreadable"
        )


class _Reader:
    """Reads the files once, into a folder."""

    def __init__(self, files: dict[str, File], folder: Path, options: Options) -> None:
        self._files, self._folder, self._options = files, folder, options
        self._accounts = {name: _Account() for name in files}

    def run(self) -> None:
        """Write the three files."""
        self._folder.mkdir()
        schema = schema_of(self._options.single, self._options.multi)
        # Of whole numbers, differences are about as small as places in a dictionary, and cost half the time to write.
        whole = [field.name for field in schema if pa.types.is_integer(field.type)]
        with pq.ParquetWriter(
            self._folder / IMPRESSIONS,
            schema,
            use_dictionary=[name for name in schema.names if name not in whole],
            column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
            write_statistics=[IMPRESSION_ID],
        ) as out:
            for split in SPLITS:
                for table in self._join(split):
                    out.write_table(table)
        remove(self._folder / SCRATCH)
        pq.write_table(self._unreadable(), self._folder / UNREADABLE)
        (self._folder / REPORT).write_text(json.dumps(self._report(), indent=2))

    def _join(self, split: Split) -> Iterator[pa.Table]:
        """Impressions of a split with the features of their common rows."""
        common, skeleton = self._files[COMMON.file(split)], self._files[SKELETON.file(split)]
        parsed = self._chunks(common, self._parse(common), size=CHUNK_BYTES)
        commons = collect((chunk for chunk, _ in parsed), scratch=self._folder / SCRATCH / split)
        self._accounts[common.name].counts["repeated_common_row"] = commons.repeated
        parse_skeleton, options = self._parse(skeleton), self._options

        def parse_and_join(data: bytes) -> tuple[Parsed, Joined]:
            chunk, _ = parse_skeleton(data)
            return chunk, join(
                chunk,
                commons,
                split=split,
                single=options.single,
                multi=options.multi,
                max_values=options.max_values,
            )

        # A chunk with its lists is to need about as much memory as one without.
        size = max(CHUNK_BYTES // (1 + int(commons.values_a_row) // 16), 1 << 18)
        counts = self._accounts[skeleton.name].counts
        for _, joined in self._chunks(skeleton, parse_and_join, size=size):
            counts["without_common_row"] += joined.without_common_row
            counts["repeated_field"] += joined.overridden
            yield joined.table

    def _parse(self, file: File) -> Callable[[bytes], tuple[Parsed, None]]:
        options = self._options
        return lambda data: (parse(data, file.layout, single=options.single, multi=options.multi), None)

    def _chunks(
        self, file: File, read: Callable[[bytes], tuple[Parsed, Made]], *, size: int
    ) -> Iterator[tuple[Parsed, Made]]:
        """What ``read`` makes of the chunks of a file, in order, by several threads; their lines are counted."""
        account = self._accounts[file.name]
        with file.open() as (content, disk):
            progress = _Progress(file, disk)
            for chunk, made in in_order(read, read_chunks(file, content, size=size), workers=cores()):
                account.add(chunk)
                if len(account.unreadable) > PATIENCE:
                    account.check(file, share=self._options.max_unreadable)
                progress.report(account.rows)
                yield chunk, made
        account.check(file, share=self._options.max_unreadable)
        if not account.rows:
            raise InputError(f"{file.place} has no line that can be read; download it again")

    def _unreadable(self) -> pa.Table:
        lines = [(name, *line) for name, account in self._accounts.items() for line in account.unreadable]
        kinds = {"file": pa.string(), "line": pa.int64(), "reason": pa.string(), "text": pa.string()}
        rows = [(file, line, REASONS[reason], _shown(text)) for file, line, reason, text in lines]
        columns = zip(*rows, strict=True) if rows else [[]] * len(kinds)
        return pa.table(
            {name: pa.array(list(values), kind) for (name, kind), values in zip(kinds.items(), columns, strict=True)}
        )

    def _report(self) -> dict[str, Any]:
        files = {
            name: {
                "rows": account.rows,
                "unreadable": dict(Counter(REASONS[line.reason] for line in account.unreadable)),
                **{what: count for what, count in account.counts.items() if count},
            }
            for name, account in self._accounts.items()
        }
        whole = sum((account.counts for account in self._accounts.values()), Counter[str]())
        report: dict[str, Any] = {
            "source": "Ali-CCP",
            "rows": {split: self._accounts[SKELETON.file(split)].rows for split in SPLITS},
            "unreadable_lines": sum(len(account.unreadable) for account in self._accounts.values()),
            **{
                what: whole[what]
                for what in ("without_common_row", "repeated_field", "repeated_common_row", "feature_count_differs")
            },
            "files": files,
        }
        logger.info("Ali-CCP: %s", {what: count for what, count in report.items() if what != "files"})
        return report


class _Progress:
    """Says every few seconds how far a file is."""

    def __init__(self, file: File, disk: IO[bytes]) -> None:
        self._file, self._disk, self._bytes = file, disk, file.path.stat().st_size
        self._start = self._said = time.monotonic()

    def report(self, rows: int) -> None:
        now = time.monotonic()
        done = self._disk.tell() / self._bytes
        if now - self._said < SECONDS_BETWEEN_MESSAGES:
            return
        self._said = now
        elapsed = now - self._start
        logger.info(
            "%s: %s rows, %.0f %% of %.1f GB, %s rows/s, at most %.0f s left",
            self._file.name, f"{rows:,}", 100 * done, self._bytes / 1e9, f"{rows / elapsed:,.0f}",
            elapsed * (1 - done) / done,
        )  # fmt: skip


def _shown(line: bytes) -> str:
    """A line as text, with its separators visible."""
    return line.decode("latin-1").encode("unicode_escape").decode()
