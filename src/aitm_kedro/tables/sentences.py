"""Numbers and names in sentences for people."""

from collections.abc import Sequence

NAMED_AT_MOST = 5


def join_names(names: Sequence[str], *, at_most: int = NAMED_AT_MOST) -> str:
    """The first names, and how many more there are.

    Example:
        >>> join_names(["'a'", "'b'"]), join_names(["'a'", "'b'", "'c'"], at_most=2)
        ("'a' and 'b'", "'a', 'b' and 1 more")
    """
    shown, more = list(names[:at_most]), len(names) - at_most
    if more > 0:
        return f"{', '.join(shown)} and {more:,} more"
    return " and ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)


def percent(part: float, whole: float) -> str:
    """A share with one digit.

    Example:
        >>> percent(1, 8)
        '12.5 %'
    """
    return f"{100 * part / whole:.1f} %"


def counted(number: int, what: str) -> str:
    """A number with its noun.

    Example:
        >>> counted(1, "row"), counted(1203, "row")
        ('1 row', '1,203 rows')
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def as_rate(share: float) -> str:
    """A rate of any size in percent, with three significant digits.

    Example:
        >>> as_rate(0.0023456)
        '0.235 %'
    """
    return f"{100 * share:.3g} %"
