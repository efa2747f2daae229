"""Every key that may stand at the top of a parameters file, and what no single key can check."""

import difflib
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.core.published import Published
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.explain.parameters import Reporting
from aitm_kedro.learning.lightgbm import LightGBMOptions
from aitm_kedro.learning.logistic import LogisticOptions
from aitm_kedro.learning.networks import NETWORKS
from aitm_kedro.learning.parameters import Training
from aitm_kedro.sources.ali_ccp.parameters import AliCCPFiles
from aitm_kedro.tables.parameters import Ingestion, Labels, Sampling, Split, VocabularyOptions

MODEL_OPTIONS: dict[str, type[Parameters]] = {
    "lightgbm": LightGBMOptions,
    **{name: network.Options for name, network in NETWORKS.items()},
    "logistic": LogisticOptions,
}
"""Every model that can be trained, with the class of its options, in the order of the tables."""

TOP_LEVEL: dict[str, type[BaseModel]] = {
    "ali_ccp": AliCCPFiles,
    "funnel": Funnel,
    "features": Features,
    "ingestion": Ingestion,
    "labels": Labels,
    "split": Split,
    "sampling": Sampling,
    "vocabulary": VocabularyOptions,
    "published": Published,
    "training": Training,
    **MODEL_OPTIONS,
    "evaluation": Evaluation,
    "reporting": Reporting,
}
"""Every key, with the class that reads it."""


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check the raw top-level keys together, before anything runs.

    Raises:
        InputError: a key is unknown, a model is given an option of another one, a feature would tell the answer, or
            files are described wrongly.
    """
    forbid_unknown_keys(parameters)
    forbid_foreign_options(parameters)
    forbid_leaks(parameters)
    check_source(parameters)


def forbid_unknown_keys(parameters: Mapping[str, Any]) -> None:
    """Raise InputError for a top-level parameter key that no part of the project reads."""
    for key in parameters:
        if key not in TOP_LEVEL:
            close = difflib.get_close_matches(key, TOP_LEVEL, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else f" Known keys: {', '.join(TOP_LEVEL)}."
            raise InputError(f"The parameters have an unknown key '{key}'.{hint}")


def forbid_foreign_options(parameters: Mapping[str, Any]) -> None:
    """Raise InputError for an option of a model that is another model's; pydantic would only call it unknown."""
    for model, options in MODEL_OPTIONS.items():
        given = parameters.get(model)
        if not isinstance(given, Mapping):
            continue
        for name in given:
            owners = [other for other, theirs in MODEL_OPTIONS.items() if name in theirs.model_fields]
            if name in Training.model_fields:
                owners = ["training, which all networks share"]
            if owners and name not in options.model_fields:
                raise InputError(
                    f"The parameters give '{model}' the option '{name}', which belongs to {', '.join(owners)}. Options "
                    f"of '{model}': {', '.join(options.model_fields)}."
                )


def forbid_leaks(parameters: Mapping[str, Any]) -> None:
    """Check that no feature is a label or the truth.

    Args:
        parameters: the raw top-level keys; parts that are wrong in themselves are passed over, since Kedro lists
            all of them together when it validates the inputs of the nodes.

    Raises:
        InputError: if a feature would tell a model the answer.
    """
    try:
        funnel, features = Funnel.model_validate(parameters["funnel"]), Features.model_validate(parameters["features"])
    except (KeyError, ValidationError):
        return
    try:
        features.forbid_labels(funnel)
    except ValueError as error:
        raise InputError(f"The parameters contradict each other: {error}.") from None


def check_source(parameters: Mapping[str, Any]) -> None:
    """Raise InputError if ``ali_ccp`` is wrong, which the catalog reads and so no node validates."""
    try:
        AliCCPFiles.model_validate(parameters.get("ali_ccp") or {})
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, ("ali_ccp", *first["loc"])))
        raise InputError(f"The parameter {place} is {first['input']!r}: {first['msg']}.") from None
