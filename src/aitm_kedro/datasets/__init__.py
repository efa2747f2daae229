"""What the catalog can read and write."""

from aitm_kedro.datasets.ali_ccp import AliCCP, AliCCPReport
from aitm_kedro.datasets.examples import ExampleArrays
from aitm_kedro.datasets.files import CSV, JSON, Figure, OptionalCSV, OptionalJSON, Text
from aitm_kedro.datasets.simulated_funnel import SimulatedFunnel
from aitm_kedro.datasets.tables import ArrowTable, Frame, OptionalFrame, Table
from aitm_kedro.datasets.weights import BoosterTexts, SafetensorsWeights

__all__ = [
    "CSV",
    "JSON",
    "AliCCP",
    "AliCCPReport",
    "ArrowTable",
    "BoosterTexts",
    "ExampleArrays",
    "Figure",
    "Frame",
    "OptionalCSV",
    "OptionalFrame",
    "OptionalJSON",
    "SafetensorsWeights",
    "SimulatedFunnel",
    "Table",
    "Text",
]
