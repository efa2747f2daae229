"""Options of the engine in ``load_args``: their names are checked, so that a misspelt one is found at once."""

import difflib
from collections.abc import Collection
from typing import Any

from aitm_kedro.core.errors import InputError


def check_options(backend: Any, function: str, names: Collection[str]) -> None:
    """Check that DuckDB's ``read_csv`` or ``read_parquet`` knows these options.

    Args:
        backend: Ibis on DuckDB.
        function: name of the function.
        names: options given.

    Raises:
        InputError: one that it does not know, with the nearest that it does.
    """
    query = "SELECT DISTINCT unnest(parameters) FROM duckdb_functions() WHERE function_name = ?"
    known = (
        sorted(name for (name,) in backend.con.execute(query, [function]).fetchall() if name != "col0") if names else []
    )
    for name in names:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(known)}"
            raise InputError(
                f"'load_args' in the catalog has the option '{name}', which DuckDB's {function} has not; {hint}"
            )
