"""Small results, with saves that are whole or not there: kedro-datasets' own classes, and typed results as JSON."""

import math
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from kedro.io import AbstractVersionedDataset, DatasetError
from kedro_datasets._typing import JSONPreview
from kedro_datasets.json import JSONDataset
from kedro_datasets.matplotlib import MatplotlibDataset
from kedro_datasets.pandas import CSVDataset
from kedro_datasets.text import TextDataset
from pydantic import BaseModel, ValidationError

from aitm_kedro.core.storage import reason_of
from aitm_kedro.datasets.atomic import Atomic
from aitm_kedro.datasets.imports import import_object


class JSON(Atomic, JSONDataset):
    """A dictionary as JSON."""


class OptionalJSON(JSON):
    """A dictionary that need not be there: an empty one is loaded then."""

    def load(self) -> Any:
        """Read the dictionary."""
        return super().load() if self.exists() else {}


class TypedJSON(Atomic, AbstractVersionedDataset[BaseModel, BaseModel | None]):
    """An instance of a pydantic model as JSON: what is loaded has been validated.

    Example:
        ```yaml
        aitm.metrics:
          type: aitm_kedro.datasets.TypedJSON
          filepath: data/07_model_output/metrics.json
          schema: aitm_kedro.evaluation.results.Metrics
          versioned: true
        ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        schema: str,
        version: Any = None,
        metadata: dict[str, Any] | None = None,
        optional: bool = False,
    ) -> None:
        """Describe a file; nothing is imported or read yet.

        Args:
            filepath: the file.
            schema: dotted path of the pydantic model.
            version: Kedro's load and save version.
            metadata: ignored; for plugins such as Kedro-Viz.
            optional: whether None is loaded where nothing was ever saved.
        """
        super().__init__(filepath=PurePosixPath(filepath), version=version)
        self._schema, self._optional = schema, optional
        self.metadata = metadata

    def load(self) -> BaseModel | None:
        """Read and validate the file, or give None if it may be missing and is.

        Raises:
            DatasetError: it is missing, damaged, or of another version of the project.
        """
        if self._optional and not self.exists():
            return None
        path = Path(self._get_load_path())
        try:
            loaded: BaseModel = self._model().model_validate_json(path.read_bytes())
        except OSError as error:
            raise DatasetError(f"'{path}' cannot be read: {reason_of(error)}.") from error
        except ValidationError as error:
            raise DatasetError(f"'{path}' {_problem(error)}: run the node that writes it again.") from error
        return loaded

    def preview(self) -> JSONPreview:
        """The file for Kedro-Viz."""
        return JSONPreview(Path(self._get_load_path()).read_text() if self.exists() else "{}")

    def _write(self, data: BaseModel) -> None:
        model = self._model()
        if not isinstance(data, model):
            raise DatasetError(
                f"'{self._filepath}' holds {model.__name__} ('schema' in the catalog), but the node returned "
                f"{type(data).__name__}."
            )
        for place, number in _not_finite(data.model_dump()):
            raise DatasetError(f"'{self._filepath}' was not saved: {place} is {number}, which JSON cannot hold.")
        Path(self._get_save_path()).write_text(data.model_dump_json(indent=2), encoding="utf-8")

    def _model(self) -> type[BaseModel]:
        model: type[BaseModel] = import_object(self._schema, argument="schema")
        return model

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "schema": self._schema, "version": self._version}

    def _exists(self) -> bool:
        return Path(self._get_load_path()).exists()


def _problem(error: ValidationError) -> str:
    """The first thing that is wrong with a file."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return f"is damaged ({first['msg']})"
    place = ".".join(str(part) for part in first["loc"])
    return f"was written by another version of the project ({f'{place}: ' if place else ''}{first['msg']})"


def _not_finite(value: Any, place: str = "") -> Iterator[tuple[str, float]]:
    """NaN and infinities in nested dictionaries and lists, with where they are."""
    if isinstance(value, float) and not math.isfinite(value):
        yield place, value
    elif isinstance(value, Mapping):
        for name, part in value.items():
            yield from _not_finite(part, f"{place}.{name}" if place else str(name))
    elif isinstance(value, list | tuple | set | frozenset):
        for number, part in enumerate(value):
            yield from _not_finite(part, f"{place}[{number}]")


class CSV(Atomic, CSVDataset):
    """A small pandas table as CSV."""


class Text(Atomic, TextDataset):
    """A text, such as a table in Markdown."""


class Figure(Atomic, MatplotlibDataset):
    """A matplotlib figure as PNG."""
