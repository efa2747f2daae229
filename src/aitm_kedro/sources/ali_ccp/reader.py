"""Reads the four files of Ali-CCP into one Parquet file of impressions, with an account of every line."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import IMPRESSION_ID
from aitm_kedro.core.parallel import cores, in_order
from aitm_kedro.core.progress import Progress
from aitm_kedro.core.storage import ensure, reason_of, remove
from aitm_kedro.sources.ali_ccp.account import ASIDE, Account, aside_table, report_of
from aitm_kedro.sources.ali_ccp.commons import collect
from aitm_kedro.sources.ali_ccp.joining import Joined, join, schema_of
from aitm_kedro.sources.ali_ccp.layout import COMMON, SKELETON, SPLITS, Fields, Split
from aitm_kedro.sources.ali_ccp.parameters import AliCCPFiles
from aitm_kedro.sources.ali_ccp.parsing import Parsed, parse
from aitm_kedro.sources.ali_ccp.streams import File, find_files, read_chunks

Made = TypeVar("Made")

VERSION = 1
"""Of what is written; another one reads the files again."""

CHUNK_BYTES = 16 << 20
MOST_WORKERS = 8
"""Each holds a chunk or two, of about 200 MB when it is taken apart."""

IMPRESSIONS, UNREADABLE, REPORT, SCRATCH = "impressions.parquet", "unreadable.parquet", "report.json", "scratch"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is read.

    Attributes:
        fields: the fields.
        max_values: of a multi-valued field, the heaviest values that a row keeps; None: all.
        max_unreadable: share of the lines of a file that may be unreadable.
    """

    fields: Fields = field(default_factory=Fields)
    max_values: int | None = None
    max_unreadable: float = AliCCPFiles().max_unreadable


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
        if not Read.inside(path).impressions.exists():  # nor is the folder, unless somebody has deleted the file
            remove(path)
        ensure(path, lambda part: _Reader(files, part, options).run(path))
    except OSError as error:
        raise InputError(f"Ali-CCP cannot be read from '{folder}' into '{path}': {reason_of(error)}") from error
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


class _Reader:
    """Reads the files once, into a folder."""

    def __init__(self, files: Mapping[str, File], folder: Path, options: Options) -> None:
        self._files, self._folder, self._options = files, folder, options
        self._accounts = {name: Account(file) for name, file in files.items()}

    def run(self, final: Path) -> None:
        """Write the three files; ``final`` is what the folder will be called."""
        self._folder.mkdir()
        schema = schema_of(self._options.fields)
        # Of whole numbers, differences are about as small as places in a dictionary, and cost half the time to write.
        whole = [column.name for column in schema if pa.types.is_integer(column.type)]
        with (
            pq.ParquetWriter(self._folder / UNREADABLE, ASIDE) as aside,
            pq.ParquetWriter(
                self._folder / IMPRESSIONS,
                schema,
                use_dictionary=[name for name in schema.names if name not in whole],
                column_encoding=dict.fromkeys(whole, "DELTA_BINARY_PACKED"),
                write_statistics=[IMPRESSION_ID],
            ) as out,
        ):
            for split in SPLITS:
                for table in self._join(split, aside):
                    out.write_table(table)
        remove(self._folder / SCRATCH)
        report = report_of(self._accounts, aside=str(final / UNREADABLE))
        (self._folder / REPORT).write_text(json.dumps(report, indent=2))

    def _join(self, split: Split, aside: pq.ParquetWriter) -> Iterator[pa.Table]:
        """Impressions of a split with the features of their common rows."""
        common, skeleton = self._files[COMMON.file(split)], self._files[SKELETON.file(split)]
        parsed = self._chunks(common, lambda chunk: chunk, aside, size=CHUNK_BYTES)
        commons = collect(parsed, scratch=self._folder / SCRATCH / split)
        self._accounts[common.name].counts["repeated_common_row"] = commons.repeated
        options = self._options

        def join_chunk(chunk: Parsed) -> Joined:
            return join(chunk, commons, split=split, fields=options.fields, max_values=options.max_values)

        # A chunk with its lists is to need about as much memory as one without.
        size = max(CHUNK_BYTES // (1 + int(commons.values_a_row) // 16), 1 << 18)
        counts = self._accounts[skeleton.name].counts
        for joined in self._chunks(skeleton, join_chunk, aside, size=size):
            counts["without_common_row"] += joined.without_common_row
            counts["repeated_field"] += joined.overridden
            yield joined.table

    def _chunks(
        self, file: File, then: Callable[[Parsed], Made], aside: pq.ParquetWriter, *, size: int
    ) -> Iterator[Made]:
        """What ``then`` makes of the chunks of a file, in order, by several threads; their lines are counted."""
        fields = self._options.fields

        def read(data: bytes) -> tuple[Parsed, Made]:
            chunk = parse(data, file.layout, single=fields.single, multi=fields.multi)
            return chunk, then(chunk)

        account, workers = self._accounts[file.name], min(cores(), MOST_WORKERS)
        with file.open() as (content, disk):
            progress = Progress(what=f"reading {file.name}", unit="MB", total=file.path.stat().st_size / 1e6)
            for chunk, made in in_order(read, read_chunks(file, content, size=size), workers=workers):
                if unreadable := account.add(chunk):
                    aside.write_table(aside_table(file.name, unreadable))
                    account.check_so_far()
                progress.advance_to(disk.tell() / 1e6, suffix=f"{account.rows:,} rows")
                yield made
        account.check(share=self._options.max_unreadable)
