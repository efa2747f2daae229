"""Databases as sources: SQLite always, PostgreSQL where it can be started."""

import datetime
import logging
import os
import sqlite3
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest
from kedro.io import DatasetError
from tests.datasets.postgresql import PASSWORD, server

from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets import SQLTable

CONNECTION = {"backend": "duckdb", "database": ":memory:"}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return tmp_path / "01_raw/copy.parquet"


@pytest.fixture
def database(tmp_path: Path):
    """An SQLite file, filled by statements; gives its address."""

    def fill(*statements, rows=()):
        connection = sqlite3.connect(tmp_path / "shop.sqlite")
        with connection:
            for statement in statements:
                connection.execute(statement)
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                connection.executemany(f"INSERT INTO log VALUES ({marks})", rows)
        connection.close()
        return f"sqlite:///{tmp_path}/shop.sqlite"

    return fill


def rows_of(copy: Path, **options) -> list:
    return SQLTable(filepath=str(copy), connection=CONNECTION, **options).load().to_pyarrow().to_pylist()


def sentence(copy: Path, **options) -> str:
    """The complaint about a source, which is one line."""
    with pytest.raises(DatasetError) as caught:
        rows_of(copy, **options)
    ours = str(caught.value.__cause__)
    assert isinstance(caught.value.__cause__, InputError)
    assert "\n" not in ours
    return ours


TABLE = "CREATE TABLE log (id INTEGER, name TEXT, price REAL, seen BOOLEAN, raw BLOB)"


def test_a_table_and_a_query_are_read(database, copy):
    address = database(TABLE, rows=[(1, "x", 1.5, True, b"ab"), (2, None, None, None, None)])
    first = {"id": 1, "name": "x", "price": 1.5, "seen": 1, "raw": b"ab"}
    assert rows_of(copy, uri=address, table="log") == [first, dict.fromkeys(first) | {"id": 2}]
    assert rows_of(copy, uri=address, query="SELECT id AS n FROM log ORDER BY id DESC;") == [{"n": 2}, {"n": 1}]


def test_a_name_with_capitals_is_quoted(database, copy):
    address = database('CREATE TABLE "My Log" (id)', 'INSERT INTO "My Log" VALUES (7)')
    assert rows_of(copy, uri=address, table="My Log") == [{"id": 7}]


def test_each_load_reads_the_database_anew_and_keeps_one_copy(database, copy, caplog):
    address = database(TABLE, rows=[(1, "x", 1.5, 1, None)])
    source = SQLTable(filepath=str(copy), uri=address, table="log", connection=CONNECTION)
    assert not source.exists()
    assert source.preview() == {"index": [], "columns": [], "data": []}
    with caplog.at_level(logging.INFO):
        assert source.load().count().execute() == 1
    assert "each run of ingestion (or scoring) does so anew" in caplog.text
    database("INSERT INTO log (id) VALUES (2)")
    assert source.preview(nrows=1)["data"] == [["1", "x", "1.5", "1", ""]]
    assert source.load().count().execute() == 2
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


def test_a_copy_that_fails_leaves_the_one_before_and_nothing_else(database, copy):
    address = database(TABLE, rows=[(1, "x", 1.5, 1, None)])
    assert len(rows_of(copy, uri=address, table="log")) == 1
    database("INSERT INTO log (id) VALUES ('late')")
    sentence(copy, uri=address, table="log", rows_a_batch=1)
    source = SQLTable(filepath=str(copy), uri=address, table="log", connection=CONNECTION)
    assert source.preview()["data"] == [["1", "x", "1.5", "1", ""]]
    assert [path.name for path in copy.parent.iterdir()] == [copy.name]


@pytest.mark.parametrize("driver", [None, "sqlite3"])
@pytest.mark.parametrize(
    ("first", "late", "value"),
    [(None, "text", None), (None, 2.5, None), (1, 2.5, 1.0), (None, b"ab", None), (1, None, 1)],
)
def test_a_column_takes_the_type_that_its_later_values_have(database, copy, driver, first, late, value):
    """The first batches hold nothing but nulls, or whole numbers."""
    address = database("CREATE TABLE log (id)", rows=[(first,)] * 10 + [(late,)])
    options = {"uri": address} if driver is None else {"driver": driver, "credentials": {"database": address[10:]}}
    rows = rows_of(copy, table="log", rows_a_batch=4, **options)
    assert [row["id"] for row in rows] == [value] * 10 + [late]


