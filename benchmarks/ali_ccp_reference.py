"""The public Ali-CCP files read row by row in plain Python: the slow side of a ratio, and a reference for tests.

A second, independent reading of the format: a dict for each row, three passes, the standard library and one process.
`read_folder` holds everything in memory and says all that it counted. The command line keeps the rows between its
passes as text and writes the encoded rows as CSV.

    python benchmarks/ali_ccp_reference.py FOLDER OUT --min-count 10
"""

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import md5
from itertools import pairwise
from math import isfinite
from operator import attrgetter
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, TypeVar

# The single-valued fields of the paper.
FIELDS = (
    *("101", "121", "122", "124", "125", "126", "127", "128", "129"),  # of the user, in the common rows
    *("205", "206", "207", "216", "508", "509", "702", "853", "301"),
)
# What is added to a sample id to make the impression id; sample ids have 12 digits at most.
FIRST_ID = {"train": 0, "test": 10**12}
SPLITS = ("train", "valid", "test")
COUNT_ON = {"train": ("train",), "train_and_valid": ("train", "valid")}
COUNTS = (
    *("rows_train", "rows_test", "illegal_train", "illegal_test", "duplicates"),
    *("feature_count_differs", "repeated_common_row", "without_common_row", "repeated_field"),
)

_ENTRY = r"[^\x01-\x03]++\x02-?+[0-9]{1,18}+\x03(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)(?:[eE][-+]?+[0-9]++)?+"
# One match over the whole text is three times as fast as one for each entry.
is_features = re.compile(rf"(?:{_ENTRY}(?:\x01{_ENTRY})*+)?+").fullmatch
is_sample_id = re.compile(r"[0-9]{1,12}").fullmatch
is_feature_count = re.compile(r"[0-9]{1,9}").fullmatch
# An entry of at most so many characters and without an exponent has a value that is finite as a float; 1e999 is not.
SURELY_FINITE = 300

ListEntries = tuple[tuple[int, float], ...]
Vocabulary = dict[str, dict[int, int]]
Parsed = TypeVar("Parsed")


class Unreadable(Exception):
    """A row that cannot be read; the message is the reason it is counted under."""


class Features(NamedTuple):
    """The requested entries of one file row, the later of a single-valued field over the earlier."""

    singles: dict[str, int]
    lists: dict[str, list[tuple[int, float]]]
    overridden: int  # entries
    count_differs: bool


class Skeleton(NamedTuple):
    """One row of a skeleton file."""

    sample_id: int
    labels: tuple[int, int]
    common_index: str
    features: Features


class Joined(NamedTuple):
    """One impression with the values of its requested fields, None where unknown."""

    impression_id: int
    labels: tuple[int, int]  # click, purchase
    values: tuple[int | None, ...]  # [fields]
    lists: tuple[ListEntries, ...]  # [lists], each of any length


class Row(NamedTuple):
    """One encoded impression; 0 is the id of all that the vocabulary does not know."""

    impression_id: int
    labels: tuple[int, int]  # click, purchase
    ids: tuple[int, ...]  # [fields]
    lists: tuple[tuple[int, ...], ...]  # [lists], each of length 1 or more
    weights: tuple[tuple[float, ...], ...]  # like lists


@dataclass
class Reading:
    """The encoded rows of each split, with what was counted on the way."""

    rows: dict[str, list[Row]]  # train, valid, test; each by impression id
    vocabulary: Vocabulary  # field -> value -> id from 1 on
    unreadable: dict[str, dict[str, int]]  # file name -> reason -> rows, only where there are any
    counts: dict[str, int]  # all of COUNTS, summed over the files


class Request:
    """The fields to read, each either single-valued or a list."""

    def __init__(self, fields: Iterable[str] = FIELDS, lists: Iterable[str] = ()) -> None:
        self.fields, self.lists = tuple(fields), tuple(lists)
        self.singles = frozenset(self.fields)  # quicker to ask than the tuple
        if len({*self.fields, *self.lists}) < len(self.fields) + len(self.lists):
            raise ValueError("A field is requested twice.")  # the vocabulary has one place for it


