"""Connections to databases: a driver, what it connects to, and what must not be shown."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pyarrow as pa

from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets.batches import mixed
from aitm_kedro.datasets.imports import import_extra

ADBC = {
    "sqlite": "adbc_driver_sqlite.dbapi",
    "postgresql": "adbc_driver_postgresql.dbapi",
    "postgres": "adbc_driver_postgresql.dbapi",
}
"""Drivers that give Arrow batches, by the scheme of the address."""

SECRETS = re.compile(r"pass|pwd|secret|token|key", re.IGNORECASE)
"""Names of arguments whose values are never shown."""


@dataclass(frozen=True, kw_only=True)
class Database:
    """Where a query is sent to.

    Attributes:
        driver: module with a ``connect`` after Python's DB-API (PEP 249).
        arguments: of ``connect``; an address alone is given as the only one.
        name: as messages call it ("database 'sqlite:///shop.sqlite'"), without user and password.
        secrets: what messages must not show.
        rows: of a batch.
    """

    driver: str
    arguments: dict[str, Any] = field(repr=False)
    name: str
    secrets: tuple[str, ...] = field(repr=False)
    rows: int

    def batches(self, query: str) -> Iterator[pa.RecordBatch]:
        """Send a query, and give its rows as they come.

        Raises:
            InputError: the driver is missing, or the database refuses the connection or the query; no secret is shown.
        """
        module = import_extra(self.driver, extra="sql" if self.driver in ADBC.values() else None)
        _check_file(self)
        connection = self._asked(lambda: self._connect(module), "cannot be reached")
        with closing(connection), closing(connection.cursor()) as cursor:
            _set_batch_rows(cursor, self)
            self._asked(lambda: cursor.execute(query), "refuses the query")
            yield from self._read(cursor)

    def _connect(self, module: Any) -> Any:
        if set(self.arguments) == {"uri"}:
            return module.connect(self.arguments["uri"], **({"uri": True} if self.driver == "sqlite3" else {}))
        return module.connect(**self.arguments)

    def _read(self, cursor: Any) -> Iterator[pa.RecordBatch]:
        names = [column[0] for column in cursor.description or ()]
        _check_columns(names, self.name)
        in_arrow = hasattr(cursor, "fetch_record_batch")
        batches = self._asked(cursor.fetch_record_batch, "breaks off") if in_arrow else _fetched(cursor, names, self)
        while (batch := self._asked(lambda: next(batches, None), "breaks off")) is not None:
            yield batch

    def _asked(self, ask: Callable[[], Any], what: str) -> Any:
        """What the driver answers; its complaint as a sentence, whatever its exceptions are, without a secret."""
        try:
            return ask()
        except InputError:
            raise
        except Exception as error:
            text = _said(error, self.secrets)
            if "Type mismatch in column" in text:
                raise TypeMismatchError(text) from None
            raise InputError(f"The {self.name} {what}: {text}. {_remedy(text)}") from None


class TypeMismatchError(Exception):
    """SQLite's driver took the type of a column from its first rows, and later ones are of another type."""


def find_database(uri: str | None, credentials: dict[str, Any] | None, driver: str | None, rows: int) -> Database:
    """The database that the catalog names.

    Args:
        uri: address without a password, such as "sqlite:///data/01_raw/shop.sqlite".
        credentials: {"uri": address with a password}, or arguments of the driver's ``connect``.
        driver: module of a DB-API driver; default: by the scheme of the address.
        rows: of a batch.

    Raises:
        InputError: no address, one with a password in the catalog, or a scheme without a driver.
    """
    if uri and _password(uri):
        raise InputError(
            "'uri' in the catalog has a password in it. Write it as 'uri' under a name of its own into "
            "conf/<environment>/credentials.yml, which git ignores, and that name as 'credentials' into the catalog."
        )
    arguments = ({"uri": uri} if uri else {}) | (credentials or {})
    if not arguments:
        raise InputError("The catalog names no database: give 'uri', or 'credentials' with a 'uri' in them.")
    address = str(arguments.get("uri", ""))
    secrets = _secrets(arguments)
    name = f"database {_public(address)}" if "://" in address else f"database of the driver '{driver}'"
    if driver:
        return Database(driver=driver, arguments=arguments, name=name, secrets=secrets, rows=rows)
    scheme = address.partition(":")[0].partition("+")[0]
    if scheme not in ADBC:
        raise InputError(
            f"There is no driver for the scheme '{scheme}' of the database (there are {', '.join(ADBC)}); give "
            "'driver' in the catalog, the Python module of a DB-API driver."
        )
    plain = _read_only(_path_of(address)) if scheme == "sqlite" else scheme + "://" + address.partition("://")[2]
    return Database(driver=ADBC[scheme], arguments={"uri": plain}, name=name, secrets=secrets, rows=rows)


