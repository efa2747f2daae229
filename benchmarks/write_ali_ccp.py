r"""Files in the layout of the public Ali-CCP data set, of any size, with invented content.

    python benchmarks/write_ali_ccp.py OUT --rows 1_000_000 --test-rows 1_000_000 --common-rows 60_000

For benchmarks of the reader, and for trying the project without the download. Each split has two headerless files:
`common_features_{split}.csv` (common_feature_index, number of features, features), one line a user, and
`sample_skeleton_{split}.csv` (sample id, click, purchase, common_feature_index, number of features, features), one
line an impression. Features are entries `field \x02 id \x03 value` joined by `\x01`. As in the download, the rows of
one user stand together in train, which is sorted by common_feature_index; test is in random order, half of its users
also stand in train, and a few rows in each split are illegal (a purchase without a click).

Labels follow a logit with an effect for each value of the small and middle fields and one interaction, so that a model
can learn. About 3.9 % of impressions are clicked, as in the download. About 3 % of clicks lead to a purchase, several
times the share in the download, so that small files hold enough purchases to train on. The rates are those of the
population that users are drawn from: files with few users stray from them.

The same seed gives the same bytes, archives included, with the same version of numpy on the same kind of processor.
"""

import argparse
import gzip
import resource
import tarfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]  # [rows, width]: text in columns of fixed width, where NUL stands for no character
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


class Field(NamedTuple):
    """A field with at most one value in a row, or up to `most`."""

    name: str
    size: int
    presence: float
    most: int = 1


SPLITS = ("train", "test")
USER_ID, USER_ID_PRESENCE, FIRST_USER = "101", 0.99, 5_000_000
USER_FIELDS = tuple(
    Field(name, size, 0.97)
    for name, size in zip(
        ("121", "122", "124", "125", "126", "127", "128", "129"), (98, 14, 3, 8, 4, 4, 3, 5), strict=True
    )
)
LIST_FIELDS = tuple(Field(name, 90_000, 1.0) for name in ("109_14", "110_14", "127_14", "150_14"))
# The last one is in every row: its separator becomes the end of the line.
ITEM_FIELDS = (
    Field("205", 500_000, 1.0),
    Field("206", 7_000, 1.0),
    Field("207", 260_000, 1.0),
    Field("210", 90_000, 0.6, most=5),
    Field("216", 106_000, 0.95),
    Field("508", 6_000, 0.7),
    Field("509", 105_000, 0.3),
    Field("702", 52_000, 0.4),
    Field("853", 37_000, 0.6),
    Field("301", 3, 1.0),
)
# Ids have seven digits (those of users do up to five million of them), and no two fields share one, so that a reader
# that mixes up fields is found out.
FIRST_USER_VALUE, FIRST_LIST_VALUE, FIRST_ITEM_VALUE = 1_000_000, 1_100_000, 2_000_000
MOST_LIST_VALUES = 1000

CLICK_RATE, PURCHASE_RATE, ILLEGAL_RATE, LEAST_ILLEGAL = 0.039, 0.03, 1e-5, 3
EFFECT, OWN_PURCHASE_EFFECT, SHARED_EFFECT, INTERACTION, FACTORS = 0.3, 0.25, 0.5, 0.5, 4
LARGEST_WITH_EFFECT = 60_000  # values of larger fields are too rare for a model to learn one by one
PILOT_ROWS = 200_000

# Numpy takes texts of 8 or 16 bytes fastest.
TEXT_WIDTH, VALUE_WIDTH = 16, 8
ENTRY_WIDTH = TEXT_WIDTH + VALUE_WIDTH
# Chunks that stay in the processor's cache are twice as fast as large ones.
CHUNK_ROWS, CHUNK_ENTRIES = 20_000, 50_000


class Counts(NamedTuple):
    """What a skeleton file holds."""

    rows: int
    clicks: int
    purchases: int
    illegal: int