def test_a_column_of_numbers_and_text_ends_in_a_sentence(database, copy):
    address = database("CREATE TABLE log (id, b)", rows=[(n, 0) for n in range(10)] + [("late", 0)])
    said = sentence(copy, uri=address, table="log", rows_a_batch=4)
    assert "Column 'id' of the database 'sqlite:///" in said
    assert "such as 'late'" in said or "further down string" in said
    assert "CAST(id AS TEXT)" in said
    query = "SELECT CAST(id AS TEXT) AS id FROM log"
    assert rows_of(copy, uri=address, query=query, rows_a_batch=4)[-1] == {"id": "late"}


def test_whole_numbers_that_floats_do_not_hold_end_in_a_sentence(database, copy):
    address = database("CREATE TABLE log (a)", rows=[(2**53 + 1,), (2,), (1.5,)])
    said = sentence(copy, uri=address, table="log", rows_a_batch=1)
    assert said.startswith("Column 'a' of the database")
    assert "CAST(a AS TEXT)" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"table": "lgo"},
            "refuses the query: Failed to prepare query: no such table: lgo. Correct 'table' or 'query'",
        ),
        ({"query": "SELECT nam FROM log"}, "no such column: nam"),
        ({"query": "SELEC 1"}, 'near "SELEC": syntax error'),
        ({"query": "DELETE FROM log"}, "readonly database"),
        ({"query": "SELECT id, name AS id FROM log"}, "gives two columns 'id'; name them"),
        ({"query": "SELECT * FROM log WHERE 0"}, "gives no rows to the query: SELECT * FROM log WHERE 0"),
    ],
)
def test_a_wrong_query_ends_in_a_sentence(database, copy, options, said):
    address = database(TABLE, rows=[(1, "x", 1.5, 1, None)])
    assert said in sentence(copy, uri=address, **options)
    assert rows_of(copy, uri=address, query="SELECT count(*) AS rows FROM log") == [{"rows": 1}]


def test_a_file_that_is_missing_or_no_database_ends_in_a_sentence(tmp_path, copy):
    assert "There is no database" in sentence(copy, uri=f"sqlite:///{tmp_path}/no.sqlite", table="log")
    assert not (tmp_path / "no.sqlite").exists()
    (tmp_path / "text.sqlite").write_text("no database " * 100)
    assert "file is not a database" in sentence(copy, uri=f"sqlite:///{tmp_path}/text.sqlite", table="log")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"uri": "sqlite:///x"}, "either 'table' or 'query'"),
        ({"uri": "sqlite:///x", "table": "a", "query": "SELECT 1"}, "either 'table' or 'query'"),
        ({"table": "a"}, "names no database: give 'uri', or 'credentials'"),
        ({"table": "a", "uri": "mysql://host/x"}, "no driver for the scheme 'mysql'.*give 'driver'"),
        (
            {"table": "a", "uri": "postgresql://me:hidden@host/x"},
            "has a password in it.*conf/<environment>/credentials.yml",
        ),
        ({"table": "a", "uri": "postgresql://host/x?user=me&password=hidden"}, "has a password in it"),
        ({"table": "a", "credentials": {"uri": "postgresql://me:hidden@[::1/x"}}, "is no address"),
        ({"table": "a", "uri": "sqlite:///x", "rows_a_batch": 0}, "'rows_a_batch' of an SQLTable is 0"),
    ],
)
def test_an_entry_that_cannot_be_ends_in_a_sentence_without_the_password(copy, options, said):
    with pytest.raises(InputError, match=said) as caught:
        SQLTable(filepath=str(copy), connection=CONNECTION, **options)
    assert "hidden" not in str(caught.value)


def test_what_is_not_installed_ends_in_a_sentence(database, copy, monkeypatch):
    address = database(TABLE, rows=[(1, "x", 1.5, 1, None)])
    assert "There is no Python module 'no_such_driver'" in sentence(
        copy, driver="no_such_driver", credentials={"dsn": "x"}, table="log"
    )
    monkeypatch.setitem(sys.modules, "adbc_driver_sqlite.dbapi", None)
    assert 'pip install -e ".[sql]"' in sentence(copy, uri=address, table="log")


