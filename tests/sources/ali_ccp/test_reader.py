"""Files to impressions: each bad input ends in a sentence or is counted, and nothing half-written counts."""

import gzip
import json
import logging
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tarfile
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.sources.ali_ccp.files import NAMES, features, impression, user, write_folder

from aitm_kedro.core import progress
from aitm_kedro.core.errors import InputError
from aitm_kedro.sources.ali_ccp import (
    SINGLE_VALUED,
    Fields,
    Options,
    account,
    ensure_impressions,
    locate_impressions,
    streams,
)
from aitm_kedro.sources.ali_ccp.layout import REASONS

ENDLESS = """
import sys, time
from pathlib import Path
from aitm_kedro.sources.ali_ccp import Fields, Options, ensure_impressions, reader
join = reader.join
reader.join = lambda *arguments, **options: (time.sleep(60), join(*arguments, **options))[1]
options = Options(fields=Fields(multi=("109_14",), weighted=("109_14",)))
ensure_impressions(Path(sys.argv[1]), Path(sys.argv[2]), options)
"""


def chosen(*, single=SINGLE_VALUED, multi=(), **options):
    return Options(fields=Fields(single=single, multi=multi, weighted=multi), **options)


def read(folder, target, **options):
    return ensure_impressions(folder, target, chosen(**options))


def rows_of(path):
    return pq.read_table(path).to_pylist()


def pack(folder, split, *, members=None, inside=""):
    """Put files of a split into an archive, and remove them."""
    path = folder / f"sample_{split}.tar.gz"
    names = [name for name in NAMES if split in name] if members is None else members
    with tarfile.open(path, "w:gz") as archive:
        for name in names:
            archive.add(folder / name, arcname=inside + name)
    for name in NAMES:
        if split in name:
            (folder / name).unlink(missing_ok=True)
    return path


@pytest.fixture
def folder(tmp_path):
    return write_folder(tmp_path / "files")


@pytest.fixture
def target(tmp_path):
    return tmp_path / "target"


def assert_nothing_is_left(target):
    assert not list(target.iterdir())


def test_impressions_have_the_fields_of_their_users(folder, target):
    rows = rows_of(read(folder, target, single=("101", "121", "205", "853", "301")).impressions)
    assert [tuple(row.values()) for row in rows] == [
        (1, "train", 1, 0, 1, 5, 11, None, 1),
        (2, "train", 0, 0, 2, 6, 12, None, 2),
        (3, "train", 1, 1, 1, 5, 11, None, 2),
        (10**12 + 1, "test", 0, 0, 1, 7, 12, None, 1),
        (10**12 + 2, "test", 1, 0, 1, 7, 13, None, 3),
    ]
    names = ["impression_id", "split", "click", "purchase", "101", "121", "205", "853", "301"]
    assert list(rows[0]) == names


def test_the_common_row_comes_last_and_counts(tmp_path, target):
    folder = write_folder(
        tmp_path / "files",
        common_features_train=[user("u1", "101:1"), user("u1", "101:2", "301:9", "210:7:2", "210:8:0.5"), user("u2")],
        sample_skeleton_train=[
            impression(1, "101:5", "301:1", "210:3"),
            impression(2, "101:6", "301:1", "210:3:4", user="u2"),
            impression(3, "301:1", "301:4", user="nobody", count=7),
        ],
    )
    found = read(folder, target, single=("101", "301"), multi=("210",))
    rows = rows_of(found.impressions)[:3]
    assert [(row["101"], row["301"], row["210"], row["210_weights"]) for row in rows] == [
        (2, 9, [7, 8], [2.0, 0.5]),
        (6, 1, [3], [4.0]),
        (None, 4, [], []),
    ]
    report = json.loads(found.report.read_text())
    assert report["files"]["common_features_train.csv"] == {"rows": 3, "unreadable": {}, "repeated_common_row": 1}
    assert report["files"]["sample_skeleton_train.csv"] == {
        "rows": 3,
        "unreadable": {},
        "without_common_row": 1,
        "repeated_field": 3,
        "feature_count_differs": 1,
    }
    assert report["repeated_field"] == 3
    assert report["rows"] == {"train": 3, "test": 2}


def test_the_heaviest_values_are_kept_in_their_order(tmp_path, target):
    lines = [user("u1", "109_14:5:1", "109_14:6:3", "109_14:7:0.5", "109_14:8:3"), user("u2", "109_14:9:1")]
    folder = write_folder(tmp_path / "files", common_features_train=lines)
    rows = rows_of(read(folder, target, single=(), multi=("109_14",), max_values=2).impressions)
    assert [row["109_14"] for row in rows] == [[6, 8], [9], [6, 8], [], []]
    assert [row["109_14_weights"] for row in rows] == [[3.0, 3.0], [1.0], [3.0, 3.0], [], []]


