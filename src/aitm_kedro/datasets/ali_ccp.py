"""``AliCCP``: the public Ali-CCP files, as downloaded, as a source of the catalog; and what reading them met."""

import json
from pathlib import Path
from typing import Any, NoReturn

from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import JSONPreview

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.datasets.sources import MadeOnce
from aitm_kedro.sources.ali_ccp import Options, choose_fields, ensure_impressions, locate_impressions
from aitm_kedro.sources.ali_ccp.parameters import AliCCPFiles


class AliCCP(MadeOnce):
    """The impressions of Ali-CCP as a lazy Ibis table; read-only.

    The first load reads the four files, or the archives as downloaded, and keeps the impressions as Parquet; later
    ones read that. Other fields, or other files, are read anew.

    Columns: impression_id (the sample id; in test, where the ids start again, plus 10**12), split (train or test),
    click, purchase, and the fields by their numbers: ids int64, null where unknown. A multi-valued field is a list of
    ids, with a list of its weights beside it (``<field>_weights``) if ``features`` asks for them.

    Example:
        ```yaml
        raw_impressions:
          type: aitm_kedro.datasets.AliCCP
          filepath: data/01_raw/ali_ccp
          path: data/02_intermediate/ali_ccp/source
          connection: ${globals:connection}
        ```
    """

    def __init__(
        self,
        *,
        filepath: str,
        path: str,
        features: dict[str, Any] | None = None,
        max_values: int | None = None,
        max_unreadable: float = AliCCPFiles().max_unreadable,
        connection: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the source; nothing is read yet.

        Args:
            filepath: folder with the four files, or with sample_train.tar.gz and sample_test.tar.gz.
            path: folder for the impressions as Parquet.
            features: the parameter ``features``; the fields that it names are read. Default: the paper's 18.
            max_values: values of a multi-valued field that a row keeps, the heaviest ones; default: all.
            max_unreadable: share of the lines of a file that may be unreadable; more of them stop the run.
            connection: Ibis backend that reads the Parquet file; default: DuckDB in memory.
            metadata: ignored; for plugins such as Kedro-Viz.

        Raises:
            InputError: a feature is no field of Ali-CCP.
        """
        self._folder, self._target = Path(filepath), Path(path)
        self._options = _options(features, max_values, max_unreadable)
        self._use(connection)
        self.metadata = metadata

    @property
    def path(self) -> Path:
        """The Parquet file of these fields of these files, whether it is there or not."""
        return locate_impressions(self._folder, self._target, self._options).impressions

    def _make(self) -> None:
        ensure_impressions(self._folder, self._target, self._options)

    def _exists(self) -> bool:
        try:
            return super()._exists()
        except InputError:  # there are no files to read
            return False

    def _describe(self) -> dict[str, Any]:
        return {
            "filepath": str(self._folder),
            "path": str(self._target),
            "fields": [*self._options.fields.single, *self._options.fields.multi],
            "backend": self._connection_config["backend"],
        }


class AliCCPReport(AbstractDataset[NoReturn, dict[str, Any]]):
    """What reading the files of Ali-CCP met, as a dictionary: an account of every line."""

    def __init__(
        self,
        *,
        filepath: str,
        path: str,
        features: dict[str, Any] | None = None,
        max_values: int | None = None,
        max_unreadable: float = AliCCPFiles().max_unreadable,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Describe the source as for ``AliCCP``, without its connection."""
        self._folder, self._target = Path(filepath), Path(path)
        self._options = _options(features, max_values, max_unreadable)
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """The account; the files are read first if they have not been."""
        read = ensure_impressions(self._folder, self._target, self._options)
        account: dict[str, Any] = json.loads(read.report.read_text())
        return account

    def save(self, data: NoReturn) -> None:
        """Raise DatasetError: the account is read-only."""
        raise DatasetError("AliCCPReport is read-only; save to another dataset")

    def preview(self) -> JSONPreview:
        """The account for Kedro-Viz; nothing if the files have not been read yet."""
        return JSONPreview(json.dumps(self.load() if self._exists() else {}))

    def _exists(self) -> bool:
        try:
            return locate_impressions(self._folder, self._target, self._options).report.exists()
        except InputError:  # there are no files to read
            return False

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._folder), "path": str(self._target)}


def _options(features: dict[str, Any] | None, max_values: int | None, max_unreadable: float) -> Options:
    fields = choose_fields(Features.model_validate(features) if features else None)
    return Options(fields=fields, max_values=max_values, max_unreadable=max_unreadable)