def test_secrets_of_a_driver_are_not_shown(copy, tmp_path, monkeypatch):
    (tmp_path / "leaky_driver.py").write_text(
        "def connect(**given): raise RuntimeError(f'cannot connect with {given}')"
    )
    monkeypatch.syspath_prepend(tmp_path)
    credentials = {"host": "h", "password": "hidden1", "api_token": "hidden2"}
    options = {"driver": "leaky_driver", "credentials": credentials, "table": "log"}
    said = sentence(copy, **options)
    assert "cannot be reached: cannot connect with" in said
    assert "hidden" not in said
    assert "hidden" not in str(SQLTable(filepath=str(copy), **options))


MEMORY = """
import resource, sys
from aitm_kedro.datasets import SQLTable
import adbc_driver_sqlite.dbapi, pyarrow.parquet, aitm_kedro.datasets.batches
source = SQLTable(filepath=sys.argv[2], uri=sys.argv[1], table="log", rows_a_batch=10_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert source.load().count().execute() == 200_000
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted in other units elsewhere")
def test_memory_is_bounded(database, copy):
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)"
    address = database(f"CREATE TABLE log AS {numbers} SELECT i, hex(randomblob(500)) AS text FROM n")
    command = [sys.executable, "-c", MEMORY, address, str(copy)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ)
    assert float(result.stdout) < 120  # megabytes; the rows are 200


@pytest.fixture(scope="module")
def postgresql():
    """Address of a PostgreSQL server of our own."""
    with server() as address:
        yield address


VALUES = """
SELECT 9007199254740993::bigint AS id, 1.50::numeric(10, 2) AS price, 2.25::numeric AS number,
    '2026-09-01 12:00:00+02'::timestamptz AS moment, '2026-09-01 12:00:00'::timestamp AS local, true AS seen,
    'Zürich' AS town, ARRAY['a', NULL] AS tags, ARRAY[1.5, 2.5] AS weights, '\\x6162'::bytea AS raw,
    '{"a": 1}'::jsonb AS extra, 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS visitor, NULL::text AS nothing
"""


def test_types_of_postgresql(postgresql, copy):
    (row,) = rows_of(copy, credentials={"uri": postgresql}, query=VALUES)
    assert row == {
        "id": 9007199254740993,
        "price": Decimal("1.50"),
        "number": 2.25,
        "moment": datetime.datetime(2026, 9, 1, 10, tzinfo=datetime.UTC),
        "local": datetime.datetime(2026, 9, 1, 12),
        "seen": True,
        "town": "Zürich",
        "tags": ["a", None],
        "weights": [1.5, 2.5],
        "raw": b"ab",
        "extra": '{"a": 1}',
        "visitor": "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "nothing": None,
    }


def test_nulls_in_the_first_batch_of_postgresql_do_no_harm(postgresql, copy):
    query = "SELECT i, CASE WHEN i > 399999 THEN 'late' END AS name FROM generate_series(1, 400000) i ORDER BY i"
    rows = rows_of(copy, credentials={"uri": postgresql}, query=query)
    assert (rows[0], rows[-1]) == ({"i": 1, "name": None}, {"i": 400_000, "name": "late"})


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (("s3cret%401", "wr0ng%402"), {}, 'password authentication failed for user "aitm". Correct user and password'),
        (("127.0.0.1", "no-such-host.invalid"), {}, "no-such-host.invalid"),
        (("/postgres", "/nodb"), {}, 'database "nodb" does not exist'),
        (("aitm:s3cret%401@", "aitm@"), {}, "password"),
        (("", ""), {"query": "SELECT * FROM nope"}, "relation \"nope\" does not exist. Correct 'table' or 'query'"),
        (("", ""), {"query": "SELECT 1 / 0 AS x"}, "division by zero"),
        (("", ""), {"query": "SELECT '1 day'::interval AS pause"}, "Column 'pause' has the type"),
        (("", ""), {"query": "SELECT '1.1.1.1'::inet AS address"}, "Column 'address' has the type inet"),
        (("", ""), {"query": "SELECT 'NaN'::numeric(5, 2) AS x"}, "Column 'x' of the database holds numbers"),
    ],
)
def test_what_postgresql_refuses_ends_in_a_sentence_without_the_password(postgresql, copy, change, options, said):
    address = postgresql.replace(*change) if change[0] else postgresql
    answer = sentence(copy, credentials={"uri": address}, **({"query": "SELECT 1 AS x"} | options))
    assert said in answer
    assert not any(secret in answer for secret in (PASSWORD, "s3cret", "wr0ng"))