@pytest.mark.parametrize("name", NAMES)
def test_each_missing_file_is_named(folder, target, name):
    (folder / name).unlink()
    split = "train" if "train" in name else "test"
    with pytest.raises(InputError, match=rf"has no {name} \(or sample_{split}.tar.gz\). Download .* ali_ccp.folder"):
        read(folder, target)
    assert not target.exists()


def test_a_missing_folder_ends_in_a_sentence(tmp_path, target):
    with pytest.raises(InputError, match=r"nowhere' has no common_features_train.csv .*, no sample_skeleton_train"):
        read(tmp_path / "nowhere", target)
    with pytest.raises(InputError, match="Download Ali-CCP from https://tianchi"):
        locate_impressions(tmp_path / "nowhere", target, Options())


@pytest.mark.parametrize("packed", [("train", "test"), ("train",), ("test",)])
@pytest.mark.parametrize("first", ["common_features", "sample_skeleton"])
def test_archives_and_files_say_the_same(folder, target, packed, first):
    plain = rows_of(read(folder, target / "plain").impressions)
    for split in packed:
        members = sorted((name for name in NAMES if split in name), key=lambda name: not name.startswith(first))
        pack(folder, split, members=members, inside="./data/")
    found = read(folder, target / "packed")
    assert rows_of(found.impressions) == plain
    assert json.loads(found.report.read_text())["rows"] == {"train": 3, "test": 2}


def test_an_archive_beside_one_plain_file_stands_in_for_the_other(folder, target):
    skeleton = (folder / "sample_skeleton_train.csv").read_bytes()
    pack(folder, "train")
    (folder / "sample_skeleton_train.csv").write_bytes(skeleton.replace(b"205\x0211", b"205\x0299"))
    rows = rows_of(read(folder, target).impressions)
    assert [row["205"] for row in rows[:3]] == [99, 12, 99]
    assert [row["101"] for row in rows[:3]] == [1, 2, 1]


def test_an_archive_as_the_generator_packs_it_is_read(tmp_path, target, generator):
    counts = generator.write_files(tmp_path / "files", rows=300, test_rows=200, common_rows=20, list_values=3)
    plain = pq.read_table(read(tmp_path / "files", target).impressions)
    for split in counts:
        generator.pack(tmp_path / "files", split)
    assert pq.read_table(read(tmp_path / "files", target).impressions).equals(plain)
    assert plain.num_rows == 500


@pytest.mark.parametrize("missing", ["common_features_train.csv", "sample_skeleton_train.csv"])
def test_an_archive_without_a_file_says_what_it_holds(folder, target, missing):
    other = next(name for name in NAMES if "train" in name and name != missing)
    pack(folder, "train", members=[other])
    with pytest.raises(InputError, match=rf"sample_train.tar.gz' does not hold {missing}, but \['{other}'\]"):
        read(folder, target)
    assert_nothing_is_left(target)


def test_an_archive_of_nothing_says_so(folder, target):
    pack(folder, "test", members=[])
    with pytest.raises(InputError, match=r"sample_test.tar.gz' does not hold common_features_test.csv, but nothing"):
        read(folder, target)


def noise(rows=400):
    """Lines that no archive makes small."""
    draw = random.Random(0)
    return [impression(number, f"205:{draw.randrange(10**9)}", f"301:{draw.randrange(9)}") for number in range(rows)]


@pytest.mark.parametrize("left", [0, 1, 15, 100, 0.3, 0.8, -300, -9, -1])
def test_an_archive_cut_short_is_to_be_downloaded_again(tmp_path, target, left):
    folder = write_folder(tmp_path / "files", sample_skeleton_train=noise())
    path = pack(folder, "train")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(left * len(whole)) if isinstance(left, float) else left])
    with pytest.raises(InputError, match=r"sample_train.tar.gz' is cut short or damaged; download it again \(.+\)"):
        read(folder, target, max_unreadable=0.9)
    assert_nothing_is_left(target)