class Vocabulary:
    """The text of every value of some fields, one after the other; index 0 is no value, and no text."""

    def __init__(self, fields: Sequence[Field], first_id: int, value: bytes) -> None:
        self.fields = fields
        self.sizes = np.array([field.size for field in fields])
        self.starts = 1 + np.cumsum(self.sizes) - self.sizes
        ids = digits(np.arange(first_id, first_id + self.sizes.sum()), 7)
        texts = np.zeros((1 + len(ids), TEXT_WIDTH), np.uint8)
        for field, start in zip(fields, self.starts, strict=True):
            values = slice(start, start + field.size)
            text = side_by_side(field.name.encode() + b"\x02", ids[start - 1 : start - 1 + field.size], b"\x03" + value)
            texts[values, : text.shape[1]] = text
        self.texts = texts.view(f"S{TEXT_WIDTH}").ravel()

    def render(self, index: Ints) -> Bytes:
        """The text of each row of an index [rows, entries]."""
        return np.take(self.texts, index).view(np.uint8).reshape(len(index), -1)

    def effects(self, random: np.random.Generator) -> Floats:
        """Effects on the logits of click and purchase [values, 2], zero for values of large fields."""
        effects = np.zeros((len(self.texts), 2))
        for field, start in zip(self.fields, self.starts, strict=True):
            if field.size <= LARGEST_WITH_EFFECT:
                click = random.normal(0, EFFECT, field.size)
                own = random.normal(0, OWN_PURCHASE_EFFECT, field.size)
                effects[start : start + field.size] = np.column_stack((click, SHARED_EFFECT * click + own))
        return effects


class Population:
    """Users and items as they are drawn, and how they decide: the same in both splits."""

    def __init__(self, random: np.random.Generator) -> None:
        self.users = Vocabulary(USER_FIELDS, FIRST_USER_VALUE, b"1.0\x01")
        self.items = Vocabulary(ITEM_FIELDS, FIRST_ITEM_VALUE, b"1.0\x01")
        self.user_effects, self.item_effects = self.users.effects(random), self.items.effects(random)
        # Field 121 of the user and 206 of the item: each has factors, and their product is the interaction.
        scale = (INTERACTION / FACTORS**0.5) ** 0.5
        self.user_factors = random.normal(0, scale, (1 + USER_FIELDS[0].size, FACTORS))
        self.user_factors[0] = 0
        self.item_factors = random.normal(0, scale, (ITEM_FIELDS[1].size, FACTORS))

        # Columns of an index of items: as many for a field as it can have values.
        field_of = np.repeat(np.arange(len(ITEM_FIELDS)), [field.most for field in ITEM_FIELDS])
        self.columns = [np.flatnonzero(field_of == position) for position in range(len(ITEM_FIELDS))]
        self.with_effect = np.flatnonzero(self.items.sizes[field_of] <= LARGEST_WITH_EFFECT)

        users, items = self.draw_users(random, PILOT_ROWS), self.draw_items(random, PILOT_ROWS)
        self.intercepts = np.zeros(2)
        logits = self.logits(self.user_logits(users), users[:, 0], items)
        click = intercept(logits[:, 0], CLICK_RATE, np.ones(PILOT_ROWS))
        purchase = intercept(logits[:, 1], PURCHASE_RATE, sigmoid(logits[:, 0] + click))
        self.intercepts = np.array([click, purchase])

    def draw_users(self, random: np.random.Generator, rows: int) -> Ints:
        """Index of the single-valued fields of users, without their id."""
        shape = (rows, len(USER_FIELDS))
        values = self.users.starts + ranks(random.random(shape), self.users.sizes)
        return np.where(random.random(shape) < [field.presence for field in USER_FIELDS], values, 0)

    def draw_items(self, random: np.random.Generator, rows: int) -> Ints:
        """Index of the fields of impressions."""
        index = np.zeros((rows, sum(field.most for field in ITEM_FIELDS)), np.int64)
        for field, start, columns in zip(ITEM_FIELDS, self.items.starts, self.columns, strict=True):
            present = random.random(rows) < field.presence
            if field.most == 1:
                index[:, columns[0]] = np.where(present, start + ranks(random.random(rows), field.size), 0)
            else:
                lengths = random.integers(1, field.most + 1, rows) * present
                values = np.zeros((rows, field.most), np.int64)
                values[np.arange(field.most) < lengths[:, None]] = (
                    start + distinct_ranks(random, lengths, field.size)[1]
                )
                index[:, columns] = values
        return index

    def user_logits(self, users: Ints) -> Floats:
        """What users add to the logits [users, 2]."""
        logits: Floats = self.user_effects[users].sum(1)
        return logits

    def logits(self, user_logits: Floats, first_field: Ints, items: Ints) -> Floats:
        """Logits of click, and of purchase after a click [rows, 2]; all arguments row by row."""
        effects = np.take(self.item_effects, items[:, self.with_effect], axis=0).sum(1)
        item_factors = np.take(self.item_factors, items[:, 1] - self.items.starts[1], axis=0)
        interaction = (np.take(self.user_factors, first_field, axis=0) * item_factors).sum(1)
        logits: Floats = self.intercepts + user_logits + effects + interaction[:, None] * [1, SHARED_EFFECT]
        return logits


