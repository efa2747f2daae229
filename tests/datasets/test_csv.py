"""CSV as people have it: dialects, compressed, many files; what cannot be read ends in one sentence."""

import bz2
import gzip
import io
import logging
import zipfile
from pathlib import Path

import pyarrow as pa
import pytest
from kedro.io import DatasetError

from aitm_kedro.datasets import Table

CONNECTION = {"backend": "duckdb", "database": ":memory:"}
MANY = "1,2\n" * 30_000
"""More rows than DuckDB looks at when it guesses."""


@pytest.fixture
def load(tmp_path: Path):
    def load_csv(content, name="log.csv", **load_args):
        for file, data in (content if isinstance(content, dict) else {name: content}).items():
            path = tmp_path / file
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data if isinstance(data, bytes) else data.encode())
        dataset = Table(
            filepath=str(tmp_path / name), file_format="csv", connection=CONNECTION, load_args=load_args or None
        )
        return dataset.load().to_pyarrow()

    return load_csv


def zstd(text: str) -> bytes:
    buffer = pa.BufferOutputStream()
    with pa.CompressedOutputStream(buffer, "zstd") as stream:
        stream.write(text.encode())
    return buffer.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("content", "load_args", "rows"),
    [
        ("a;b\n1;2,5\n", {"decimal_separator": ","}, [{"a": 1, "b": 2.5}]),
        ("a;b\n1;2.000,5\n", {"decimal_separator": ",", "thousands": "."}, [{"a": 1, "b": 2000.5}]),
        ("a~b\n1~x,y\n", {"delim": "~"}, [{"a": 1, "b": "x,y"}]),
        ("a\tb\n1\tx y\n", {}, [{"a": 1, "b": "x y"}]),
        ("a,b\n1,'x,y'\n", {"quote": "'"}, [{"a": 1, "b": "x,y"}]),
        ('a,b\n1,"x ""y"""\n', {}, [{"a": 1, "b": 'x "y"'}]),
        ('a,b\n1,"x\n2,y\n', {"quote": ""}, [{"a": 1, "b": '"x'}, {"a": 2, "b": "y"}]),
        ("a,b\n1,Zürich\n".encode("latin-1"), {"encoding": "latin-1"}, [{"a": 1, "b": "Zürich"}]),
        ("a,b\n1,Zürich\n".encode("utf-16"), {"encoding": "utf-16"}, [{"a": 1, "b": "Zürich"}]),
        ("\ufeffa,b\n1,2\n", {}, [{"a": 1, "b": 2}]),
        ("1,x\n2,y\n", {"header": False, "names": ["a", "b"]}, [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]),
        ("a,b\n1,NA\n-,2\n", {"nullstr": ["NA", "-"]}, [{"a": 1, "b": None}, {"a": None, "b": 2}]),
        ("a,b\n1,\n,2\n", {}, [{"a": 1, "b": None}, {"a": None, "b": 2}]),
        ("# of 2026\na,b\n1,2\n# the end\n", {"comment": "#"}, [{"a": 1, "b": 2}]),
        ("made by hand\n\na,b\n1,2\n", {"skip": 2}, [{"a": 1, "b": 2}]),
        ("a,b\n1\n2,3\n", {"delim": ",", "null_padding": True}, [{"a": 1, "b": None}, {"a": 2, "b": 3}]),
        ("a,b\n1,2,3\n2,3\n", {"delim": ",", "ignore_errors": True}, [{"a": 2, "b": 3}]),
        ("id\n007\n010\n", {}, [{"id": "007"}, {"id": "010"}]),
        ("id\n007\n010\n", {"types": {"id": "BIGINT"}}, [{"id": 7}, {"id": 10}]),
        ("id,b\n7,1\n10,2\n", {"types": {"id": "VARCHAR"}}, [{"id": "7", "b": 1}, {"id": "10", "b": 2}]),
        ("a,b\r\n1,2\r\n", {}, [{"a": 1, "b": 2}]),
    ],
)
def test_a_dialect_is_found_or_given(load, content, load_args, rows):
    assert load(content, **load_args).to_pylist() == rows


@pytest.mark.parametrize(
    ("late", "kind"),
    [("x,1", "string"), ("1.5,1", "double"), ("007,1", "string"), (",1", "int64"), ('"x,y",1', "string")],
)
def test_types_are_those_of_all_rows(load, late, kind):
    table = load(f"a,b\n{MANY}{late}\n")
    assert str(table.schema.field("a").type) == kind
    assert table.num_rows == 30_001


def test_dates_are_read_as_the_last_row_shows_them(load):
    days = load("day\n" + "03/08/2026\n" * 30_000 + "30/08/2026\n")["day"].to_pylist()
    assert {str(day) for day in days} == {"2026-08-03", "2026-08-30"}