@pytest.mark.parametrize("first", ["common_features", "sample_skeleton"])
def test_a_damaged_archive_is_found_out(tmp_path, target, first):
    """Wherever the damage is, and although most of the lines could still be read: archives have a checksum."""
    folder = write_folder(tmp_path / "files", sample_skeleton_train=noise())
    members = sorted((name for name in NAMES if "train" in name), key=lambda name: not name.startswith(first))
    path = pack(folder, "train", members=members)
    whole, draw = path.read_bytes(), random.Random(0)
    for _ in range(30):
        damaged = bytearray(whole)
        damaged[draw.randrange(40, len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(InputError, match="download it again"):
            read(folder, target, max_unreadable=0.9)
    assert_nothing_is_left(target)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_damaged_archive_is_found_out_beside_a_plain_skeleton(folder, target, split):
    """The common features alone are read from it, and all of them can be; its checksum is far behind them."""
    skeleton = folder / f"sample_skeleton_{split}.csv"
    plain = skeleton.read_bytes()
    skeleton.write_bytes(plain * 30_000)
    path = pack(folder, split)
    skeleton.write_bytes(plain)
    whole = path.read_bytes()
    for place in range(-8, 0):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=rf"sample_{split}.tar.gz' is cut short or damaged; download it again"):
            read(folder, target)
        assert_nothing_is_left(target)
    path.write_bytes(whole)
    assert len(rows_of(read(folder, target).impressions)) == 5


@pytest.mark.parametrize("content", [b"no archive at all" * 100, gzip.compress(b"no archive inside" * 100), b""])
def test_what_is_no_archive_ends_in_a_sentence(folder, target, content):
    pack(folder, "train").write_bytes(content)
    with pytest.raises(InputError, match=r"sample_train.tar.gz' is cut short or damaged; download it again"):
        read(folder, target)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", [b"", b"\n\r\n\n"])
def test_an_empty_file_is_to_be_downloaded_again(folder, target, name, content):
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"{name}' is empty; download it again"):
        read(folder, target)
    assert_nothing_is_left(target)


def test_an_empty_file_in_an_archive_is_named_with_it(folder, target):
    (folder / "common_features_test.csv").write_bytes(b"\n")
    pack(folder, "test")
    with pytest.raises(InputError, match=r"'common_features_test.csv' in '.*sample_test.tar.gz' is empty"):
        read(folder, target)


@pytest.mark.parametrize("name", NAMES)
def test_too_many_unreadable_lines_stop_the_run(folder, target, name):
    good = (folder / name).read_bytes()
    (folder / name).write_bytes(good + b"\n\nx,y\r\n9,0,7,u1,0,\n" + b"a,1,101\x0217\x03nan\n")
    lines = good.count(b"\n")
    reasons = (
        "another number of columns: 2, a label that is neither 0 nor 1: 1"
        if "skeleton" in name
        else f"another number of columns: 2, {REASONS['features']}: 1"
    )
    with pytest.raises(InputError) as stopped:
        read(folder, target, max_unreadable=0.25)
    sentence = str(stopped.value)
    assert sentence.startswith(f"3 of {lines + 3} lines of '{folder / name}' cannot be read ({reasons}), more than 2")
    assert "), more than 25.0000%. " in sentence
    assert f"The first is line {lines + 3}: x,y. Mend the file, download it again, or allow more" in sentence
    assert sentence.endswith("parameter ali_ccp.max_unreadable")
    assert_nothing_is_left(target)


def test_separators_of_a_bad_line_are_visible(tmp_path, target):
    bad = b"1,0,0,u1,2,205\x0217\x031.0\x01301\x02x\x03\xff\\"
    folder = write_folder(tmp_path / "files", sample_skeleton_test=[bad])
    with pytest.raises(InputError) as stopped:
        read(folder, target)
    assert r"line 1: 1,0,0,u1,2,205\x0217\x031.0\x01301\x02x\x03\xff\\. Mend" in str(stopped.value)


def test_a_share_that_is_allowed_is_allowed(tmp_path, target):
    lines = [impression(1), impression(2), impression(3), b"x"]
    folder = write_folder(tmp_path / "files", sample_skeleton_train=lines)
    report = json.loads(read(folder, target, max_unreadable=0.25).report.read_text())
    assert report["unreadable_lines"] == 1
    with pytest.raises(InputError, match="1 of 4 lines"):
        read(folder, target, max_unreadable=0.2499)


def test_a_hopeless_file_is_given_up_early(tmp_path, target, monkeypatch, read_in):
    monkeypatch.setattr(account, "PATIENCE", 20)
    read_in(500)
    folder = write_folder(tmp_path / "files", sample_skeleton_train=[b"x,y"] * 100_000)
    with pytest.raises(InputError, match=r"most of the first (\d+) lines .* columns: \1\)\. The first is") as stopped:
        read(folder, target)
    assert int(str(stopped.value).split()[4]) < 1000
    assert_nothing_is_left(target)


