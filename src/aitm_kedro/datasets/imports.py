"""Classes and functions that the catalog names by their dotted path."""

import importlib
from typing import Any

from kedro.io import DatasetError
from kedro.utils import load_obj

from aitm_kedro.core.errors import InputError


def import_object(path: str, *, argument: str) -> Any:
    """Import what a dataset needs, at its first load or save: listing the catalog is to import nothing heavy.

    Args:
        path: "package.module.name".
        argument: of the dataset, for the message.

    Raises:
        DatasetError: there is no such thing.
    """
    try:
        return load_obj(path)
    except (ImportError, AttributeError, ValueError) as error:
        raise DatasetError(f"There is no '{path}': correct '{argument}' in the catalog. ({error})") from error


def import_extra(module: str, *, extra: str | None) -> Any:
    """Import a library that only some sources need.

    Args:
        module: to import.
        extra: of this project that installs it; None if there is none.

    Raises:
        InputError: it is not installed; the sentence says how to do that.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        if extra is None:
            raise InputError(
                f"There is no Python module '{module}': install it, or correct the catalog. ({error})"
            ) from error
        raise InputError(
            f"This source needs the Python module '{module}', which is not installed: run 'pip install "
            f'"aitm-kedro[{extra}]"\', or \'pip install -e ".[{extra}]"\' in the folder of the project. ({error})'
        ) from error
