"""Files of Ali-CCP by hand, and all that may be wrong with them."""

import random

from aitm_kedro.sources.ali_ccp.layout import COMMON, SINGLE_VALUED, SKELETON, SPLITS

NAMES = tuple(layout.file(split) for split in SPLITS for layout in (COMMON, SKELETON))

BAD_COLUMNS = {
    "sample_id": (b"", b"1.0", b"-3", b" 7", b"x7", b"0x1f", b"1234567890123", b"\xef\xbb\xbf7"),
    "label": (b"2", b"", b"0.0", b"yes", b"01", b" 1", b"-1"),
    "feature_count": (b"", b"x", b"-1", b"1.0", b"1234567890"),
}
"""Values that cannot be read, by the reason why."""

BAD_ENTRIES = (
    b"20517\x031.0", b"205\x03" b"17\x021.0", b"205\x0217", b"205\x0217\x021.0", b"205\x0217\x031.0\x031.0", b"205",
    b"", b"\x0217\x031.0", b"\x02\x03", b"205\x021.5\x031.0", b"205\x020x1f\x031.0", b"205\x02\x031.0",
    b"205\x02 17\x031.0", b"205\x02+17\x031.0", b"205\x021e3\x031.0", b"205\x021234567890123456789\x031.0",
    b"205\x020000000000000000017\x031.0", b"205\x0217\x03nan", b"205\x0217\x03-1.0", b"205\x0217\x03",
    b"205\x0217\x03inf", b"205\x0217\x031e999", b"205\x0217\x03.", b"205\x0217\x031.2.3", b"205\x0217\x03 1",
    b"205\x0217\x03+1", b"205\x0217\x031_0", b"205\x0217\x031e", b"205\x0217\x030x1p3", b"109_14\x025\x032\x01",
    b"\x01109_14\x025\x032",
)  # fmt: skip
"""Entries that spoil a feature text, and separators that do."""

ODD_ENTRIES = (
    b"205\x02-17\x031.0", b"205\x02-0017\x031.0", b"205\x020017\x031.0", b"205\x0217\x031e5", b"210\x0217\x031E+2",
    b"210\x025\x03.5", b"210\x025\x033.", b"109_14\x025\x030", b"109_14\x026\x0300.25", b"109_14\x026\x031e-50",
    b"109_14\x027\x03" + 40 * b"0" + b"1", b"109_14\x02999999999999999999\x031", b"999\x021\x031.0",
    b"na me\x021\x031.0", b"2\t05\x021\x031.0", b"\x00\xff\x021\x031.0", b"\xef\xbb\xbf205\x021\x031.0",
    b'"205"\x021\x031.0',
)  # fmt: skip
"""Entries that look strange, and can be read."""


def features(*entries):
    """A feature text; an entry is a field and an id, and may have a value: ``205:17`` or ``210:5:0.5``."""
    parts = [(*entry.split(":"), "1.0")[:3] for entry in entries]
    return b"\x01".join(f"{field}\x02{value}\x03{weight}".encode() for field, value, weight in parts)


def impression(number, *entries, labels="0,0", user="u1", count=None):
    """A line of a skeleton."""
    said = len(entries) if count is None else count
    return f"{number},{labels},{user},{said},".encode() + features(*entries)


def user(index, *entries, count=None):
    """A line of a file of common features."""
    return f"{index},{len(entries) if count is None else count},".encode() + features(*entries)


