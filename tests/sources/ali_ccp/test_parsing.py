"""Lines to columns: quickly where all are as usual, with care where one is not, and the same both ways."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.sources.ali_ccp.files import BAD_COLUMNS, BAD_ENTRIES, ODD_ENTRIES, features, impression, user

from aitm_kedro.sources.ali_ccp import parsing
from aitm_kedro.sources.ali_ccp.layout import COMMON, REASONS, SKELETON
from aitm_kedro.sources.ali_ccp.parsing import parse

SINGLE, MULTI = ("205", "301", "101"), ("210", "109_14")

usual_entries = st.builds(
    lambda field, number, value: f"{field}\x02{number}\x03{value}".encode(),
    st.sampled_from(["205", "301", "210", "109_14", "999"]),
    st.integers(0, 99),
    st.sampled_from(["1.0", "2", "0.25", "12"]),
)
pieces = st.lists(
    st.sampled_from(
        [b"205", b"7", b"1.5", b"\x01", b"\x02", b"\x03", b"-", b"e", b".", b"0", b" ", b"_", b"nan", b"\xff"]
    )
)
odd_entries = st.sampled_from(ODD_ENTRIES) | st.sampled_from(BAD_ENTRIES) | pieces.map(b"".join)


def lines(entries, values):
    """Lines of a skeleton, most of them as they must be."""
    return st.builds(
        lambda columns, parts: b",".join([*columns, b"%d" % len(parts), b"\x01".join(parts)]),
        st.tuples(*(values | st.just(value) for value in (b"1", b"0", b"1", b"a9"))),
        st.lists(entries, max_size=5),
    )


usual_lines = lines(usual_entries, st.nothing())
odd_lines = lines(
    usual_entries | odd_entries, st.just(b"7") | st.sampled_from([b"", b"x", b"\xef\xbb\xbf", b"2", b"\t"])
)
any_lines = st.lists(
    usual_lines | odd_lines | st.sampled_from([b"", b" ", b"x", b",", b",,,,,", b"\xef\xbb\xbf"]), max_size=6
)


def careful(data, layout, **fields):
    """``parse`` that looks at every line."""
    read = parsing._read_lines

    def doubt(data, layout, *, trusted):
        if not trusted:
            raise parsing._Doubt
        return read(data, layout, trusted=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "_read_lines", doubt)
        return parse(data, layout, **fields)


def plain(parsed):
    """Everything that was read, in plain Python."""
    return {
        "columns": {name: column.to_pylist() for name, column in parsed.columns.items()},
        "single": {name: np.where(one.known, one.ids, -1).tolist() for name, one in parsed.single.items()},
        "multi": {
            name: (many.offsets.tolist(), many.values.tolist(), many.weights.tolist())
            for name, many in parsed.multi.items()
        },
        "rest": replace(parsed, columns={}, single={}, multi={}),
    }


@settings(max_examples=400, deadline=None)
@given(
    st.lists(usual_lines, min_size=1, max_size=4) | any_lines,
    st.sampled_from([b"\n", b"\r\n", b"\n\n", b"\r\r\n", b"\r"]),
)
def test_the_quick_way_and_the_careful_way_agree(written, end):
    data = end.join(written) + end
    fields = {"single": SINGLE, "multi": MULTI}
    assert plain(parse(data, SKELETON, **fields)) == plain(careful(data, SKELETON, **fields))


@settings(max_examples=400, deadline=None)
@given(written=any_lines)
def test_lines_are_read_as_the_reference_reads_them(written, reference):
    parsed = parse(b"\n".join(written), SKELETON, single=SINGLE, multi=MULTI)
    request, rows, unreadable = reference.Request(SINGLE, MULTI), [], []
    for number, line in enumerate(written, start=1):
        if line:
            try:
                rows.append(reference.parse_skeleton(line.decode(errors="surrogateescape"), request))
            except reference.Unreadable as reason:
                unreadable.append((number, str(reason), line))
    assert parsed.unreadable == unreadable
    assert parsed.rows == len(rows)
    assert parsed.columns["common_feature_index"].to_pylist() == [
        row.common_index.encode(errors="surrogateescape") for row in rows
    ]
    for name, (ids, known) in parsed.single.items():
        found = [number if is_known else None for number, is_known in zip(ids.tolist(), known, strict=True)]
        assert found == [row.features.singles.get(name) for row in rows]
    for name, lists in parsed.multi.items():
        ends = lists.offsets.tolist()
        for row, start, end in zip(rows, ends[:-1], ends[1:], strict=True):
            expected = row.features.lists.get(name, [])
            assert lists.values[start:end].tolist() == [number for number, _ in expected]
            assert lists.weights[start:end].tolist() == [np.float32(weight) for _, weight in expected]
    assert parsed.repeated_field == sum(row.features.overridden for row in rows)
    assert parsed.feature_count_differs == sum(row.features.count_differs for row in rows)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        *((line, "columns") for line in (b"", b"1,0,0,a,0", b"1,0,0,a,0,,", b"1;0;0;a;0;")),
        *((value + b",0,0,a,0,", "sample_id") for value in BAD_COLUMNS["sample_id"]),
        *((b"1," + value + b",0,a,0,", "label") for value in BAD_COLUMNS["label"]),
        *((b"1,1," + value + b",a,0,", "label") for value in BAD_COLUMNS["label"]),
        *((b"1,0,0,a," + value + b",", "feature_count") for value in BAD_COLUMNS["feature_count"]),
        *((b"1,0,0,a,1," + entry, "features") for entry in BAD_ENTRIES if entry),
        *((b"1,0,0,a,2,205\x0217\x031\x01" + entry, "features") for entry in BAD_ENTRIES),
        (b"1,0,0,a\rb,0,", "common_feature_index"),
        (b"1,0,0,a,1,2\r05\x0217\x031", "features"),
        (b"1,0,0,a,1,205\x0217\x033.41e38", "features"),
        *((b"1,0,0,a,1," + entry, None) for entry in ODD_ENTRIES),
        (b"1,0,0,,0,", None),
        (b"999999999999,1,1,\xff,007,205\x0217\x031", None),
    ],
)
def test_every_complaint_about_an_impression(line, reason):
    assert SKELETON.complaint(line) == reason
    fields = {"single": SINGLE, "multi": MULTI}
    if line:
        parsed = parse(line + b"\n", SKELETON, **fields)
        assert [found.reason for found in parsed.unreadable] == [reason][: parsed.rows == 0]
        assert plain(parsed) == plain(careful(line + b"\n", SKELETON, **fields))
    assert reason is None or reason in REASONS


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a,0", "columns"),
        (b"a,0,,", "columns"),
        (b",0,", "common_feature_index"),
        (b"a\r,0,", "common_feature_index"),
        *((b"a," + value + b",", "feature_count") for value in BAD_COLUMNS["feature_count"]),
        *((b"a,1,101\x0217\x031\x01" + entry, "features") for entry in BAD_ENTRIES),
        *((b"a,1," + entry, None) for entry in ODD_ENTRIES),
        (b" ,0,", None),
    ],
)
def test_every_complaint_about_a_user(line, reason):
    assert COMMON.complaint(line) == reason


def test_the_first_wrong_column_is_the_reason():
    assert SKELETON.complaint(b"x,2,0,a,y,z") == "sample_id"
    assert SKELETON.complaint(b"1,2,0,a,y,z") == "label"
    assert SKELETON.complaint(b"1,0,0,a,y,z") == "feature_count"


def test_a_long_text_with_a_mistake_at_its_end_is_refused_at_once():
    line = b"a,9,%s\x01" % features(*["109_14:1:12"] * 50_000)
    start = time.monotonic()
    assert COMMON.complaint(line) == "features"
    assert time.monotonic() - start < 5


def test_ids_and_weights_are_read_and_the_last_of_several_values_counts():
    data = impression(7, "205:1", "210:5:0.5", "301:3", "205:2", "210:6:2", "205:9") + b"\n" + impression(8) + b"\n"
    parsed = parse(data, SKELETON, single=SINGLE, multi=MULTI)
    assert {name: (one.ids.tolist(), one.known.tolist()) for name, one in parsed.single.items()} == {
        "205": ([9, 0], [True, False]),
        "301": ([3, 0], [True, False]),
    }
    lists = parsed.multi["210"]
    assert (lists.offsets.tolist(), lists.values.tolist(), lists.weights.tolist()) == ([0, 2, 2], [5, 6], [0.5, 2.0])
    assert set(parsed.multi) == {"210"}
    assert parsed.repeated_field == 2
    assert parsed.feature_count_differs == 0


def test_fields_that_nobody_wants_are_left_out():
    parsed = parse(user("u1", "101:1", "121:2", count=5) + b"\n", COMMON, single=(), multi=())
    assert (parsed.single, parsed.multi, parsed.rows, parsed.feature_count_differs) == ({}, {}, 1, 1)


@pytest.mark.parametrize("data", [b"\n", b"\r\n\n", b"x\n", b"\n \n\n"])
def test_a_chunk_without_a_line_that_can_be_read_has_no_rows(data):
    parsed = parse(data, SKELETON, single=SINGLE, multi=MULTI)
    assert (parsed.rows, parsed.lines) == (0, data.count(b"\n"))
    assert len(parsed.unreadable) == (0 if data.strip(b"\r\n") == b"" else 1)
    assert parsing.as_int(parsed.columns["sample_id"]).tolist() == []


def test_unreadable_lines_have_their_number_and_their_text():
    data = b"\r\n" + impression(1) + b"\r\n\nx,y\r\n\n" + impression(2) + b"\n" + impression(3, labels="0,5")
    parsed = parse(data, SKELETON, single=SINGLE, multi=MULTI)
    assert parsed.unreadable == [(4, "columns", b"x,y"), (7, "label", impression(3, labels="0,5"))]
    assert (parsed.rows, parsed.lines) == (2, 7)