def in_python(database: Database) -> Database:
    """An SQLite database, read by Python itself: slower, but each batch may have types of its own."""
    return replace(database, driver="sqlite3")


def _secrets(arguments: dict[str, Any]) -> tuple[str, ...]:
    """Passwords, as they are and as an address writes them, and addresses with one; longest first."""
    found = [str(value) for name, value in arguments.items() if SECRETS.search(name)]
    address = str(arguments.get("uri", ""))
    if password := _password(address):
        found += [address, password, unquote(password)]
    return tuple(sorted(filter(None, found), key=len, reverse=True))


def _password(address: str) -> str | None:
    """The password of an address, before its host or among its options."""
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise InputError(f"The 'uri' of the database is no address: {error}.") from None
    return parts.password or next((value for name, value in parse_qsl(parts.query) if SECRETS.search(name)), None)


def _public(address: str) -> str:
    """The address without user, password and options."""
    scheme, separator, rest = address.partition("://")
    rest = rest.partition("?")[0]
    return f"'{scheme}{separator}{rest.rpartition('@')[2]}'"


def _path_of(address: str) -> Path:
    """File of an SQLite address: after three slashes it is relative to the project, after four it is absolute."""
    return Path(address.partition("://")[2].removeprefix("/"))


def _read_only(path: Path) -> str:
    """SQLite's own address of a file that is there, and is not to be changed."""
    return f"file:{quote(str(path))}?mode=ro"


def _check_file(database: Database) -> None:
    address = str(database.arguments.get("uri", ""))
    if address.startswith("file:") and not Path(unquote(address[5:].partition("?")[0])).is_file():
        path = unquote(address[5:].partition("?")[0])
        raise InputError(
            f"There is no database '{path}'; correct 'uri' in the catalog (sqlite:///relative/path, or "
            "sqlite:////absolute/path)."
        )


def _check_columns(names: Sequence[str], name: str) -> None:
    if not names:
        raise InputError(f"The query to the {name} gives no table; 'query' in the catalog must be a SELECT.")
    twice = sorted({column for column in names if names.count(column) > 1})
    if twice:
        raise InputError(
            f"The query to the {name} gives two columns '{twice[0]}'; name them in 'query' of the catalog, with AS."
        )


def _set_batch_rows(cursor: Any, database: Database) -> None:
    """Ask for batches of that size where the driver can be asked; others have sizes of their own."""
    if database.driver == ADBC["sqlite"]:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(database.rows)})


def _fetched(cursor: Any, names: Sequence[str], database: Database) -> Iterator[pa.RecordBatch]:
    """Rows of a driver that does not know Arrow, as batches; one without rows if there are none."""
    cursor.arraysize = database.rows
    rows = cursor.fetchmany(database.rows)
    while True:
        columns = zip(*rows, strict=True) if rows else [() for _ in names]
        arrays = [_array(values, name, database) for name, values in zip(names, columns, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, names=list(names))
        rows = cursor.fetchmany(database.rows)
        if not rows:
            return


def _array(values: Sequence[Any], column: str, database: Database) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, OverflowError) as error:
        kinds = {type(value).__name__: value for value in values if value is not None}
        types = ", ".join(f"{kind} such as {str(value)[:40]!r}" for kind, value in kinds.items())
        raise mixed(column, database.name, types) from error


def _said(error: Exception, secrets: Sequence[str]) -> str:
    """What a driver says, in one line, without the query (which it repeats), its codes, and secrets."""
    text = re.split(r"\nLINE \d+:|\nquery:|\nQuery was:", str(error))[0]
    text = re.sub(r"^[A-Z_]+: (\[\w+\] )?", "", " ".join(text.split())).rstrip(".?! ")
    for secret in secrets:
        text = text.replace(secret, "***")
    return text or type(error).__name__


def _remedy(text: str) -> str:
    """What to do, by what the driver says."""
    lowered = text.lower()
    if "password" in lowered or "authentication" in lowered:
        return "Correct user and password in conf/<environment>/credentials.yml."
    if any(word in lowered for word in ("connect", "host", "failed to open", "not a database")):
        return "Correct the address in 'uri', and see that the database is running."
    return "Correct 'table' or 'query' in the catalog."