def write_folder(folder, **lines):
    """Two users, three impressions to train and two to test on; other lines (or bytes) by the name of their file."""
    content = {
        "common_features_train": [user("u1", "101:1", "121:5"), user("u2", "101:2", "121:6")],
        "sample_skeleton_train": [
            impression(1, "205:11", "301:1", labels="1,0"),
            impression(2, "205:12", "301:2", user="u2"),
            impression(3, "205:11", "301:2", labels="1,1"),
        ],
        "common_features_test": [user("u1", "101:1", "121:7")],
        "sample_skeleton_test": [impression(1, "205:12", "301:1"), impression(2, "205:13", "301:3", labels="1,0")],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, own in (content | lines).items():
        data = own if isinstance(own, bytes) else b"".join(line + b"\n" for line in own)
        (folder / f"{name}.csv").write_bytes(data)
    return folder


def spoil(folder, seed=0):
    """Put into written files all that may be met in any: what cannot be read, and what is strange and can."""
    for name in NAMES:
        draw, path = random.Random(f"{seed}{name}"), folder / name
        lines = path.read_bytes().splitlines()
        strange = _strange_impressions if "skeleton" in name else _strange_users
        lines = strange([line.split(b",") for line in lines], draw)
        for bad in unreadable_lines(lines, draw):
            lines.insert(draw.randrange(len(lines)), bad)
        for place in draw.sample(range(len(lines)), 12):
            lines[place : place + 1] = draw.choice([[lines[place], b""], [b"", lines[place], b"\r", b""]])
        ends = [b"\r\n" if "test" in name or draw.random() < 0.05 else b"\n" for _ in lines]
        data = b"".join(line + end for line, end in zip(lines, ends, strict=True))
        path.write_bytes(data.rstrip(b"\r\n") + (b"" if name == NAMES[1] else b"\r" if name == NAMES[3] else b"\r\n\n"))
    return folder


def unreadable_lines(lines, draw):
    """Lines like these that cannot be read, at least one of every kind."""
    columns = draw.choice(lines).count(b",") + 1
    places = {"sample_id": [0], "label": [1, 2], "feature_count": [-2]} if columns == 6 else {"feature_count": [-2]}
    for reason, where in places.items():
        for value in BAD_COLUMNS[reason]:
            for place in where:
                yield _changed(draw.choice(lines), place, value)
    for entry in BAD_ENTRIES:
        own = draw.choice(lines).rpartition(b",")[2]
        yield _changed(draw.choice(lines), -1, draw.choice([own + b"\x01" + entry, entry + b"\x01" + own]))
    if columns == 3:
        yield _changed(draw.choice(lines), 0, b"")
    line = draw.choice(lines)
    yield from (line + b",", b"," + line, line.replace(b",", b";"), line.partition(b",")[2], b",", b" ", b"  ", b"\t")
    yield from (line.replace(b",", b",,", 1), line + b"," + line, b"\x00", b'"', b"\xef\xbb\xbf")


def _changed(line, place, value):
    columns = line.split(b",")
    columns[place] = value
    return b",".join(columns)


def _strange_impressions(rows, draw):
    strange = {
        1: [(b"1", b"1"), (b"1", b"1"), (b"1", b"0"), (b"0", b"1")] * 4,  # labels
        3: [(b"nobody",), (b"",), (b"\xff\xfe",), (b"a b",), (b'"',)],  # users
        4: [(b"0",), (b"007",), (b"99",), (b"0", b""), (b"0", b"")],  # numbers of features, and no features
    }
    for place, choices in strange.items():
        for row in draw.sample(rows, 50 + 10 * len(choices)):
            values = draw.choice(choices)
            row[place : place + len(values)] = values
    for row in draw.sample(rows, 60):
        row[0] = b"00" + row[0]
    _add(draw.sample(rows, 400), ODD_ENTRIES, draw)
    # Of each field a value that is frequent; some stand in the common row too, or twice in this one.
    frequent = [f"{field}\x02{value}\x031".encode() for field in SINGLE_VALUED for value in (7, 77)]
    _add(draw.sample(rows, 1200), frequent, draw)
    lists = [b"109_14\x0277\x032.5\x01109_14\x0278\x030.5", b"210\x0279\x031\x01210\x0279\x032"]
    _add(draw.sample(rows, 60), lists, draw)
    lines = [b",".join(row) for row in rows]
    for line in draw.sample(lines, 80):
        lines.insert(draw.randrange(len(lines)), line)
    return lines


def _strange_users(rows, draw):
    _add(draw.sample(rows, 30), ODD_ENTRIES, draw)
    singles = [b"101\x025\x031", b"121\x021000001\x031", b"301\x022\x031", b"205\x0277\x031"]
    _add(draw.sample(rows, 30), singles, draw)
    _add(draw.sample(rows, 30), [b"210\x0279\x031.5\x01210\x0280\x030"], draw)
    for row in draw.sample(rows, 10):
        row[1:] = b"0", b""
    for row in draw.sample(rows, 10):
        row[1] = b"12345"
    lines = [b",".join(row) for row in rows]
    for row, other in zip(draw.sample(rows, 20), draw.sample(rows, 20), strict=True):
        lines.insert(draw.randrange(len(lines)), b",".join([row[0], *other[1:]]))
    return lines


def _add(rows, entries, draw):
    """Give every row one of the entries more, before or after its own; the number of features stays as it was."""
    for row in rows:
        entry = draw.choice(entries)
        row[-1] = b"\x01".join(draw.sample([row[-1], entry], 2)) if row[-1] else entry
