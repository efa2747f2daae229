"""Runs: what is trained and compared, from the keys ``runs``, ``seeds``, ``reference`` and ``explain``."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field, RootModel, ValidationError, model_validator

from aitm_kedro.artifacts.parameters import Scoring
from aitm_kedro.config.sentences import Where, mistakes, nearest, stop
from aitm_kedro.core.errors import InputError
from aitm_kedro.core.funnel import Funnel
from aitm_kedro.core.parameters import Parameters
from aitm_kedro.evaluation.results import ORACLE
from aitm_kedro.learning.ensemble import EnsembleOptions
from aitm_kedro.learning.parameters import Training, ValidationOptions
from aitm_kedro.learning.registry import MODELS, find

RESERVED = (ORACLE,)

Read = TypeVar("Read", bound=BaseModel)

Seed = Annotated[int, Field(strict=True, lt=2**31)]

Scope = Literal["full", "benchmark"]
SCOPES: tuple[Scope, ...] = ("full", "benchmark")


class RunOptions(Parameters):
    """An entry of ``runs``: a variant of a registered model."""

    model: str | None = Field(None, description="of the registry; null: the model that is named as the run")
    options: dict[str, Any] = Field(
        default_factory=dict, description="laid over the model's own block; nested blocks are merged"
    )
    seeds: tuple[Seed, ...] | None = Field(None, description="of this run; null: those of the parameter seeds")

    @model_validator(mode="before")
    @classmethod
    def _from_nothing(cls, value: Any) -> Any:
        return {} if value is None else value  # "aitm:" alone is enough


class RunTable(RootModel[dict[str, RunOptions]]):
    """The parameter ``runs``: name -> entry, in the order of the tables."""

    model_config = {"frozen": True}

    root: dict[str, RunOptions] = Field(default_factory=lambda: {name: RunOptions() for name in MODELS})


class Seeds(Parameters):
    """Seeds of every run: in ``full``, and in ``benchmark``."""

    full: tuple[Seed, ...] = (0,)
    benchmark: tuple[Seed, ...] = (0, 1, 2, 3, 4)


@dataclass(frozen=True, kw_only=True)
class Run:
    """A model to be trained, with all its options.

    Attributes:
        name: of the run.
        model: of the registry.
        options: an instance of the model's ``Options``.
        seeds: its own, or None.
        members: of an ensemble: the runs whose models it blends.
    """

    name: str
    model: str
    options: Parameters
    seeds: tuple[int, ...] | None = None
    members: tuple["Run", ...] = ()

    @property
    def is_deterministic(self) -> bool:
        """Whether nothing is drawn, or all seeds are blended, so that one seed says it all."""
        if isinstance(self.options, EnsembleOptions):
            return self.options.seeds == "all" or all(member.is_deterministic for member in self.members)
        return MODELS[self.model].deterministic

    @property
    def is_ensemble(self) -> bool:
        """Whether it blends other runs."""
        return MODELS[self.model].blends

    def members_of(self, seed: int, seeds: Mapping[str, Sequence[int]]) -> list[tuple[str, int]]:
        """Run and seed of every model that an ensemble blends.

        Args:
            seed: of the ensemble.
            seeds: of all runs, by name.
        """
        assert isinstance(self.options, EnsembleOptions)
        if self.options.seeds == "all":
            return [(member.name, own) for member in self.members for own in seeds[member.name]]
        return [(m.name, seeds[m.name][0] if m.is_deterministic else seed) for m in self.members]

    @property
    def reads_training(self) -> bool:
        """Whether the parameter ``training`` counts as a whole, and not its task weights alone."""
        return MODELS[self.model].reads_training

    @property
    def is_inspectable(self) -> bool:
        """Whether figures can look into it."""
        return MODELS[self.model].inspectable

    def changed_options(self) -> dict[str, Any]:
        """Options that are not those of the model's preset or its defaults."""
        return self.options.changed()

    def trained_with(self, *, funnel: Funnel, validation: ValidationOptions, training: Training) -> dict[str, Any]:
        """Every parameter that the trained model depends on, as its provenance holds them."""
        of_training = {"training": training} if self.reads_training else {"task_weights": training.task_weights}
        return {
            "funnel": funnel,
            "validation": validation,
            **of_training,
            "model": self.model,
            "options": self.options,
            "options_changed": self.changed_options(),
        }


