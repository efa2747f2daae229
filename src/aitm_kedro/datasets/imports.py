"""Classes and functions that the catalog names by their dotted path."""

from typing import Any

from kedro.io import DatasetError
from kedro.utils import load_obj


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
