"""What the catalog can read and write."""

from aitm_kedro.datasets.files import CSV, JSON, Figure, Text
from aitm_kedro.datasets.simulated_funnel import SimulatedFunnel
from aitm_kedro.datasets.tables import ArrowTable, Frame, Table
from aitm_kedro.datasets.weights import SafetensorsWeights

__all__ = ["CSV", "JSON", "ArrowTable", "Figure", "Frame", "SafetensorsWeights", "SimulatedFunnel", "Table", "Text"]
