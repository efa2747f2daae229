"""What pydantic complains of, as a sentence for the person who wrote the parameter."""

from pydantic import ValidationError


def first_complaint(error: ValidationError, *, key: str = "") -> str:
    """Place and reason of the first mistake: "aitm.alpha: Input should be greater than or equal to 0 (it is -1)".

    Args:
        error: of a parameter class.
        key: where the parameter stands.
    """
    first = error.errors()[0]
    place = ".".join(map(str, ([key] if key else []) + list(first["loc"])))
    if first["type"] == "extra_forbidden":
        return f"{place}: there is no such option"
    reason = first["msg"].removeprefix("Value error, ")
    given = "" if isinstance(first["input"], dict) else f" (it is {first['input']!r})"
    return f"{place}: {reason}{given}" if place else f"{reason}{given}"
