"""What the catalog can read and write."""

from aitm_kedro.datasets.ali_ccp import AliCCP, AliCCPReport
from aitm_kedro.datasets.delta import DeltaTable
from aitm_kedro.datasets.examples import ExampleArrays, ExampleFingerprints
from aitm_kedro.datasets.files import CSV, JSON, Figure, OptionalJSON, Text, TypedJSON
from aitm_kedro.datasets.folders import ModelFolder
from aitm_kedro.datasets.seeds import Seeds
from aitm_kedro.datasets.simulated_funnel import SimulatedFunnel
from aitm_kedro.datasets.sql import SQLTable
from aitm_kedro.datasets.tables import ArrowTable, Frame, OptionalFrame, ParquetStream, Table

__all__ = [
    "CSV",
    "JSON",
    "AliCCP",
    "AliCCPReport",
    "ArrowTable",
    "DeltaTable",
    "ExampleArrays",
    "ExampleFingerprints",
    "Figure",
    "Frame",
    "ModelFolder",
    "OptionalFrame",
    "OptionalJSON",
    "ParquetStream",
    "SQLTable",
    "Seeds",
    "SimulatedFunnel",
    "Table",
    "Text",
    "TypedJSON",
]
