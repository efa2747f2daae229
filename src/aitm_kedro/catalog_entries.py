"""Entries of the catalog, checked before anything runs: each names a dataset and gives it what it takes."""

import difflib
import inspect
from collections.abc import Mapping
from typing import Any

from kedro.io import DatasetError
from kedro.io.core import parse_dataset_definition

from aitm_kedro import datasets
from aitm_kedro.config.sentences import nearest, shown, stop
from aitm_kedro.core.errors import InputError

OWN = "aitm_kedro.datasets."

CATALOG_KEYS = {"type", "versioned", "validator"}
"""Keys of a catalog entry that Kedro reads; all others go to the dataset."""


def check_entry(name: str, entry: Mapping[str, Any], place: str) -> None:
    """Check that an entry of the catalog names a dataset and gives it what it takes.

    Args:
        name: of the entry.
        entry: its keys and values.
        place: where it stands.

    Raises:
        InputError: it has no type, an unknown one, or a key that the dataset does not take.
    """
    if not isinstance(entry.get("type"), str):
        raise InputError(
            f"{place}: the entry '{name}' has no 'type'; name the class of a dataset, for a table 'type: {OWN}Table'."
        )
    takes = inspect.signature(_dataset_class(name, entry, place)).parameters.values()
    if any(each.kind is each.VAR_KEYWORD for each in takes):
        return
    known = [each.name for each in takes if each.name != "version"]
    for key in entry:
        if key not in known and key not in CATALOG_KEYS:
            hint = nearest(str(key), known, known="it takes")
            raise InputError(
                stop(f"{place}: the entry '{name}' has the key '{key}', which {entry['type']} does not take; {hint}")
            )
    if "connection" in known and not isinstance(entry.get("connection", {}), dict):
        raise InputError(
            f"{place}: the 'connection' of the entry '{name}' must be a mapping with a 'backend', as in globals.yml; "
            f"it is {shown(entry['connection'])}."
        )
    for each in takes:
        if each.name in known and each.name not in entry and each.default is each.empty:
            raise InputError(f"{place}: the entry '{name}' lacks '{each.name}', which {entry['type']} needs.")


def _dataset_class(name: str, entry: Mapping[str, Any], place: str) -> type:
    kind = entry["type"]
    try:
        return parse_dataset_definition({"type": kind})[0]
    except DatasetError as error:
        own = difflib.get_close_matches(kind.rpartition(".")[2], datasets.__all__, n=1)
        hint = f"did you mean '{OWN}{own[0]}'?" if own else " ".join(str(error).partition("\nHint")[0].split())
        sentence = f"{place}: the entry '{name}' has the type '{kind}', which cannot be found; {hint}"
        raise InputError(stop(sentence)) from None
