"""Every model by name: one line each, in the order of the documentation. No library that learns is imported here."""

import difflib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from aitm_kedro.core.checksums import verify
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.learning.ensemble import ensemble
from aitm_kedro.learning.history import History
from aitm_kedro.learning.learner import HISTORY_FILE, SPEC_FILE, Learner, ModelSpec, Trained, read_json
from aitm_kedro.learning.lightgbm import LightGBM
from aitm_kedro.learning.logistic import Logistic
from aitm_kedro.learning.naive_bayes import NaiveBayes
from aitm_kedro.learning.network_options import (
    AITMOptions,
    ESMMOptions,
    MLPOptions,
    MMoEOptions,
    PLEOptions,
    ResFlowOptions,
    SharedBottomOptions,
)
from aitm_kedro.learning.networks.learner import network
from aitm_kedro.learning.parameters import Training

MODELS: dict[str, type[Learner]] = {
    "lightgbm": LightGBM,
    "mlp": network("mlp:MLP", MLPOptions),
    "shared_bottom": network("shared_bottom:SharedBottom", SharedBottomOptions),
    "esmm": network("esmm:ESMM", ESMMOptions),
    "omoe": network("omoe:OMoE", MMoEOptions),
    "mmoe": network("mmoe:MMoE", MMoEOptions),
    "ple": network("ple:PLE", PLEOptions),
    "resflow": network("resflow:ResFlow", ResFlowOptions),
    "aitm": network("aitm:AITM", AITMOptions, inspectable=True),
    "naive_bayes": NaiveBayes,
    "logistic": Logistic,
    "ensemble": ensemble(read_member=lambda folder: load_trained(folder)),
}


def find(name: str) -> type[Learner]:
    """The registered learner called ``name``.

    Raises:
        InputError: there is none.
    """
    if name not in MODELS:
        close = difflib.get_close_matches(name, MODELS, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"choose among {', '.join(MODELS)}"
        raise InputError(f"'{name}' is no registered model; {hint}")
    return MODELS[name]


def build(
    name: str, *, options: Parameters | dict[str, Any] | None = None, training: Training | None = None
) -> Learner:
    """A learner, with its defaults where nothing else is said.

    Args:
        name: a key of ``MODELS``.
        options: of the model.
        training: of all models.

    Raises:
        InputError: no model has this name.
    """
    learner = find(name)
    chosen = learner.Options.model_validate(options or {})
    return learner(name, chosen, training or Training())


def load_trained(folder: Path) -> Trained:
    """Read a trained model of any kind from the folder that ``Trained.save`` wrote.

    Raises:
        InputError: a file is missing or was changed, or this version of the project does not know what is written.
        OSError: a file is missing.
    """
    verify(folder, what=f"the model in '{folder}'")
    spec = read_json(folder / SPEC_FILE, ModelSpec.model_validate_json)
    learner = find(spec.model)
    try:
        learner.Options.model_validate(spec.options)
    except ValidationError as error:
        raise InputError(
            f"the model '{spec.model}' in '{folder}' was trained with options that this version does not know; train "
            "it again"
        ) from error
    history = read_json(folder / HISTORY_FILE, History.model_validate_json)
    return learner.load(folder, spec, history)