@dataclass
class Tally:
    """What is counted while rows are read."""

    unreadable: dict[str, Counter[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(COUNTS, 0)))

    def read(self, features: Features) -> None:
        """Count one readable row of a file."""
        self.counts["feature_count_differs"] += features.count_differs
        self.counts["repeated_field"] += features.overridden

    def unreadable_rows(self) -> dict[str, dict[str, int]]:
        """File name -> reason -> rows, without zeros."""
        return {name: dict(reasons) for name, reasons in self.unreadable.items() if reasons}


def parse_features(count: str, text: str, request: Request) -> Features:
    """The requested entries of a row; all entries are checked, only the requested are kept."""
    if not is_feature_count(count):
        raise Unreadable("feature_count")
    if not is_features(text):
        raise Unreadable("features")
    entries = text.split("\x01") if text else []
    in_doubt = "e" in text or "E" in text or (len(text) > SURELY_FINITE and max(map(len, entries)) > SURELY_FINITE)
    if in_doubt and not all(isfinite(float(entry.rpartition("\x03")[2])) for entry in entries):
        raise Unreadable("features")
    singles: dict[str, int] = {}
    lists: dict[str, list[tuple[int, float]]] = {}
    found = 0
    for entry in entries:
        name, _, rest = entry.partition("\x02")
        if name in request.singles:
            singles[name] = int(rest.partition("\x03")[0])
            found += 1
        elif name in request.lists:
            value, _, weight = rest.partition("\x03")
            lists.setdefault(name, []).append((int(value), float(weight)))
    return Features(singles, lists, found - len(singles), int(count) != len(entries))


def parse_skeleton(line: str, request: Request) -> Skeleton:
    """One row of a skeleton file."""
    columns = line.split(",")
    if len(columns) != 6:
        raise Unreadable("columns")
    sample_id, click, purchase, index, count, text = columns
    if not is_sample_id(sample_id):
        raise Unreadable("sample_id")
    if click not in ("0", "1") or purchase not in ("0", "1"):
        raise Unreadable("label")
    return Skeleton(int(sample_id), (int(click), int(purchase)), index, parse_features(count, text, request))


def parse_common(line: str, request: Request) -> tuple[str, Features]:
    """One row of a common features file: its index and its entries."""
    columns = line.split(",")
    if len(columns) != 3:
        raise Unreadable("columns")
    index, count, text = columns
    if not index:
        raise Unreadable("common_feature_index")
    return index, parse_features(count, text, request)


def readable(path: Path, parse: Callable[[str, Request], Parsed], request: Request, tally: Tally) -> Iterator[Parsed]:
    r"""The parsed rows of a file in its order. Only \n ends a line; bytes that are no UTF-8 are passed through."""
    unreadable = tally.unreadable.setdefault(path.name, Counter())
    with path.open(encoding="utf-8", errors="surrogateescape", newline="\n") as file:
        for line in file:
            text = line.removesuffix("\n").removesuffix("\r")
            if not text:
                continue
            try:
                row = parse(text, request)
            except Unreadable as reason:
                unreadable[str(reason)] += 1
                continue
            yield row


def read_commons(folder: Path, part: str, request: Request, tally: Tally) -> dict[str, Features]:
    """The last common row of each index."""
    commons: dict[str, Features] = {}
    for index, features in readable(folder / f"common_features_{part}.csv", parse_common, request, tally):
        tally.read(features)
        tally.counts["repeated_common_row"] += index in commons
        commons[index] = features
    return commons


def join(folder: Path, part: str, request: Request, tally: Tally) -> Iterator[Joined]:
    """The impressions of one part (train or test) in file order, each with the fields of its common row."""
    commons = read_commons(folder, part, request, tally)
    nothing = Features({}, {}, 0, False)
    for row in readable(folder / f"sample_skeleton_{part}.csv", parse_skeleton, request, tally):
        tally.counts[f"rows_{part}"] += 1
        tally.read(row.features)
        common = commons.get(row.common_index)
        if common is None:
            tally.counts["without_common_row"] += 1
            common = nothing
        singles = row.features.singles | common.singles
        tally.counts["repeated_field"] += len(row.features.singles) + len(common.singles) - len(singles)
        lists = row.features.lists | common.lists if request.lists else {}
        yield Joined(
            FIRST_ID[part] + row.sample_id,
            row.labels,
            tuple(map(singles.get, request.fields)),
            tuple(tuple(lists.get(name, ())) for name in request.lists),
        )


