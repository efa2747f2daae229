"""Functions with some arguments fixed, as the nodes of a template need them."""

from collections.abc import Callable
from functools import partial
from typing import Any, get_type_hints


def bind(function: Callable[..., Any], **fixed: object) -> Callable[..., Any]:
    """Fix some arguments, keeping the name and the type hints by which Kedro validates parameters."""
    bound = partial(function, **fixed)
    bound.__name__ = function.__name__  # type: ignore[attr-defined]
    bound.__doc__ = function.__doc__
    bound.__annotations__ = get_type_hints(function)
    return bound