class Lists:
    """The multi-valued fields of users: logarithms of how often something was done, as in the download."""

    def __init__(self, mean: int) -> None:
        self.mean = mean
        self.vocabulary = Vocabulary(LIST_FIELDS, FIRST_LIST_VALUE, b"")
        texts = [f"{logarithm:.5f}".rstrip("0").encode() for logarithm in np.log(np.arange(2, 502))]
        self.values = np.array([text.ljust(VALUE_WIDTH - 1, b"\0") + b"\x01" for text in texts])

    def draw(self, random: np.random.Generator, rows: int) -> tuple[Ints, Bytes]:
        """The number of entries of each row, and the text of all, where each row ends its line."""
        lengths = random.integers(1, 2 * self.mean, (rows, len(LIST_FIELDS)))
        lists, values = distinct_ranks(random, lengths.ravel(), LIST_FIELDS[0].size)
        index = self.vocabulary.starts[lists % len(LIST_FIELDS)] + values
        logarithms = np.take(self.values, ranks(random.random(len(index)), len(self.values)))
        text = side_by_side(self.vocabulary.render(index[:, None]), logarithms.view(np.uint8).reshape(-1, VALUE_WIDTH))
        entries = lengths.sum(1)
        text[np.cumsum(entries) - 1, -1] = ord("\n")
        return entries, text


def ranks(uniform: Floats, sizes: Ints | int) -> Ints:
    """Zipf-like values 0 .. size - 1: the share of a value falls with 1 / (rank + head).

    The head keeps the first values of a large field from being in every other row.
    """
    head = 1 + np.asarray(sizes) / 1000
    values = head * (np.exp(uniform * np.log1p(sizes / head)) - 1)
    whole: Ints = np.minimum(values.astype(np.int64), np.asarray(sizes) - 1)
    return whole


def distinct_ranks(random: np.random.Generator, lengths: Ints, size: int) -> tuple[Ints, Ints]:
    """For lists of these lengths, the list of each entry, and its value: none stands in a list twice."""
    lists = np.repeat(np.arange(len(lengths)), lengths)
    places = np.arange(len(lists)) - (np.cumsum(lengths) - lengths)[lists]
    # One value from each n-th of the distribution: ascending without a sort, and equal ones are neighbours.
    values = ranks((places + random.random(len(lists))) / lengths[lists], size)
    # Where one is not above its neighbour, it moves up. The distance between lists lets one running maximum serve all.
    apart = 2 * size * lists - places
    return lists, np.maximum.accumulate(values + apart) - apart


def intercept(logits: Floats, rate: float, weights: Floats) -> float:
    """What to add to logits so that their weighted mean probability is `rate`, by bisection."""
    low, high = -20.0, 20.0
    for _ in range(40):
        middle = (low + high) / 2
        if np.average(sigmoid(logits + middle), weights=weights) < rate:
            low = middle
        else:
            high = middle
    return middle


def sigmoid(logits: Floats) -> Floats:
    """Probabilities."""
    return 1 / (1 + np.exp(-logits))


def digits(numbers: Ints, width: int) -> Bytes:
    """Numbers above zero in decimals, right-aligned."""
    text = np.zeros((width, len(numbers)), np.uint8)
    for position in reversed(range(width)):
        rest = numbers // 10
        text[position] = np.where(numbers > 0, numbers - 10 * rest + ord("0"), 0)
        numbers = rest
    return text.T


def side_by_side(*parts: Bytes | bytes) -> Bytes:
    """Texts side by side; bytes are the same in every row."""
    rows = next(len(part) for part in parts if not isinstance(part, bytes))
    return np.concatenate(
        [
            np.broadcast_to(np.frombuffer(part, np.uint8), (rows, len(part))) if isinstance(part, bytes) else part
            for part in parts
        ],
        axis=1,
    )


def packed(text: Bytes) -> bytes:
    """The text without its gaps."""
    return text.tobytes().translate(None, b"\0")


def mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Numbers that look random and are as distinct as those given (the last steps of splitmix64)."""
    numbers = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    numbers = (numbers ^ (numbers >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return numbers ^ (numbers >> np.uint64(31))


def hexadecimal(numbers: NDArray[np.uint64]) -> Bytes:
    """Sixteen characters each."""
    octets = numbers.astype(">u8").view(np.uint8).reshape(-1, 8)
    nibbles = np.stack((octets >> 4, octets & 15), axis=2).reshape(-1, 16)
    return np.frombuffer(b"0123456789abcdef", np.uint8)[nibbles]


def chunks(rows: int, size: int) -> Iterator[tuple[int, int]]:
    """First row and end of each chunk."""
    for start in range(0, rows, size):
        yield start, min(start + size, rows)


def write_files(
    folder: Path,
    *,
    rows: int,
    test_rows: int,
    common_rows: int,
    test_common_rows: int | None = None,
    list_values: int = 30,
    seed: int = 0,
) -> dict[str, Counts]:
    """Write the four files, and say what the skeletons hold.

    Args:
        folder: Made if it is not there; files of these names in it are replaced.
        rows: Impressions in train.
        test_rows: Impressions in test.
        common_rows: Users in train.
        test_common_rows: Users in test; as many as in train if not given.
        list_values: Mean number of entries in each of the four multi-valued fields of a user.
        seed: Of everything random.
    """
    users_in_test = common_rows if test_common_rows is None else test_common_rows
    if min(rows, test_rows, common_rows, users_in_test) < 1:
        raise ValueError("Each split needs at least one impression and one user.")
    if not 1 <= list_values <= MOST_LIST_VALUES:
        raise ValueError(f"list_values must be 1 to {MOST_LIST_VALUES}, not {list_values}.")
    folder.mkdir(parents=True, exist_ok=True)
    shared, *own = (np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(1 + len(SPLITS)))
    population, lists = Population(shared), Lists(list_values)
    first_key = shared.integers(2**64, dtype=np.uint64)
    known = min(users_in_test // 2, common_rows)
    users = {
        "train": np.arange(common_rows),
        "test": np.concatenate((np.arange(known), np.arange(common_rows, common_rows + users_in_test - known))),
    }
    counts = {}
    for position, (split, random, rows_here) in enumerate(zip(SPLITS, own, (rows, test_rows), strict=True)):
        number = len(users[split])
        codes = mixed(first_key + np.arange(position * common_rows, position * common_rows + number, dtype=np.uint64))
        keys, profiles = hexadecimal(codes), population.draw_users(random, number)
        # Some users see far more than others. The owner of each impression takes four bytes, for all of them at once.
        owners = np.repeat(
            np.argsort(codes).astype(np.int32),
            random.multinomial(rows_here, random.dirichlet(np.ones(number))),
        )
        if split == "test":
            random.shuffle(owners)
        write_common_features(
            folder / common_name(split),
            ids=FIRST_USER + random.permutation(users[split]),
            keys=keys,
            profiles=profiles,
            population=population,
            lists=lists,
            random=random,
        )
        counts[split] = write_skeleton(
            folder / skeleton_name(split),
            owners=owners,
            keys=keys,
            profiles=profiles,
            population=population,
            random=random,
        )
    return counts


def write_common_features(
    path: Path,
    *,
    ids: Ints,
    keys: Bytes,
    profiles: Ints,
    population: Population,
    lists: Lists,
    random: np.random.Generator,
) -> None:
    """One line a user."""
    with path.open("wb") as file:
        for start, end in chunks(len(ids), max(1, CHUNK_ENTRIES // (len(LIST_FIELDS) * lists.mean))):
            profile, has_id = profiles[start:end], random.random(end - start) < USER_ID_PRESENCE
            entries, tail = lists.draw(random, end - start)
            user = side_by_side(USER_ID.encode() + b"\x02", digits(ids[start:end], 9), b"\x031.0\x01") * has_id[:, None]
            number = has_id + (profile > 0).sum(1) + entries
            head = side_by_side(keys[start:end], b",", digits(number, 5), b",", user, population.users.render(profile))
            # Lines differ in length. With the head cut into pieces as long as an entry, all text is pieces in order.
            pieces = -(-head.shape[1] // ENTRY_WIDTH)
            head = side_by_side(head, bytes(pieces * ENTRY_WIDTH - head.shape[1]))
            lengths = np.column_stack((np.full(end - start, pieces), entries))
            is_head = np.repeat(np.tile([True, False], end - start), lengths.ravel())
            text = np.empty(len(is_head), f"S{ENTRY_WIDTH}")
            text[is_head], text[~is_head] = (part.view(text.dtype).ravel() for part in (head, tail))
            file.write(packed(text.view(np.uint8)))


def write_skeleton(
    path: Path,
    *,
    owners: NDArray[np.int32],
    keys: Bytes,
    profiles: Ints,
    population: Population,
    random: np.random.Generator,
) -> Counts:
    """One line an impression; `owners` says whose."""
    rows = len(owners)
    user_logits = population.user_logits(profiles)
    illegal = random.choice(rows, min(rows, max(LEAST_ILLEGAL, round(ILLEGAL_RATE * rows))), replace=False)
    clicks = purchases = 0
    with path.open("wb") as file:
        for start, end in chunks(rows, CHUNK_ROWS):
            owner, items = owners[start:end], population.draw_items(random, end - start)
            logits = population.logits(np.take(user_logits, owner, axis=0), profiles[owner, 0], items)
            labels = random.random(logits.shape) < sigmoid(logits)
            labels[:, 1] &= labels[:, 0]
            labels[illegal[(illegal >= start) & (illegal < end)] - start] = False, True
            clicks, purchases = clicks + int(labels[:, 0].sum()), purchases + int(labels[:, 1].sum())
            click, purchase = labels[:, :1] + np.uint8(ord("0")), labels[:, 1:] + np.uint8(ord("0"))
            features = population.items.render(items)
            features[:, -1] = ord("\n")
            text = side_by_side(
                *(digits(np.arange(start + 1, end + 1), 10), b",", click, b",", purchase, b","),
                *(np.take(keys, owner, axis=0), b",", digits((items > 0).sum(1), 2), b",", features),
            )
            file.write(packed(text))
    return Counts(rows, clicks, purchases, len(illegal))


def common_name(split: str) -> str:
    """File of the users of a split."""
    return f"common_features_{split}.csv"


def skeleton_name(split: str) -> str:
    """File of the impressions of a split."""
    return f"sample_skeleton_{split}.csv"


def pack(folder: Path, split: str) -> Path:
    """Put the two files of a split into an archive named as in the download, and remove them."""

    def without_origin(member: tarfile.TarInfo) -> tarfile.TarInfo:
        return member.replace(mtime=0, mode=0o644, uid=0, gid=0, uname="", gname="", deep=False)

    path = folder / f"sample_{split}.tar.gz"
    files = [folder / common_name(split), folder / skeleton_name(split)]
    with (
        path.open("wb") as raw,
        # The lowest level: packing takes far longer than writing as it is.
        gzip.GzipFile(filename="", mode="wb", compresslevel=1, fileobj=raw, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w") as archive,
    ):
        for file in files:
            archive.add(file, arcname=file.name, filter=without_origin)
    for file in files:
        file.unlink()
    return path


def main() -> None:
    """Write files in the layout of the Ali-CCP data set, and print what they hold and what that took."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, metavar="OUT")
    parser.add_argument("--rows", type=int, default=1_000_000, help="impressions in train")
    parser.add_argument("--test-rows", type=int, default=1_000_000)
    parser.add_argument("--common-rows", type=int, default=60_000, help="users in train")
    parser.add_argument("--test-common-rows", type=int, default=None, help="default: as many as in train")
    parser.add_argument("--list-values", type=int, default=30, help="mean entries in each multi-valued user field")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--archives", action="store_true", help="pack each split into one .tar.gz, as in the download")
    options = vars(parser.parse_args())
    folder, archives = options.pop("folder"), options.pop("archives")
    start = time.perf_counter()
    try:
        counts = write_files(folder, **options)
    except ValueError as error:
        parser.error(str(error))
    seconds = time.perf_counter() - start
    size = sum((folder / name(split)).stat().st_size for split in SPLITS for name in (common_name, skeleton_name))
    for split, count in counts.items():
        print(
            f"{split}: {count.rows:,} impressions, {count.clicks:,} clicks, {count.purchases:,} purchases "
            f"({count.illegal} of them illegal)"
        )
    rows, peak = sum(count.rows for count in counts.values()), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{size / 1e6:,.0f} MB in {seconds:.1f} s ({rows / seconds:,.0f} rows/s, {size / seconds / 1e6:,.0f} MB/s), "
        f"peak memory {peak:,.0f} MiB"
    )
    if archives:
        for split in SPLITS:
            path = pack(folder, split)
            print(f"{path}: {path.stat().st_size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
