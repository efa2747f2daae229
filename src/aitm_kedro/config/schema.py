"""Every key that may stand at the top of a parameters file, and what no single key can check."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from aitm_kedro.artifacts.parameters import Scoring
from aitm_kedro.config.runs import RunOptions, RunTable, Seeds, laid_over, resolve_runs
from aitm_kedro.config.sentences import Mistake, Place, Where, listed, mistakes, nearest, stop
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.features import Features
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.core.published import Published
from aitm_kedro.evaluation.parameters import Evaluation
from aitm_kedro.explain.parameters import FeatureCheckMode, Reporting
from aitm_kedro.learning.parameters import Rolling, Training, ValidationOptions
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
    "feature_check": FeatureCheckMode,
    "published": Published,
    "runs": RunTable,
    "seeds": Seeds,
    "reference": str,
    "explain": str | None,
    "validation": ValidationOptions,
    "rolling": Rolling,
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
    if value is None and isinstance(TOP_LEVEL[key], type) and issubclass(TOP_LEVEL[key], BaseModel):
        value = {}  # "training:" with nothing below
    return kind.dump_python(kind.validate_python(value), mode="json")


def check_parameters(parameters: Mapping[str, Any], where: Where | None = None) -> None:
    """Check the raw top-level keys together, before anything runs.

    Args:
        parameters: the raw keys.
        where: says in which file and line the value at a place stands.

    Raises:
        InputError: a key is unknown, a value is of the wrong kind or out of range, a feature would tell the answer, or
            a run is wrong. Keys and values that are wrong in themselves are named all together, a line each.
    """
    forbid_mistakes([*unknown_keys(parameters), *mistakes_in_blocks(parameters)], where)
    forbid_mistakes(mistakes_in_options(parameters), where)
    resolve_runs(parameters, where)
    forbid_leakage(parameters)
    check_task_weights(parameters)


def forbid_mistakes(found: Sequence[Mistake], where: Where | None) -> None:
    """Raise InputError with all mistakes, in one sentence each, if there are any."""
    placed = [(where(mistake.path) if where else "The parameters", mistake.sentence) for mistake in found]
    sentences = [stop(f"{place}: {sentence}") for place, sentence in sorted(placed, key=_by_line)]
    if len(sentences) > 1:
        sentences.insert(0, f"The parameters are wrong in {len(sentences)} places.")
    if sentences:
        raise InputError("\n".join(sentences))


def _by_line(placed: tuple[str, str]) -> list[str | int]:
    """Order of "conf/x.yml, line 9" before "conf/x.yml, line 10"; Kedro gives the keys of files in any order."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", placed[0])]


def unknown_keys(parameters: Mapping[str, Any]) -> list[Mistake]:
    """Top-level keys that no part of the project reads."""
    return [
        Mistake((key,), f"{key} is unknown; {nearest(str(key), TOP_LEVEL, known='known are')}")
        for key in parameters
        if key not in TOP_LEVEL
    ]


def mistakes_in_blocks(parameters: Mapping[str, Any]) -> list[Mistake]:
    """What is wrong in each key by itself."""
    found: list[Mistake] = []
    for key, value in parameters.items():
        if key not in TOP_LEVEL:
            continue
        try:
            with_defaults(key, value)
        except ValidationError as error:
            found += mistakes(error, TOP_LEVEL[key], path=(key,), hint=_belongs_to)
    return found


def mistakes_in_options(parameters: Mapping[str, Any]) -> list[Mistake]:
    """What is wrong in the options of runs, which are laid over the block of their model."""
    found: list[Mistake] = []
    table = parameters.get("runs", RunTable())
    if table is None:
        return []  # resolving the runs says so
    for name, entry in RunTable.model_validate(table).root.items():
        model = entry.model or name
        if model not in MODEL_OPTIONS:
            continue  # resolving the runs says so
        try:
            MODEL_OPTIONS[model].model_validate(laid_over(parameters.get(model) or {}, entry.options))
        except ValidationError as error:
            found += mistakes(error, MODEL_OPTIONS[model], path=("runs", name, "options"), hint=_belongs_to)
    return found


def _belongs_to(path: Place) -> str | None:
    """Where an option belongs that its model does not have; pydantic would only call it unknown."""
    *above, option = path
    if len(above) == 2 and above[0] == "runs":
        if option in RunOptions.model_fields or not any(option in each.model_fields for each in MODEL_OPTIONS.values()):
            return None
        return f"put it under options: runs.{above[1]}.options.{option}"
    if above[0] not in MODEL_OPTIONS and above[-1] != "options":
        return None
    owners = [other for other, theirs in MODEL_OPTIONS.items() if option in theirs.model_fields]
    if option in Training.model_fields:
        return f"it belongs to training, which all networks share: training.{option}"
    return f"it belongs to {listed(owners)}" if owners else None


def forbid_leakage(parameters: Mapping[str, Any]) -> None:
    """Check that no feature is a label or the truth (label leakage).

    Args:
        parameters: the raw top-level keys, each of them right in itself; without both keys nothing is checked.

    Raises:
        InputError: if a feature would tell a model the answer.
    """
    if not {"funnel", "features"} <= set(parameters):
        return
    funnel, features = Funnel.model_validate(parameters["funnel"]), Features.model_validate(parameters["features"])
    try:
        features.forbid_labels(funnel)
    except ValueError as error:
        raise InputError(f"The parameters contradict each other: {error}.") from None


def check_task_weights(parameters: Mapping[str, Any]) -> None:
    """Raise InputError for a task weight of a step that the funnel lacks."""
    if "funnel" not in parameters:
        return
    funnel = Funnel.model_validate(parameters["funnel"])
    training = Training.model_validate(parameters.get("training") or {})
    for step in training.task_weights:
        if step not in funnel.steps:
            raise InputError(
                f"The parameter training.task_weights names '{step}', but funnel.steps are {', '.join(funnel.steps)}; "
                "name one of them."
            )
