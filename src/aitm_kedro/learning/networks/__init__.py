"""Networks that predict every step of the funnel: tensors in, tensors out."""

from aitm_kedro.learning.networks.base import Network
from aitm_kedro.learning.networks.registry import NETWORKS, build_model

__all__ = ["NETWORKS", "Network", "build_model"]