@dataclass(frozen=True, kw_only=True)
class Runs:
    """All runs of a configuration.

    Attributes:
        runs: in the order of the tables.
        seeds: of all runs.
        reference: name of the run over which gains are computed.
        explain: name of the run that figures look into, whose lead over the others is tested; None: no run.
        scoring: which of them scores.
    """

    runs: tuple[Run, ...]
    seeds: Seeds
    reference: str
    explain: str | None
    scoring: Scoring

    def seeds_of(self, run: Run, scope: Scope) -> tuple[int, ...]:
        """Seeds of a run in ``full`` or ``benchmark``."""
        seeds: tuple[int, ...] = run.seeds or getattr(self.seeds, scope)
        return seeds[:1] if run.is_deterministic else seeds

    def keys(self, *scopes: Scope) -> list[tuple[Run, int]]:
        """Every run with every seed that it has in one of the scopes."""
        found = ((run, seed) for run in self.runs for scope in scopes for seed in self.seeds_of(run, scope))
        return list({(run.name, seed): (run, seed) for run, seed in found}.values())

    def scorers(self) -> list[tuple[Run, int]]:
        """Runs and seeds among which the one that scores is chosen; all if the seed that is asked for is of none."""
        keys = [(run, seed) for run, seed in self.keys("benchmark", "full") if self.scoring.run in (None, run.name)]
        return [(run, seed) for run, seed in keys if self.scoring.seed in (None, seed)] or keys

    def find(self, name: str) -> Run:
        """The run of a name that was checked."""
        return next(run for run in self.runs if run.name == name)


def resolve_runs(parameters: Mapping[str, Any], where: Where | None = None) -> Runs:
    """Read the runs of a configuration.

    Args:
        parameters: raw top-level keys.
        where: says in which file and line the value at a place stands.

    Raises:
        InputError: a model, an option, a seed, or a run that another key names is wrong; a sentence says which.
    """
    table = _read(RunTable, parameters.get("runs", RunTable()), "runs")
    seeds = _read(Seeds, parameters.get("seeds") or {}, "seeds")
    for scope in ("full", "benchmark"):
        check_seeds(getattr(seeds, scope), where=f"seeds.{scope}")
    if not table.root:
        raise InputError("The parameter runs is empty; name at least one, such as 'aitm: {}'.")
    runs = _with_members([_resolve(name, entry, parameters, where) for name, entry in table.root.items()])
    names = [run.name for run in runs]
    _check_apart(names)
    reference, explain = parameters.get("reference", names[0]), parameters.get("explain")
    scoring = _read(Scoring, parameters.get("scoring") or {}, "scoring")
    for key, name in (("reference", reference), ("explain", explain), ("scoring.run", scoring.run)):
        if name not in names and not (name is None and key != "reference"):
            the = f"{where(tuple(key.split('.')))}: The" if where else "The"
            raise InputError(
                f"{the} parameter {key} names the run '{name}', but the runs are {', '.join(names)}; "
                f"set {key} to one of them{'' if key == 'reference' else ' or to null'}."
            )
    resolved = Runs(runs=runs, seeds=seeds, reference=str(reference), explain=explain, scoring=scoring)
    _check_seeds_of_members(resolved)
    return resolved


def _resolve(name: str, entry: RunOptions, parameters: Mapping[str, Any], where: Where | None) -> Run:
    check_name(name)
    model = entry.model or name
    try:
        learner = find(model)
    except InputError as error:
        hint = "" if entry.model else f"; or give the run a model: 'runs.{name}.model'"
        the = f"{where(('runs', name))}: The" if where else "The"
        raise InputError(stop(f"{the} run '{name}' is wrong: {error}{hint}")) from None
    if entry.seeds is not None:
        check_seeds(entry.seeds, where=f"runs.{name}.seeds")
    merged = laid_over(parameters.get(model) or {}, entry.options)
    options = _read(learner.Options, merged, "runs", name, "options")
    return Run(name=name, model=model, options=options, seeds=entry.seeds)