def test_unreadable_lines_in_one_place_do_not_stop_a_file_with_few_of_them(tmp_path, target, monkeypatch, read_in):
    monkeypatch.setattr(account, "PATIENCE", 20)
    read_in(2000)
    lines = [impression(number, "205:1") for number in range(1, 4001)]
    folder = write_folder(tmp_path / "files", sample_skeleton_train=[*lines[:60], *[b"x,y"] * 40, *lines[60:]])
    report = json.loads(read(folder, target, max_unreadable=0.01).report.read_text())
    assert report["unreadable_lines"] == 40
    with pytest.raises(InputError, match=r"40 of 4040 lines of .* more than 0.9000%"):
        read(folder, target, max_unreadable=0.009)


def test_unreadable_lines_are_kept_with_file_number_reason_and_text(tmp_path, target, read_in):
    read_in(200)
    common, skeleton, expected = [], [], []
    for number in range(1, 400):
        common.append(user(f"u{number}", f"101:{number}"))
        skeleton.append(impression(number, "205:1", user=f"u{number}") + b"\r" * (number % 3 == 0))
        if number % 50 == 0:
            common += [b""] * 300 + [b"x,\x01"]
            expected.append(("common_features_train.csv", len(common), REASONS["columns"], "x,\\x01"))
        if number % 70 == 0:
            skeleton += [b"", b"\r", b"7,3,0,a,0,\r", b""]
            expected.append(("sample_skeleton_train.csv", len(skeleton) - 1, REASONS["label"], "7,3,0,a,0,"))
    folder = write_folder(
        tmp_path / "files",
        common_features_train=b"\n".join([*common, b"a,b,c"]),
        sample_skeleton_train=b"\n" * 999 + b"\n".join(skeleton),
    )
    expected.append(("common_features_train.csv", len(common) + 1, REASONS["feature_count"], "a,b,c"))
    expected = [
        (name, line + 999 * name.startswith("sample"), *rest)
        for name, line, *rest in sorted(expected, key=lambda found: NAMES.index(found[0]))
    ]
    found = read(folder, target, max_unreadable=0.1)
    assert [tuple(row.values()) for row in rows_of(found.unreadable)] == expected
    assert rows_of(found.unreadable)[0].keys() == {"file", "line", "reason", "text"}
    report = json.loads(found.report.read_text())
    assert report["unreadable_lines"] == len(expected)
    assert report["files"]["sample_skeleton_train.csv"]["unreadable"] == {REASONS["label"]: 5}
    assert report["files"]["common_features_train.csv"] == {
        "rows": 399,
        "unreadable": {REASONS["columns"]: 7, REASONS["feature_count"]: 1},
    }
    assert [row["101"] for row in rows_of(found.impressions)[:399]] == list(range(1, 400))


def test_without_unreadable_lines_the_file_is_there_and_empty(folder, target):
    table = pq.read_table(read(folder, target).unreadable)
    assert table.num_rows == 0
    assert table.schema.names == ["file", "line", "reason", "text"]
    assert table.schema.field("line").type == pa.int64()


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_one_giant_line_ends_in_a_sentence(folder, target, name, read_in):
    read_in(1000)
    (folder / name).write_bytes(b"1,0,0,u1,1," + features("205:1") * 20_000)
    with pytest.raises(InputError, match=r"^1 of 1 lines of .* The first is line 1: .{200}\. Mend"):
        read(folder, target)
    assert_nothing_is_left(target)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("before", [b"", b"1,0\n"])
def test_a_line_longer_than_any_of_the_download_ends_in_a_sentence(folder, target, name, before, read_in, monkeypatch):
    """Long before it has filled the memory."""
    monkeypatch.setattr(streams, "LONGEST_LINE", 2 << 20)
    read_in(100_000)
    (folder / name).write_bytes(before + b"1" * (3 << 20) + b"\n")
    with pytest.raises(InputError, match=rf"{name}' has a line of more than 2 MiB, so .* ends are lost; download it"):
        read(folder, target, max_unreadable=0.99)
    assert_nothing_is_left(target)


