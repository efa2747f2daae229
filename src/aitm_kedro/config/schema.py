"""Every key that may stand at the top of a parameters file, and what no single key can check."""

import difflib
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from aitm_kedro.artifacts.parameters import Scoring
from aitm_kedro.config.runs import RunTable, Seeds, resolve_runs
from aitm_kedro.config.sentences import first_complaint
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.core.published import Published
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.explain.parameters import Reporting
from aitm_kedro.learning.parameters import Training
from aitm_kedro.learning.registry import MODELS
from aitm_kedro.sources.ali_ccp.parameters import AliCCPFiles
from aitm_kedro.tables.parameters import Ingestion, Labels, Sampling, Split, VocabularyOptions

MODEL_OPTIONS: dict[str, type[Parameters]] = {name: learner.Options for name, learner in MODELS.items()}
"""Every model that can be trained, with the class of its options."""

PREPARATION = ("ali_ccp", "funnel", "features", "ingestion", "labels", "split", "sampling", "vocabulary")
"""Keys by which the encoded examples come about."""

TOP_LEVEL: dict[str, Any] = {
    "ali_ccp": AliCCPFiles,
    "funnel": Funnel,
    "features": Features,
    "ingestion": Ingestion,
    "labels": Labels,
    "split": Split,
    "sampling": Sampling,
    "vocabulary": VocabularyOptions,
    "published": Published,
    "runs": RunTable,
    "seeds": Seeds,
    "reference": str,
    "explain": str | None,
    "training": Training,
    **MODEL_OPTIONS,
    "evaluation": Evaluation,
    "reporting": Reporting,
    "scoring": Scoring,
    "keep_versions": Annotated[int, Field(ge=1)] | None,
}
"""Every key, with the type of its value."""


def with_defaults(key: str, value: Any) -> Any:
    """A parameter as JSON holds it, with the defaults of what is not written.

    Args:
        key: of ``TOP_LEVEL``.
        value: raw, or an object of its class.

    Raises:
        ValidationError: it is wrong in itself.
    """
    kind = TypeAdapter(TOP_LEVEL[key])
    if value is None and isinstance(TOP_LEVEL[key], type):
        value = {}
    return kind.dump_python(kind.validate_python(value), mode="json")


def check_parameters(parameters: Mapping[str, Any]) -> None:
    """Check the raw top-level keys together, before anything runs.

    Raises:
        InputError: a key is unknown, a model is given an option of another one, a feature would tell the answer, a run
            is wrong, or files are described wrongly.
    """
    forbid_unknown_keys(parameters)
    forbid_foreign_options(parameters)
    check_blocks(parameters)
    resolve_runs(parameters)
    forbid_leakage(parameters)
    check_task_weights(parameters)


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


def forbid_leakage(parameters: Mapping[str, Any]) -> None:
    """Check that no feature is a label or the truth (label leakage).

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


def check_blocks(parameters: Mapping[str, Any]) -> None:
    """Raise InputError for a key that no node validates because it is read before or after the nodes, or by runs."""
    for key in ("ali_ccp", "keep_versions", "scoring", *MODEL_OPTIONS):
        if key not in parameters:
            continue
        try:
            with_defaults(key, parameters[key])
        except ValidationError as error:
            raise InputError(f"The parameters are wrong at {first_complaint(error, key=key)}.") from None


def check_task_weights(parameters: Mapping[str, Any]) -> None:
    """Raise InputError for a task weight of a step that the funnel lacks."""
    try:
        funnel = Funnel.model_validate(parameters["funnel"])
        training = Training.model_validate(parameters.get("training") or {})
    except (KeyError, ValidationError):  # Kedro lists what is wrong in itself
        return
    for step in training.task_weights:
        if step not in funnel.steps:
            raise InputError(
                f"The parameter training.task_weights names '{step}', but funnel.steps are {', '.join(funnel.steps)}; "
                "name one of them."
            )
