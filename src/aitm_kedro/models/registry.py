"""Every network by name: one line a model."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from aitm_kedro.errors import InputError
from aitm_kedro.models.aitm import AITM
from aitm_kedro.models.base import Network
from aitm_kedro.parameters import AITMOptions, Parameters


class Entry(NamedTuple):
    """How to build a network, and the class of its options."""

    build: Callable[..., Network]
    options: type[Parameters]


NETWORKS: dict[str, Entry] = {
    "aitm": Entry(AITM, AITMOptions),
}


def find(name: str) -> Entry:
    """The registered network called ``name``.

    Raises:
        InputError: there is none.
    """
    if name not in NETWORKS:
        raise InputError(f"'{name}' is no registered network; choose among {sorted(NETWORKS)}")
    return NETWORKS[name]


def build_model(name: str, *, vocabulary_sizes: Sequence[int], steps: Sequence[str], options: Any) -> Network:
    """Build an untrained network, drawn from torch's global generator.

    Args:
        name: a key of ``NETWORKS``.
        vocabulary_sizes: ids of each field, id 0 included.
        steps: step names in funnel order.
        options: the model's parameter class, or a dict of its fields.

    Raises:
        InputError: no network has this name.
    """
    entry = find(name)
    return entry.build(vocabulary_sizes=vocabulary_sizes, steps=steps, options=entry.options.model_validate(options))
