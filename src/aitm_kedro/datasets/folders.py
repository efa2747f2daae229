"""Trained models, each a folder."""

from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractVersionedDataset
from kedro_datasets._typing import JSONPreview

from aitm_kedro.core.errors import InputError
from aitm_kedro.datasets.atomic import Atomic
from aitm_kedro.datasets.imports import import_object

DESCRIPTIONS = ("manifest.json", "model.json")
"""Files that say what a folder holds: of a bundle, and of a model."""


class ModelFolder(Atomic, AbstractVersionedDataset[Any, Any]):
    """A model that writes itself into a folder, and a function that reads it.

    Example:
        ```yaml
        aitm.model:
          type: aitm_kedro.datasets.ModelFolder
          filepath: data/06_models/aitm
          loader: aitm_kedro.learning.registry.load_trained
          versioned: true
        ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        loader: str,
        version: Any = None,
        metadata: dict[str, Any] | None = None,
        optional: bool = False,
    ) -> None:
        """Describe a folder; nothing is imported or read yet.

        Args:
            filepath: the folder.
            loader: dotted path of the function that makes an object of the folder (a ``Path``).
            version: Kedro's load and save version.
            metadata: ignored; for plugins such as Kedro-Viz.
            optional: whether None is loaded where nothing was ever saved.
        """
        super().__init__(filepath=PurePosixPath(filepath), version=version)
        self._loader, self._optional = loader, optional
        self.metadata = metadata

    def load(self) -> Any:
        """Read the model, or None if it may be missing and is.

        Raises:
            DatasetError: it is missing, damaged, or of another version of the project.
        """
        if self._optional and not self.exists():
            return None
        if not Path(self._get_load_path()).exists():
            raise InputError(
                f"There is no '{self._get_load_path()}': correct the version after --load-versions, or train first"
            )
        read = import_object(self._loader, argument="loader")
        folder = Path(self._get_load_path())
        try:
            return read(folder)
        except (InputError, OSError, ValueError) as error:
            raise InputError(
                f"The model in '{folder}' cannot be read: {str(error).rstrip('. ')}; train again, or load an earlier "
                "version with --load-versions."
            ) from error

    def preview(self) -> JSONPreview:
        """What the folder says of itself, for Kedro-Viz; nothing where nothing was saved yet."""
        folder = Path(self._get_load_path()) if self.exists() else None
        texts = [path.read_text() for name in DESCRIPTIONS if folder and (path := folder / name).is_file()]
        return JSONPreview(next(iter(texts), "{}"))

    def _write(self, data: Any) -> None:
        """Have the model create its folder."""
        data.save(Path(self._get_save_path()))

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "loader": self._loader, "version": self._version}

    def _exists(self) -> bool:
        return Path(self._get_load_path()).exists()