def test_a_file_of_carriage_returns_alone_is_one_line(folder, target, read_in, monkeypatch):
    monkeypatch.setattr(streams, "LONGEST_LINE", 1 << 20)
    read_in(100_000)
    (folder / "sample_skeleton_train.csv").write_bytes((impression(1, "205:1") + b"\r") * 80_000)
    with pytest.raises(InputError, match=r"sample_skeleton_train.csv' has a line of more than 1 MiB"):
        read(folder, target)


def test_a_line_may_be_longer_than_a_chunk(tmp_path, target, read_in):
    read_in(1000)
    entries = [f"109_14:{number}" for number in range(20_000)]
    folder = write_folder(tmp_path / "files", common_features_train=[user("u0"), user("u1", *entries), user("u2")])
    rows = rows_of(read(folder, target, multi=("109_14",)).impressions)
    assert rows[0]["109_14"] == list(range(20_000))
    assert rows[1]["109_14"] == []


def test_a_full_disk_ends_in_a_sentence_and_leaves_nothing(tmp_path, target, generator):
    generator.write_files(tmp_path / "files", rows=5000, test_rows=10, common_rows=500, list_values=20)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for multi in ((), ("109_14",)):  # the values of lists wait on the disk as well
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))  # Python ignores SIGXFSZ: the write fails
        try:
            with pytest.raises(InputError, match=r"cannot be read from '.*' into '.*read-\w+': File too large"):
                read(tmp_path / "files", target, multi=multi)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert_nothing_is_left(target)


def test_a_target_that_is_a_file_ends_in_a_sentence(folder, target):
    target.write_text("")
    with pytest.raises(InputError, match=r"Ali-CCP cannot be read from '.*' into '.*': (File exists|Not a directory)"):
        read(folder, target)


def test_what_a_killed_run_leaves_is_removed(folder, target):
    expected = rows_of(read(folder, target / "undisturbed", multi=("109_14",)).impressions)
    command = [sys.executable, "-c", ENDLESS, str(folder), str(target)]
    with subprocess.Popen(command) as process:
        deadline = time.monotonic() + 60
        while not list(target.glob(".*.part/impressions.parquet")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        os.kill(process.pid, signal.SIGKILL)
    assert list(target.glob(".*.part"))
    assert not locate_impressions(folder, target, chosen(multi=("109_14",))).impressions.exists()
    assert rows_of(read(folder, target, multi=("109_14",)).impressions) == expected
    assert not list(target.glob(".*.part"))


def test_only_the_three_files_are_left(folder, target):
    found = read(folder, target, multi=("109_14", "210"))
    assert {path.name for path in found.impressions.parent.iterdir()} == {path.name for path in found}
    assert {path.name for path in target.iterdir()} == {found.impressions.parent.name}
    assert found == locate_impressions(folder, target, chosen(multi=("109_14", "210")))


def test_lists_without_weights_store_none(folder, target):
    fields = Fields(single=(), multi=("109_14", "210"), weighted=("210",))
    found = pq.read_schema(ensure_impressions(folder, target, Options(fields=fields)).impressions)
    assert found.names == ["impression_id", "split", "click", "purchase", "109_14", "210", "210_weights"]
    bare = Fields(single=(), multi=("109_14", "210"))
    assert not locate_impressions(folder, target, Options(fields=bare)).impressions.exists()


def test_without_the_impressions_the_files_are_read_again(folder, target):
    """Somebody may delete the large file, and leave the folder with the small ones."""
    found = read(folder, target)
    expected, report = rows_of(found.impressions), found.report.read_text()
    found.impressions.unlink()
    assert read(folder, target) == found
    assert rows_of(found.impressions) == expected
    assert found.report.read_text() == report
    assert {path.name for path in target.iterdir()} == {found.impressions.parent.name}


def test_the_report_says_where_the_unreadable_lines_are(tmp_path, target):
    folder = write_folder(tmp_path / "files", sample_skeleton_test=[impression(1), b"x"])
    found = read(folder, target, max_unreadable=0.5)
    assert json.loads(found.report.read_text())["unreadable_lines_in"] == str(found.unreadable)
    assert found.unreadable.is_file()


def test_progress_and_the_account_are_told(folder, target, caplog, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN", 0)
    pack(folder, "test")
    with caplog.at_level(logging.INFO, logger="aitm_kedro"):
        read(folder, target)
    assert "reading sample_skeleton_train.csv: 0 of 0 MB (100%)" in caplog.text
    assert re.search("reading sample_skeleton_test.csv: .* MB/s, 2 rows", caplog.text)
    assert "Read {'source': 'Ali-CCP', 'rows': {'train': 3, 'test': 2}, 'unreadable_lines': 0, " in caplog.text