def usable(rows: Iterable[Joined], part: str, tally: Tally) -> Iterator[Joined]:
    """Rows in the order of their impression ids, without repetitions and then without illegal ones."""
    last: Joined | None = None
    for row in rows:
        if last is not None and row.impression_id == last.impression_id:
            if row != last:
                raise ValueError(f"Two different {part} rows have the sample id {row.impression_id - FIRST_ID[part]}.")
            tally.counts["duplicates"] += 1
            continue
        last = row
        if row.labels == (0, 1):
            tally.counts[f"illegal_{part}"] += 1
            continue
        yield row


def splitter(valid_share: float, seed: int) -> Callable[[int], str]:
    """Says of an impression id to which split the row belongs."""
    limit = f"{round(valid_share * 16**8):08x}"

    def split_of(impression_id: int) -> str:
        if impression_id >= FIRST_ID["test"]:
            return "test"
        return "valid" if md5(f"{seed}:valid:{impression_id}".encode()).hexdigest()[:8] < limit else "train"

    return split_of


def build_vocabulary(rows: Iterable[Joined], request: Request, min_count: int) -> Vocabulary:
    """Ids from 1 on for the values that are frequent enough, the most frequent first."""
    counters = [Counter[int | None]() for _ in request.fields]
    list_counters = [Counter[int | None]() for _ in request.lists]
    for row in rows:
        for counter, value in zip(counters, row.values, strict=True):
            counter[value] += 1
        for counter, entries in zip(list_counters, row.lists, strict=True):
            counter.update(value for value, _ in entries)
    names = (*request.fields, *request.lists)
    both = (*counters, *list_counters)
    return {name: number(counter, min_count) for name, counter in zip(names, both, strict=True)}


def number(counter: Mapping[int | None, int], min_count: int) -> dict[int, int]:
    """Values by descending count, then by their decimal text, numbered from 1 on."""
    kept = [(-count, str(value), value) for value, count in counter.items() if value is not None and count >= min_count]
    return {value: position for position, (_, _, value) in enumerate(sorted(kept), start=1)}


def encode(rows: Iterable[Joined], request: Request, vocabulary: Vocabulary) -> Iterator[Row]:
    """Ids for values, row by row."""
    tables = [dict[int | None, int](vocabulary[name].items()) for name in request.fields]  # None is in none of them
    list_tables = [vocabulary[name] for name in request.lists]
    for row in rows:
        ids = tuple([table.get(value, 0) for table, value in zip(tables, row.values, strict=True)])
        lists, weights = [], []
        for table, entries in zip(list_tables, row.lists, strict=True):
            lists.append(tuple(table.get(value, 0) for value, _ in entries) or (0,))
            weights.append(tuple(weight for _, weight in entries) or (1.0,))
        yield Row(row.impression_id, row.labels, ids, tuple(lists), tuple(weights))


def read_folder(
    folder: Path,
    *,
    fields: Iterable[str] = FIELDS,
    lists: Iterable[str] = (),
    min_count: int = 10,
    count_on: str = "train",
    valid_share: float = 0.1,
    seed: int = 0,
) -> Reading:
    """Read and encode the four files of a folder in memory.

    Args:
        folder: Has sample_skeleton_{train,test}.csv and common_features_{train,test}.csv.
        fields: Single-valued fields, in the order of `Row.ids`.
        lists: Multi-valued fields, in the order of `Row.lists`.
        min_count: Values seen less often get id 0.
        count_on: Where they are counted: "train", or "train_and_valid".
        valid_share: Share of the train rows that becomes the validation split.
        seed: Draws the validation split.
    """
    request, tally = Request(fields, lists), Tally()
    split_of = splitter(valid_share, seed)
    splits: dict[str, list[Joined]] = {name: [] for name in SPLITS}
    for part in FIRST_ID:
        joined = sorted(join(folder, part, request, tally), key=attrgetter("impression_id"))
        for row in usable(joined, part, tally):
            splits[split_of(row.impression_id)].append(row)
    counted = (row for name in COUNT_ON[count_on] for row in splits[name])
    vocabulary = build_vocabulary(counted, request, min_count)
    return Reading(
        rows={name: list(encode(rows, request, vocabulary)) for name, rows in splits.items()},
        vocabulary=vocabulary,
        unreadable=tally.unreadable_rows(),
        counts=dict(tally.counts),
    )


