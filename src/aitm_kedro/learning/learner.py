"""The contract of everything that learns: a learner fits examples and gives a trained model, which predicts.

Networks, trees and linear models keep it alike; nodes, bundles and the comparison know nothing else of them. The file
of a learner imports its library (torch, LightGBM, scikit-learn) only where it is used, so that options can be read
without it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self, TypeVar

import numpy as np
from pydantic import Field, ValidationError

from aitm_kedro.core.checksums import seal
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.examples import Examples
from aitm_kedro.core.features import FeatureSpec, sizes_of
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.core.provenance import Result, Source, fingerprint_of
from aitm_kedro.learning.history import History
from aitm_kedro.learning.parameters import Training

# N = examples, T = steps

SPEC_FILE, HISTORY_FILE = "model.json", "history.json"

Read = TypeVar("Read")


class ModelSpec(Result):
    """What a trained model was built from: enough to build it again before its numbers are read.

    Attributes:
        format: of the folder that a model is saved in.
        model: name in the registry.
        options: of the model, every one of them.
        steps: in funnel order.
        features: what it was trained on, in the order of the ids.
        data: fingerprints of what it was trained on; what is not there is not known.
    """

    format: Literal[1] = 1
    model: str
    options: dict[str, Any]
    steps: tuple[str, ...]
    features: tuple[FeatureSpec, ...]
    data: dict[Source, str] = Field(default_factory=dict)


class _Training(Result):
    """What tells a training from every other one: even of the same rows no two take the same time."""

    spec: ModelSpec
    history: History


class Trained(ABC):
    """A trained model.

    A subclass writes ``_predict`` and ``_save``; its learner reads it again.

    Attributes:
        spec: what it was built from.
        history: how its training went.
    """

    def __init__(self, spec: ModelSpec, history: History) -> None:
        self.spec = spec
        self.history = history

    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that differ between any two trainings, in memory and on disk alike."""
        return fingerprint_of(_Training(spec=self.spec, history=self.history))

    def predict(self, examples: Examples) -> np.ndarray:
        """Probabilities of every step, end to end from the impression, float32 [N, T].

        They are those of the rows as trained on: ``artifacts.correction`` undoes the downsampling.

        Raises:
            InputError: the examples have other fields than the model was trained on, were encoded by another
                vocabulary, or have ids that it does not know.
        """
        check_fits(self.spec, examples)
        return self._predict(examples)

    def place(self, *, device: str = "auto", threads: int | None = None) -> Self:
        """Say where to predict; for models that have a choice.

        Raises:
            InputError: the device is not there.
        """
        return self

    def save(self, folder: Path) -> None:
        """Write the model into a new folder, in open formats (JSON, safetensors, LightGBM's text), with checksums."""
        folder.mkdir()
        (folder / SPEC_FILE).write_text(self.spec.model_dump_json(indent=2))
        (folder / HISTORY_FILE).write_text(self.history.model_dump_json(indent=2))
        self._save(folder)
        seal(folder)

    @abstractmethod
    def _predict(self, examples: Examples) -> np.ndarray:
        """Predict examples that are known to fit."""

    @abstractmethod
    def _save(self, folder: Path) -> None:
        """Write the numbers learnt."""


class Learner(ABC):
    """A way to learn, with its options.

    Attributes:
        Options: class of the options, the value of the model's key in ``conf/*/parameters``; readable without the
            library that learns.
        reads_training: the parameter ``training`` counts as a whole, and not its task weights alone.
        deterministic: nothing is drawn, so that one seed says it all.
        blends: it learns from the models of other runs, its options ``members`` (``learning.ensemble``).
        inspectable: a trained model has ``inspect``, which the figures look into.
    """

    Options: ClassVar[type[Parameters]]
    reads_training: ClassVar[bool] = False
    deterministic: ClassVar[bool] = False
    blends: ClassVar[bool] = False
    inspectable: ClassVar[bool] = False

    def __init__(self, name: str, options: Parameters, training: Training) -> None:
        """Say what to learn with.

        Args:
            name: in the registry.
            options: an instance of ``Options``.
            training: the parameter ``training``; ``task_weights`` count for all, the rest for networks.
        """
        self.name, self.options, self.training = name, options, training

    @abstractmethod
    def fit(
        self, train: Examples, valid: Examples, *, features: Sequence[FeatureSpec], funnel: Funnel, seed: int
    ) -> Trained:
        """Learn from train; what is chosen, is chosen by validation.

        Args:
            train: what to learn from; ``row_weights``, if there are any, have a mean of 1.
            valid: what chooses and stops; not what learners are compared on (``learning.validation``).
            features: specs of the fields, in their order.
            funnel: the steps; the main ones decide.
            seed: of everything drawn.

        Raises:
            InputError: nothing can be learnt from these rows.
        """

    @classmethod
    @abstractmethod
    def load(cls, folder: Path, spec: ModelSpec, history: History) -> Trained:
        """Read the numbers learnt from the folder that ``Trained.save`` wrote; ``registry.load_trained`` calls it.

        Raises:
            InputError: they are damaged, or do not fit what the model was built from.
            OSError: a file is missing.
        """

    def spec(self, train: Examples, features: Sequence[FeatureSpec]) -> ModelSpec:
        """What the model is built from."""
        return ModelSpec(
            model=self.name,
            options=self.options.model_dump(mode="json"),
            steps=train.steps,
            features=tuple(features),
            data={} if train.vocabulary is None else {"vocabulary": train.vocabulary},
        )


