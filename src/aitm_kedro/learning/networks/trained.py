"""A trained network: predictions in batches, on the device that there is; saved as safetensors."""

from pathlib import Path
from typing import Any, Self, cast

import numpy as np
import torch

from aitm_kedro.core.examples import Examples
from aitm_kedro.learning.history import History
from aitm_kedro.learning.learner import ModelSpec, Trained, check_values
from aitm_kedro.learning.networks.base import Network
from aitm_kedro.learning.tensors import read_tensors, write_tensors
from aitm_kedro.learning.training.batches import as_batch
from aitm_kedro.learning.training.devices import Device, choose_device, cpu_threads
from aitm_kedro.learning.training.predict import predict

# N = examples, n = a few of them


class TrainedNetwork(Trained):
    """A network in evaluation mode.

    Attributes:
        network: on the device where it was placed; parameters are float32 whatever precision it was trained in.
    """

    def __init__(self, spec: ModelSpec, history: History, network: Network) -> None:
        super().__init__(spec, history)
        self.network = network
        self._threads: int | None = None

    def place(self, *, device: str = "auto", threads: int | None = None) -> Self:
        """Predict on this device, with as many CPU threads (None: as torch does by itself).

        Raises:
            InputError: the device is not there.
        """
        self.network.to(choose_device(cast(Device, device)))
        self._threads = threads
        return self

    def inspect(self, examples: Examples) -> Any:
        """What an inspectable network computes on its way to the predictions of n rows, on the CPU.

        Raises:
            InputError: the examples have other fields than the network was trained on.
        """
        fields = [feature.name for feature in self.spec.features]
        device = next(self.network.parameters()).device
        seen = self.network.cpu().inspect(as_batch(examples.of_fields(fields)))  # type: ignore[operator]
        self.network.to(device)
        return seen

    def _predict(self, examples: Examples) -> np.ndarray:
        if self.network.reads_values:
            check_values(examples, self.spec.features, model=self.spec.model)
        with cpu_threads(self._threads):
            return predict(self.network, examples)

    def _save(self, folder: Path) -> None:
        write_tensors(folder, {name: part.detach().cpu().numpy() for name, part in self.network.state_dict().items()})


def read_state(network: Network, folder: Path, *, name: str) -> Network:
    """Fill an untrained network with the numbers that ``TrainedNetwork.save`` wrote.

    Raises:
        InputError: they are damaged, or of another network.
    """
    shapes = {key: tuple(part.shape) for key, part in network.state_dict().items()}
    tensors = read_tensors(folder, shapes, model=name)
    network.load_state_dict({key: torch.from_numpy(tensor) for key, tensor in tensors.items()})
    return network
