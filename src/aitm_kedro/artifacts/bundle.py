"""The bundle: one folder with everything that predicting needs, in open formats, sealed by checksums.

manifest.json       what it is: funnel, columns, keep rates, metrics, provenance
vocabulary.parquet  ids of every value
model/              the trained model (``learning.learner.Trained.save``)
checksums.json      SHA-256 of every other file
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import Field, ValidationError

from aitm_kedro.core.checksums import seal, verify
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.provenance import Provenance, Result, fingerprint_of
from aitm_kedro.evaluation.results import Evaluated
from aitm_kedro.learning.history import mean_auc
from aitm_kedro.learning.learner import Trained
from aitm_kedro.learning.registry import load_trained
from aitm_kedro.tables.reports import KeepRates

FORMAT: Literal[1] = 1
MANIFEST, VOCABULARY, MODEL = "manifest.json", "vocabulary.parquet", "model"


class Manifest(Result):
    """What a bundle is.

    Attributes:
        format: of the folder.
        run: name of the run.
        model: in the registry.
        seed: of its training.
        funnel: the steps.
        features: columns that the model was offered; those that are constant in train it does not need.
        rename: {name here: name in the raw table}, of the parameter ``ingestion``.
        trim: whether spaces around text count, of the parameter ``ingestion``.
        keep_rates: of the downsampling of train, which the predictions are corrected for.
        weights: fingerprint of the model (``learning.learner.Trained.fingerprint``).
        valid_auc: AUC of each step on the rows of validation that had no say in the training.
        learnt: whether it says more of validation than constant probabilities do.
        unknown_shares: feature -> share of validation rows in which it is null, or holds no value that train has
            taught; empty: not known (older bundles).
        test: metrics on test.
        trained: where the model comes from.
        judged: where the metrics of test come from.
    """

    format: Literal[1] = FORMAT
    run: str
    model: str
    seed: int
    funnel: Funnel
    features: Features
    rename: dict[str, str] = Field(default_factory=dict)
    trim: bool = False
    keep_rates: KeepRates
    weights: str
    valid_auc: dict[str, float | None]
    learnt: bool = True
    unknown_shares: dict[str, float] = Field(default_factory=dict)
    test: Evaluated | None
    trained: Provenance
    judged: Provenance

    @property
    def validation_score(self) -> float | None:
        """Mean validation AUC of the main steps that have one: by it the best run is chosen."""
        return mean_auc(self.valid_auc, self.funnel.main_steps)


class Bundle:
    """A trained model with all that is needed to use it.

    Attributes:
        manifest: what it is.
    """

    def __init__(self, manifest: Manifest, trained: Trained, vocabulary: pa.Table) -> None:
        self.manifest = manifest
        self._trained, self._vocabulary = trained, vocabulary

    @property
    def trained(self) -> Trained:
        """The trained model."""
        return self._trained

    @property
    def vocabulary(self) -> pa.Table:
        """Ids of every value of every feature (``tables.vocabulary.SCHEMA``)."""
        return self._vocabulary

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ where the model, or anything that the manifest says, does."""
        return fingerprint_of(self.manifest)

    def save(self, folder: Path) -> None:
        """Write the bundle into a new folder."""
        folder.mkdir()
        (folder / MANIFEST).write_text(self.manifest.model_dump_json(indent=2))
        pq.write_table(self.vocabulary, folder / VOCABULARY, compression="zstd")
        self.trained.save(folder / MODEL)
        seal(folder)


class StoredBundle(Bundle):
    """A bundle on disk, whose model and vocabulary are read when they are first used."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @cached_property
    def trained(self) -> Trained:
        """The trained model, on the CPU."""
        return load_trained(self.folder / MODEL)

    @cached_property
    def vocabulary(self) -> pa.Table:
        """Ids of every value of every feature."""
        return pq.read_table(self.folder / VOCABULARY)


def load_bundle(path: Path | str) -> StoredBundle:
    """Open a bundle, which needs nothing outside of its folder.

    Args:
        path: the folder; or one with versions of it, as the catalog keeps them, of which the newest is taken.

    Raises:
        InputError: there is no bundle, a file is missing or was changed, or its format is not known here.
    """
    folder = _find(Path(path))
    what = f"the bundle '{folder}'"
    verify(folder, what=what)
    return StoredBundle(folder, _read_manifest(folder, what=what))


def _read_manifest(folder: Path, *, what: str) -> Manifest:
    text = (folder / MANIFEST).read_text()
    try:
        facts = json.loads(text)
    except ValueError:
        facts = None
    if not isinstance(facts, dict):
        raise InputError(f"{MANIFEST} of {what} cannot be read: it is no JSON object; train the model again")
    written = facts.get("format")
    if written != FORMAT:
        raise InputError(
            f"{what} has the format {written}, and this version of aitm-kedro reads format {FORMAT}; use the version "
            "that wrote it, or train the model again"
        )
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(
            f"{what} was written by another version of aitm-kedro ({place}: {first['msg']}); train the model again"
        ) from error


def _find(path: Path) -> Path:
    if (path / MANIFEST).is_file():
        return path
    versions = sorted(path.glob(f"*/{path.name}/{MANIFEST}"))
    if not versions:
        raise InputError(f"there is no bundle in '{path}': it has no {MANIFEST}; train the model, or correct the path")
    return versions[-1].parent