@pytest.mark.parametrize(
    "days",
    [
        ("01/02/2026", "03/04/2026"),
        ("01.02.2026", "03.04.2026"),
        ("01-02-2026 10:00:00", "03-04-2026 10:00:00"),
        ("26-01-31", "26-02-01"),
        ("01/02/26", "31/01/26"),
        ("01/02/26 10:00", "03/04/26 10:00"),
    ],
    ids=str,
)
def test_days_that_may_be_months_and_years_of_two_digits_stay_text(load, days):
    """DuckDB takes the first format that fits: 01/02/26 would be the 26th of February 2001."""
    assert load("day\n" + "\n".join(days) + "\n")["day"].to_pylist() == list(days)
    several = {"parts/1.csv": f"day\n{days[0]}\n", "parts/2.csv": f"day\n{days[1]}\n"}
    assert load(several, "parts")["day"].to_pylist() == list(days)


def test_a_later_file_does_not_bring_in_a_guess(load):
    files = {"parts/1.csv": "a,day\n1,\n", "parts/2.csv": "a,day\n2,01/02/2026\n"}
    assert load(files, "parts")["day"].to_pylist() == [None, "01/02/2026"]
    files["parts/3.csv"] = "a,day\n3,13/01/2026\n"
    days = ["None", "2026-02-01", "2026-01-13"]
    assert [str(day) for day in load(files, "parts")["day"]] == days  # which the last one shows
    files["parts/3.csv"] = "a,day\n3,01/13/2026\n"
    assert load(files, "parts")["day"].to_pylist() == [None, "01/02/2026", "01/13/2026"]
    files |= {"parts/2.csv": "a,day\n2,2026-02-01\n", "parts/3.csv": "a,day\n3,2026-01-13\n"}
    assert [str(day) for day in load(files, "parts")["day"]] == days


def test_a_format_by_option_is_no_guess(load):
    assert str(load("day\n01/02/2026\n", dateformat="%m/%d/%Y")["day"][0]) == "2026-01-02"


def test_whole_numbers_beyond_64_bits_are_kept_digit_by_digit(load):
    """As floating-point numbers, two hashes that differ in their last digits would be one user."""
    table = load("user,x\n17446744073709551615,0.5\n17446744073709551614,1e300\n5,2\n")
    assert table["user"].to_pylist() == ["17446744073709551615", "17446744073709551614", "5"]
    assert str(table.schema.field("x").type) == "double"


@pytest.mark.parametrize(
    ("values", "read"),
    [("yes no", ["yes", "no"]), ("T F", ["T", "F"]), ("true False", [True, False])],
)
def test_truth_values_are_those_that_other_readers_take_for_such(load, values, read):
    """A category "yes" of a CSV file is the same one as in a row of a service."""
    assert load("a\n" + values.replace(" ", "\n") + "\n")["a"].to_pylist() == read


def test_types_from_a_sample_end_in_a_sentence_where_they_are_wrong(load):
    with pytest.raises(DatasetError, match=r"log.csv', line 30002 \(x,1\), cannot be read as csv: .*column \"a\""):
        load(f"a,b\n{MANY}x,1\n", sample_size=100)


@pytest.mark.parametrize(
    ("name", "pack"),
    [("log.csv.gz", lambda text: gzip.compress(text.encode())), ("log.csv.zst", zstd)],
)
def test_compressed_files_are_read_and_cut_ones_are_not(load, name, pack):
    text = "a,b\n" + "".join(f"{n},{n * 7919 % 10007}\n" for n in range(200_000))
    packed = pack(text)
    assert load(packed, name).num_rows == 200_000
    with pytest.raises(DatasetError, match=f"{name}' is cut short or damaged: it cannot be unpacked"):
        load(packed[: len(packed) // 2], name, ignore_errors=True)
    with pytest.raises(DatasetError, match="not compressed: take"):
        load(text, name)


def test_a_compressed_file_of_another_name_needs_the_option(load):
    packed = gzip.compress(b"a,b\n1,2\n")
    with pytest.raises(
        DatasetError, match=r"compressed with gzip; let its name end in \.gz, or set 'compression: gzip'"
    ):
        load(packed)
    assert load(packed, compression="gzip").num_rows == 1


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("log.csv", "a,b\n1,2\n")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("log.csv.bz2", bz2.compress(b"a,b\n1,2\n"), "is bzip2, which cannot be read as csv; unpack it with bunzip2"),
        ("log.csv.zip", zipped(), "is a ZIP archive or an Excel file"),
        ("log.csv", b"PAR1" + bytes(40), "is Parquet.*set 'file_format: parquet'"),
        ("log.csv", "", r"is empty \(0 bytes\)"),
        ("log.csv", "a,b\n", r"has column names \(a, b\) but no rows"),
        ("log.csv", "a,b\n1,Zürich\n".encode("latin-1"), "not utf-8 encoded; set 'encoding'"),
        ("log.csv", "a,b\n1,Zürich\n".encode("utf-16"), "not utf-8 encoded; set 'encoding'"),
        (
            "log.csv",
            f"a,b\n{MANY}3,4,5\n",
            r"line 30002 \(3,4,5\), cannot be read as csv: Expected Number of Columns: 2",
        ),
        ("log.csv", "a,b\n1,2\n3,4,5\n6\n", "is read as one column, named 'a,b': either 'delim: ','"),
        ("log.csv", "of 2026\na,b\n1,2\n", r"begin at line 2: .* set 'skip: 1' \(or 'comment'\) in 'load_args'"),
        ("log.csv", "a,b\n1,2\n1,2,3\n4,5,6\n", "begin at line 3: the lines above have another number"),
        ("log.csv", 'a,b\n1,"x\n2,y\n', "lines do not fit together in any dialect; set 'delim', 'quote'"),
        ("log.csv", bytes(range(256)) * 10, "cannot be read as csv"),
    ],
)
def test_what_is_no_csv_ends_in_one_sentence(load, name, content, sentence):
    with pytest.raises(DatasetError, match=sentence) as caught:
        load(content, name)
    assert len(str(caught.value).splitlines()) == 2  # Kedro's line about the dataset, and ours


