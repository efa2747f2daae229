"""One dataset for all seeds of a run: what each of them has saved, read together."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

Loaders = dict[int, Callable[[], Any]]
"""Seed -> function that loads what was saved with it."""


class Seeds(AbstractDataset[Any, Loaders]):
    """A view of the datasets of all seeds of a run.

    Between a run and those who read its results there is one dataset then, in Kedro-Viz too, however many seeds there
    are. As with Kedro's ``PartitionedDataset``, what is loaded are functions, of the seeds that have saved something.

    Example:
        ```yaml
        "{run}_results@metrics":
          type: aitm_kedro.datasets.Seeds
          each: "{run}.seed*.metrics"
          dataset:
            type: aitm_kedro.datasets.TypedJSON
            filepath: data/07_model_output/{run}/seed*/metrics.json
            schema: aitm_kedro.evaluation.results.Metrics
            versioned: true
        ```
    """

    def __init__(self, *, each: str, dataset: dict[str, Any], metadata: dict[str, Any] | None = None) -> None:
        """Describe a view; nothing is read yet.

        Args:
            each: name in the catalog of what one seed saves, with ``*`` in place of the seed.
            dataset: its entry in the catalog, with ``*`` in place of the seed in ``filepath``.
            metadata: ignored; for plugins such as Kedro-Viz.
        """
        self._each, self._dataset = each, dataset
        self.metadata = metadata

    def load(self) -> Loaders:
        """A function for each seed that has saved something, in order of seeds."""
        return {seed: dataset.load for seed, dataset in self._datasets().items()}

    def save(self, data: Any) -> None:
        """Write nothing: every seed has saved its own results. What is saved here tells Kedro that all have."""

    def versions(self) -> dict[str, str]:
        """Name in the catalog -> version in force of what each seed has saved."""
        found = {seed: dataset.resolve_load_version() for seed, dataset in self._datasets().items()}
        return {self._each.replace("*", str(seed)): version for seed, version in found.items() if version}

    def _datasets(self) -> dict[int, Any]:
        """The dataset of every seed that has saved something."""
        path = Path(self._dataset["filepath"])
        start = next(number for number, part in enumerate(path.parts) if "*" in part)
        seed = re.compile(re.escape(str(path)).replace(r"\*", r"(\d+)"))
        paths = Path(*path.parts[:start]).glob(str(Path(*path.parts[start:])))
        named = sorted((int(match[1]), found) for found in paths if (match := seed.fullmatch(str(found))))
        datasets = {number: self._dataset_of(number, str(found)) for number, found in named}
        return {number: dataset for number, dataset in datasets.items() if dataset.exists()}

    def _dataset_of(self, seed: int, path: str) -> Any:
        return AbstractDataset.from_config(self._each.replace("*", str(seed)), self._dataset | {"filepath": path})

    def _describe(self) -> dict[str, Any]:
        return {"filepath": self._dataset["filepath"], "each": self._each}

    def _exists(self) -> bool:
        return bool(self._datasets())
