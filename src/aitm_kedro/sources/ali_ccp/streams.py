"""Opens the four files of Ali-CCP as streams of whole lines, plain or inside the archives as downloaded."""

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from aitm_kedro.core.errors import InputError
from aitm_kedro.sources.ali_ccp.layout import COMMON, SKELETON, SPLITS, Layout, Split

LONGEST_LINE = 64 << 20
"""Bytes; lines of the download have less than 100,000."""

ORIGIN = "https://tianchi.aliyun.com/dataset/408"


@dataclass(frozen=True, kw_only=True)
class File:
    """One of the four files.

    Attributes:
        layout: of its lines.
        split: train or test.
        path: the file, or the archive that holds it.
        in_archive: which of both.
        is_last: whether no other file is read from the archive afterwards: its checksum, at the very end, is looked at.
    """

    layout: Layout
    split: Split
    path: Path
    in_archive: bool
    is_last: bool = False

    @property
    def name(self) -> str:
        """Name of the file, such as sample_skeleton_train.csv."""
        return self.layout.file(self.split)

    @property
    def place(self) -> str:
        """Where it is, in words."""
        return f"'{self.name}' in '{self.path}'" if self.in_archive else f"'{self.path}'"

    @property
    def identity(self) -> tuple[str, int, int]:
        """What changes when the file does."""
        found = self.path.stat()
        return self.path.name, found.st_size, found.st_mtime_ns

    @contextmanager
    def open(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """The content, and the stream from the disk below it, which tells how far reading is.

        Raises:
            InputError: the archive does not hold the file, or is cut short or damaged.
        """
        with self.path.open("rb") as disk:
            if not self.in_archive:
                yield disk, disk
                return
            with gzip.open(disk) as unpacked, ExitStack() as stack:
                with self._damage_in_words():
                    archive = stack.enter_context(tarfile.open(fileobj=unpacked, mode="r|", bufsize=1 << 20))
                    content = self._member(archive)
                yield content, disk
                if self.is_last:
                    with self._damage_in_words():
                        while unpacked.read(1 << 20):
                            pass

    def read(self, content: IO[bytes], size: int) -> bytes:
        """The next bytes of the content.

        Raises:
            InputError: the archive is cut short or damaged.
        """
        with self._damage_in_words():
            return content.read(size)

    @contextmanager
    def _damage_in_words(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, tarfile.TarError, gzip.BadGzipFile, zlib.error) as error:
            raise InputError(
                f"the archive '{self.path}' is cut short or damaged; download it again ({error})"
            ) from error

    def _member(self, archive: tarfile.TarFile) -> IO[bytes]:
        seen = []
        for member in archive:
            seen.append(member.name)
            if member.isfile() and PurePosixPath(member.name).name == self.name:
                content = archive.extractfile(member)
                assert content is not None  # of a regular file
                return content
        raise InputError(f"the archive '{self.path}' does not hold {self.name}, but {seen or 'nothing'}")


def find_files(folder: Path) -> dict[str, File]:
    """The four files by name.

    Raises:
        InputError: the folder or a file is missing.
    """
    found, missing = {}, []
    for split in SPLITS:
        archives = sorted(folder.glob(f"*{split}*.tar.gz")) + sorted(folder.glob(f"*{split}*.tgz"))
        for layout in (COMMON, SKELETON):
            name = layout.file(split)
            if (folder / name).exists():
                found[name] = File(layout=layout, split=split, path=folder / name, in_archive=False)
            elif archives:
                is_last = layout is SKELETON or (folder / SKELETON.file(split)).exists()
                found[name] = File(layout=layout, split=split, path=archives[0], in_archive=True, is_last=is_last)
            else:
                missing.append(f"{name} (or sample_{split}.tar.gz)")
    if missing:
        raise InputError(
            f"'{folder}' has no {', no '.join(missing)}. Download Ali-CCP from {ORIGIN}, put the archives or the files "
            "there, or say where they are: parameter ali_ccp.folder"
        )
    return found


def read_chunks(file: File, content: IO[bytes], *, size: int) -> Iterator[bytes]:
    """Whole lines, about ``size`` bytes at a time; the last line of the file may lack its end.

    Raises:
        InputError: the file is empty, or its archive is cut short or damaged.
    """
    parts: list[bytes] = []
    empty = True
    while block := file.read(content, size):
        end = block.rfind(b"\n") + 1
        if not end:  # the middle of a line that is longer than a block
            parts.append(block)
            if sum(map(len, parts)) > LONGEST_LINE:
                raise InputError(
                    f"{file.place} has a line of more than {LONGEST_LINE >> 20} MiB, so that it is no file of Ali-CCP, "
                    "or its line ends are lost; download it again"
                )
            continue
        chunk = b"".join([*parts, block[:end]])
        parts = [block[end:]]
        empty = empty and chunk.isspace()
        yield chunk  # blank or not: lines are numbered
    if rest := b"".join(parts):
        empty = empty and rest.isspace()
        yield rest
    if empty:
        raise InputError(f"{file.place} is empty; download it again")