def _with_members(runs: Sequence[Run]) -> tuple[Run, ...]:
    """The runs, ensembles with the runs that they blend.

    Raises:
        InputError: a member is no run, or an ensemble.
    """
    by_name = {run.name: run for run in runs}
    singles = [run.name for run in runs if not run.is_ensemble]
    for run in runs:
        for member in run.options.members if isinstance(run.options, EnsembleOptions) else ():
            the = f"The ensemble '{run.name}' has the member '{member}', which is"
            if member not in by_name:
                raise InputError(stop(f"{the} no run; {nearest(member, singles, known='there are')}"))
            if by_name[member].is_ensemble:
                raise InputError(f"{the} an ensemble itself; name the members of '{member}' instead.")
    return tuple(
        replace(run, members=tuple(by_name[member] for member in run.options.members))
        if isinstance(run.options, EnsembleOptions)
        else run
        for run in runs
    )


def _check_seeds_of_members(runs: Runs) -> None:
    """Raise InputError for a seed of an ensemble that a member has not."""
    for scope in SCOPES:
        seeds = {run.name: runs.seeds_of(run, scope) for run in runs.runs}
        for run in (run for run in runs.runs if run.is_ensemble):
            for seed in seeds[run.name]:
                for member, own in run.members_of(seed, seeds):
                    if own not in seeds[member]:
                        raise InputError(
                            f"The ensemble '{run.name}' has the seed {seed} in '{scope}', but its member '{member}' "
                            f"has {', '.join(map(str, seeds[member]))}; give both the same (runs.{run.name}.seeds), "
                            f"or set runs.{run.name}.options.seeds to all."
                        )


def _read(kind: type[Read], value: Any, *path: str) -> Read:
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        raise InputError(stop(f"The parameters: {mistakes(error, kind, path=path)[0].sentence}")) from None


def _check_apart(names: Sequence[str]) -> None:
    """Names become folders, and some systems take capitals for small letters."""
    for name in names:
        twin = next((other for other in names if other != name and other.lower() == name.lower()), None)
        if twin is not None:
            raise InputError(
                f"Two runs are called '{name}' and '{twin}', which some systems cannot tell apart; rename one."
            )


def check_name(name: str) -> None:
    """Raise InputError unless a run may be called so: names become folders, namespaces and names of datasets."""
    if name in RESERVED:
        raise InputError(f"A run is called '{name}', which stands for the truth in every table; give it another name.")
    if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) or "_seed" in name:
        raise InputError(
            f"A run is called '{name}'; use letters, digits and underscores, a letter first, and no '_seed' inside."
        )


def check_seeds(seeds: Sequence[int], *, where: str) -> None:
    """Raise InputError unless there are seeds, all of them different whole numbers from 0 on."""
    if not seeds:
        raise InputError(f"The parameter {where} is empty; name at least one seed.")
    for seed in seeds:
        if seed < 0:
            raise InputError(f"The parameter {where} has {seed}; a seed is a whole number from 0 on.")
        if list(seeds).count(seed) > 1:
            raise InputError(f"The parameter {where} has {seed} twice; two equal results would look like two.")


def laid_over(block: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Options over a model's block: blocks inside are merged, everything else is replaced.

    Example:
        >>> laid_over({"alpha": 0.6, "tower": {"kind": "mlp", "layers": [8]}}, {"alpha": 0, "tower": {"kind": "nfm"}})
        {'alpha': 0, 'tower': {'kind': 'nfm', 'layers': [8]}}
    """
    merged = dict(block)
    for name, value in options.items():
        below = merged.get(name)
        if isinstance(value, Mapping) and isinstance(below, str):
            below = {"kind": below}  # a tower by its bare name
        inside = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[name] = laid_over(below, value) if inside else value  # type: ignore[arg-type]
    return merged
