"""Trained models on disk, in formats that run no code when they are loaded: safetensors, and LightGBM's text."""

import json
import os
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote, unquote

from kedro.io import AbstractVersionedDataset, DatasetError
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from aitm_kedro.datasets.atomic import Atomic
from aitm_kedro.learning.weights import Boosters, Weights


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
    """A model's :class:`~aitm_kedro.learning.weights.Weights`."""


def write(path: Path, text: str) -> None:
    """Write a file of a folder, and have it on the disk before the folder gets its name."""
    with path.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


class _TextFolder(AbstractVersionedDataset[Boosters, Boosters]):
    """Plain reading and writing of one text file a step, and their metadata."""

    METADATA = "metadata.json"

    def __init__(self, *, filepath: str, version: Any = None, metadata: dict[str, Any] | None = None) -> None:
        super().__init__(filepath=PurePosixPath(filepath), version=version)
        self.metadata = metadata

    def load(self) -> Boosters:
        folder = Path(self._get_load_path())
        try:
            metadata = json.loads((folder / self.METADATA).read_text())
            texts = {unquote(path.stem): path.read_text() for path in sorted(folder.glob("*.txt"))}
        except (OSError, ValueError) as error:
            raise DatasetError(
                f"The trees in '{folder}' cannot be read: files are missing or damaged. Train again, or load an "
                f"earlier version with --load-versions. ({error})"
            ) from error
        return Boosters(texts=texts, metadata=metadata)

    def save(self, data: Boosters) -> None:
        folder = Path(self._get_save_path())
        folder.mkdir()
        for step, text in data.texts.items():
            write(folder / f"{quote(step, safe=' ')}.txt", text)
        write(folder / self.METADATA, json.dumps(dict(data.metadata), indent=2))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "version": self._version}

    def _exists(self) -> bool:
        return Path(self._get_load_path()).exists()


class BoosterTexts(Atomic, _TextFolder):
    """A model's :class:`~aitm_kedro.learning.weights.Boosters`: a folder of ``{step}.txt`` for any LightGBM."""