@pytest.mark.parametrize(
    ("load_args", "sentence"),
    [
        ({"delimeter": ";"}, "has the option 'delimeter', which DuckDB's read_csv has not; did you mean 'delim'"),
        ({"delim": ";"}, "is read as one column, named 'a,b'"),
        ({"delim": ";;;;;;"}, "cannot exceed a size of 4 bytes; correct 'load_args'"),
        ({"encoding": "cp1252"}, "there are utf-8, latin-1 and utf-16; .*'iconv -f cp1252 -t utf-8'"),
        ({"types": {"c": "BIGINT"}}, "\"c\" do not exist in the CSV File; correct 'types'"),
        ({"types": {"b": "BIGNT"}}, "Type with name BIGNT does not exist"),
        ({"types": {"b": "BIGINT"}}, "Could not convert string \"x\" to 'BIGINT'|no dialect|Error when converting"),
    ],
)
def test_a_wrong_option_ends_in_one_sentence(load, load_args, sentence):
    with pytest.raises(DatasetError, match=sentence) as caught:
        load("a,b\n1,x\n2,y\n", **load_args)
    assert len(str(caught.value).splitlines()) == 2


def test_many_files_are_one_table_whatever_the_order_of_their_columns(load):
    files = {"parts/1.csv": "a,b\n1,x\n", "parts/2.csv": "b,a\ny,2.5\n", "parts/3.csv.gz": gzip.compress(b"a,b\n,z\n")}
    expected = [{"a": 1.0, "b": "x"}, {"a": 2.5, "b": "y"}, {"a": None, "b": "z"}]
    assert load(files, "parts").to_pylist() == expected
    assert load(files, "parts/*.csv*").to_pylist() == expected


def test_folders_named_after_a_value_give_a_column(load):
    table = load({"day=2026-09-01/log.csv": "a\n1\n", "day=2026-09-02/log.csv": "a\n2\n"}, "day=*/log.csv")
    assert [(row["a"], str(row["day"])) for row in table.to_pylist()] == [(1, "2026-09-01"), (2, "2026-09-02")]


def test_an_empty_file_among_others_is_left_out_with_a_warning(load, caplog):
    with caplog.at_level(logging.WARNING):
        assert load({"parts/1.csv": "", "parts/2.csv": "a,b\n1,2\n"}, "parts").num_rows == 1
    assert "1 of 2 CSV files are empty" in caplog.text


def test_what_a_file_lacks_is_null_with_a_warning(load, caplog):
    files = {"parts/1.csv": "a,b\n1,2\n", "parts/2.csv": "a\n3\n"}
    with caplog.at_level(logging.WARNING):
        assert load(files, "parts").to_pylist() == [{"a": 1, "b": 2}, {"a": 3, "b": None}]
    assert "Column 'b' is missing from 1 of 2 files, such as" in caplog.text


def test_names_in_other_case_are_the_same_column(load, caplog):
    with caplog.at_level(logging.WARNING):
        assert load({"parts/1.csv": "a,b\n1,2\n", "parts/2.csv": "A,B\n3,4\n"}, "parts").num_rows == 2
    assert "is missing" not in caplog.text


def test_later_queries_do_not_look_at_the_types_again(load, tmp_path):
    """What was found is part of the table, so that no query guesses otherwise."""
    load("a,b\n1,2\n")
    dataset = Table(filepath=str(tmp_path / "log.csv"), file_format="csv", connection=CONNECTION)
    table = dataset.load()
    (tmp_path / "log.csv").write_text("a,b\nx,2\n")
    with pytest.raises(Exception, match="Could not convert string"):
        table.to_pyarrow()


def test_the_preview_does_not_read_the_whole_file(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text(f"a,b\n{MANY}1,2,3\n")
    preview = Table(filepath=str(path), file_format="csv", connection=CONNECTION).preview(nrows=2)
    assert preview == {"index": [0, 1], "columns": ["a", "b"], "data": [["1", "2"], ["1", "2"]]}
