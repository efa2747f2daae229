"""Every network by name: one line a model."""

from collections.abc import Sequence
from typing import Any

from aitm_kedro.core.errors import InputError
from aitm_kedro.learning.networks.aitm import AITM
from aitm_kedro.learning.networks.base import Network
from aitm_kedro.learning.networks.esmm import ESMM
from aitm_kedro.learning.networks.mlp import MLP
from aitm_kedro.learning.networks.mmoe import MMoE
from aitm_kedro.learning.networks.omoe import OMoE
from aitm_kedro.learning.networks.ple import PLE
from aitm_kedro.learning.networks.shared_bottom import SharedBottom

# In the order of the tables.
NETWORKS: dict[str, type[Network]] = {
    "mlp": MLP,
    "shared_bottom": SharedBottom,
    "esmm": ESMM,
    "omoe": OMoE,
    "mmoe": MMoE,
    "ple": PLE,
    "aitm": AITM,
}


def find(name: str) -> type[Network]:
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
        options: an instance of the network's ``Options``, or a dict of its fields.

    Raises:
        InputError: no network has this name.
    """
    network = find(name)
    chosen: Any = network.Options.model_validate(options)
    return network(vocabulary_sizes=vocabulary_sizes, steps=steps, options=chosen)  # type: ignore[call-arg]