def stored_fingerprint(folder: Path) -> str:
    """``Trained.fingerprint`` of a saved model, without its numbers or the library that reads them.

    Raises:
        InputError: the folder is damaged, or of another version of the project.
        OSError: a file is missing.
    """
    spec = read_json(folder / SPEC_FILE, ModelSpec.model_validate_json)
    history = read_json(folder / HISTORY_FILE, History.model_validate_json)
    return fingerprint_of(_Training(spec=spec, history=history))


def check_fits(spec: ModelSpec, examples: Examples) -> None:
    """Make sure that a model and examples speak of the same fields and ids.

    Raises:
        InputError: they do not.
    """
    trained = tuple(feature.name for feature in spec.features)
    if trained != examples.fields:
        raise InputError(
            f"the model '{spec.model}' was trained with the fields {list(trained)} but the examples have "
            f"{list(examples.fields)}; run preparation and modelling again"
        )
    if examples.vocabulary not in (None, spec.data.get("vocabulary")):
        raise InputError(
            f"the model '{spec.model}' was trained with the vocabulary {spec.data.get('vocabulary', '(not known)')}, "
            f"but the examples were encoded by the vocabulary {examples.vocabulary}, where ids mean something else; "
            "train the model again, or take the examples of its own preparation"
        )
    check_ids(examples, spec.features)


def check_ids(examples: Examples, features: Sequence[FeatureSpec]) -> None:
    """Make sure that every id is one of its field: all fields share one table, so a stray id would read another's row.

    Raises:
        InputError: examples and specs are of different runs.
    """
    largest = [*examples.ids.max(axis=0, initial=0), *(part.values.max(initial=0) for part in examples.lists.values())]
    for field, size, found in zip(examples.fields, sizes_of(features), largest, strict=True):
        if found >= size:
            raise InputError(
                f"the examples have id {found} of '{field}', whose vocabulary has {size} ids; they come from "
                "different runs: run preparation and modelling again"
            )


def check_values(examples: Examples, features: Sequence[FeatureSpec], *, model: str) -> None:
    """Make sure that the values of all numeric features stand beside their bins.

    Raises:
        InputError: they do not.
    """
    wanted = tuple(feature.name for feature in features if feature.kind == "numeric")
    if wanted != examples.numeric:
        raise InputError(
            f"'{model}' reads the values of {list(wanted)} instead of their bins, but the examples have those of "
            f"{list(examples.numeric)}; run preparation and modelling again"
        )


def step_weights(examples: Examples, step: str, training: Training) -> np.ndarray | None:
    """What each row counts in the loss of one step, float32 [N]; None where all count alike.

    For learners of one model a step. A weight of the task scales the loss against the regularisation.
    """
    weight = training.task_weight(step)
    if examples.row_weights is None:
        return None if weight == 1 else np.full(len(examples), weight, np.float32)
    return examples.row_weights * np.float32(weight)


def read_json(path: Path, parse: Callable[[str], Read]) -> Read:
    """Read a JSON file of a model.

    Raises:
        InputError: it is damaged, or of a version of the project that this one does not know.
        OSError: it is not there.
    """
    try:
        return parse(path.read_text())
    except (ValidationError, UnicodeDecodeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else {"loc": (), "msg": str(error)}
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InputError(
            f"'{path}' is damaged or of another version of the project ({place}: {first['msg']}); train the model again"
        ) from error
