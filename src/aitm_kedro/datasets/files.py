"""Small results: kedro-datasets' own classes, with saves that are whole or not there."""

from typing import Any

import pandas as pd
from kedro_datasets.json import JSONDataset
from kedro_datasets.matplotlib import MatplotlibDataset
from kedro_datasets.pandas import CSVDataset
from kedro_datasets.text import TextDataset

from aitm_kedro.datasets.atomic import Atomic


class JSON(Atomic, JSONDataset):
    """A dictionary as JSON."""


class OptionalJSON(JSON):
    """A dictionary that need not be there: an empty one is loaded then."""

    def load(self) -> Any:
        """Read the dictionary."""
        return super().load() if self.exists() else {}


class CSV(Atomic, CSVDataset):
    """A small pandas table as CSV."""


class OptionalCSV(CSV):
    """A small table that need not be there: None is loaded then."""

    def load(self) -> pd.DataFrame | None:
        """Read the table, or None if nothing was ever saved."""
        return super().load() if self.exists() else None


class Text(Atomic, TextDataset):
    """A text, such as a table in Markdown."""


class Figure(Atomic, MatplotlibDataset):
    """A matplotlib figure as PNG."""
