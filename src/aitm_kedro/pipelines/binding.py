"""Functions with some arguments fixed, as the nodes of a template need them."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from inspect import signature
from typing import Any, get_type_hints


def bind(function: Callable[..., Any], **fixed: object) -> Callable[..., Any]:
    """Fix some arguments, keeping the name and the type hints by which Kedro validates parameters."""
    return _named(partial(function, **fixed), function)


def bind_runs(
    function: Callable[..., Any], keys: Sequence[tuple[str, int | None]], **fixed: object
) -> Callable[..., Any]:
    """Let a function that takes the result of each run and seed be given one dataset for all seeds of a run.

    Args:
        function: its last arguments are the results of each of the keys, None where there are none; and it takes the
            keys themselves by keyword.
        keys: runs, with a seed each; None: the run has no seeds, and its dataset is its result.
        **fixed: other arguments to fix.

    Returns:
        A function whose last arguments are, for each run, functions that load a result, by seed (``datasets.Seeds``).
    """
    bound = _named(partial(_call_with_loaded, function, keys=keys, **fixed), function)
    bound.__signature__ = signature(partial(function, keys=keys, **fixed))  # type: ignore[attr-defined]
    return bound


def _named(bound: "partial[Any]", function: Callable[..., Any]) -> Callable[..., Any]:
    bound.__name__ = function.__name__  # type: ignore[attr-defined]
    bound.__doc__ = function.__doc__
    bound.__annotations__ = get_type_hints(function)
    return bound


def _call_with_loaded(
    function: Callable[..., Any], /, *arguments: Any, keys: Sequence[tuple[str, int | None]], **options: Any
) -> Any:
    """Call a function with the results of all keys. A function of this module, so that it can go to other processes."""
    runs = list(dict.fromkeys(run for run, _ in keys))
    before, given = arguments[: -len(runs)], dict(zip(runs, arguments[-len(runs) :], strict=True))
    results = (given[run] if seed is None else _load(given[run], seed) for run, seed in keys)
    return function(*before, *results, keys=keys, **options)


def _load(loaders: Mapping[int, Callable[[], Any]], seed: int) -> Any:
    return loaders[seed]() if seed in loaders else None