def write_joined(path: Path, rows: Iterable[Joined]) -> None:
    """Write single-valued rows as text in the order of their impression ids."""
    last, in_order = -1, True
    with path.open("w", encoding="ascii") as file:
        for row in rows:
            in_order = in_order and row.impression_id >= last
            last = row.impression_id
            values = ",".join(["" if value is None else str(value) for value in row.values])
            file.write(f"{row.impression_id},{row.labels[0]},{row.labels[1]},{values}\n")
    if not in_order:  # which takes all of it into memory; files in order do not pay for it
        lines = path.read_text(encoding="ascii").splitlines(keepends=True)
        lines.sort(key=lambda line: int(line.partition(",")[0]))
        path.write_text("".join(lines), encoding="ascii")


def read_joined(path: Path) -> Iterator[Joined]:
    """What `write_joined` wrote."""
    with path.open(encoding="ascii") as file:
        for line in file:
            impression_id, click, purchase, *values = line.rstrip("\n").split(",")
            labels = (int(click), int(purchase))
            yield Joined(int(impression_id), labels, tuple([int(value) if value else None for value in values]), ())


def write_encoded(folder: Path, rows: Iterable[Row], split_of: Callable[[int], str]) -> None:
    """Add rows to the CSV file of their split."""
    with ExitStack() as stack:
        files = {name: stack.enter_context((folder / f"{name}.csv").open("a", encoding="ascii")) for name in SPLITS}
        for row in rows:
            ids = ",".join(map(str, row.ids))
            files[split_of(row.impression_id)].write(f"{row.impression_id},{row.labels[0]},{row.labels[1]},{ids}\n")


def peak_memory() -> float:
    """MiB, on Linux; getrusage would say that of the parent process where that had more before it started this one."""
    kibibytes = re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text(encoding="ascii", errors="replace"))
    return int(kibibytes[1]) / 2**10 if kibibytes else float("nan")


def main() -> None:
    """Read, count and encode, one pass each, and print how long they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--min-count", type=int, default=10)
    parser.add_argument("--count-on", choices=tuple(COUNT_ON), default="train")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    request, tally, split_of = Request(), Tally(), splitter(valid_share=0.1, seed=0)
    times = [perf_counter()]
    with tempfile.TemporaryDirectory(dir=arguments.out) as temporary:
        joined = {part: Path(temporary) / f"{part}.csv" for part in FIRST_ID}
        for part, path in joined.items():
            write_joined(path, join(arguments.folder, part, request, tally))
        times.append(perf_counter())

        counted = COUNT_ON[arguments.count_on]
        train = usable(read_joined(joined["train"]), "train", Tally())  # the last pass counts them
        rows = (row for row in train if split_of(row.impression_id) in counted)
        vocabulary = build_vocabulary(rows, request, arguments.min_count)
        times.append(perf_counter())

        for name in SPLITS:
            header = ",".join(("impression_id", "click", "purchase", *request.fields))
            (arguments.out / f"{name}.csv").write_text(f"{header}\n", encoding="ascii")
        for part, path in joined.items():
            encoded = encode(usable(read_joined(path), part, tally), request, vocabulary)
            write_encoded(arguments.out, encoded, split_of)
        times.append(perf_counter())
    for name, (start, end) in zip(("read and join", "count", "encode"), pairwise(times), strict=True):
        print(f"{name:14s} {end - start:8.1f} s")
    print(f"{'in all':14s} {times[-1] - times[0]:8.1f} s")
    print(f"{'peak memory':14s} {peak_memory():8.0f} MiB")
    print({name: count for name, count in tally.counts.items() if count})
    print(tally.unreadable_rows())


if __name__ == "__main__":
    main()
