"""Names of columns, and those that look alike."""

import difflib
from collections.abc import Collection, Sequence


def nearest_names(missing: Sequence[str], columns: Collection[str]) -> dict[str, str]:
    """For each missing column the one that may be meant; those without a likeness are left out.

    Spaces around a name, a byte order mark before it, and upper or lower case do not count.

    Example:
        >>> nearest_names(["city", "spend", "age"], ["\ufeffCity ", "spent", "device"])
        {'city': '\ufeffCity ', 'spend': 'spent'}
    """
    plain = {_plain(name): name for name in reversed(list(columns))}
    found = {}
    for name in missing:
        close = difflib.get_close_matches(_plain(name), plain, n=1)
        if close:
            found[name] = plain[close[0]]
    return found


def _plain(name: str) -> str:
    return name.strip("\ufeff \t\r\n\u00a0").casefold()
