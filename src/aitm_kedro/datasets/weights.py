"""Trained models on disk: safetensors, which holds numbers and text and runs no code when it is loaded."""

from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractVersionedDataset, DatasetError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from aitm_kedro.datasets.atomic import Atomic
from aitm_kedro.weights import Weights


class _Safetensors(AbstractVersionedDataset[Weights, Weights]):
    """Plain reading and writing of one safetensors file."""

    def __init__(self, *, filepath: str, version: Any = None, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(filepath=PurePosixPath(filepath), version=version)
        self.metadata = metadata

    def load(self) -> Weights:
        path = self._get_load_path()
        try:
            with safe_open(path, framework="numpy") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
                return Weights(tensors=tensors, metadata=file.metadata() or {})
        except (SafetensorError, OSError, ValueError) as error:
            raise DatasetError(
                f"The weights in '{path}' cannot be read: the file is missing, cut short or damaged. Train again, or "
                f"load an earlier version with --load-versions. ({error})"
            ) from error

    def save(self, data: Weights) -> None:
        save_file(dict(data.tensors), self._get_save_path(), metadata=dict(data.metadata))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}

    def _exists(self) -> bool:
        return Path(self._get_load_path()).exists()


class SafetensorsWeights(Atomic, _Safetensors):
    """A model's :class:`~aitm_kedro.weights.Weights`."""
