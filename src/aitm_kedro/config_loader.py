"""Kedro's configuration loader, and the runs of the configuration that was loaded last."""

import copy
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from kedro.config import MissingConfigException, OmegaConfigLoader
from kedro.framework.project import pipelines, settings
from kedro.utils import find_kedro_project
from omegaconf import OmegaConf
from omegaconf.errors import InterpolationResolutionError, OmegaConfBaseException

from aitm_kedro.catalog_entries import OWN, check_entry
from aitm_kedro.config.files import ConfigFile, forbid_keys_in_two_files, read_file
from aitm_kedro.config.runs import Runs, resolve_runs
from aitm_kedro.config.schema import TOP_LEVEL, check_parameters, with_defaults
from aitm_kedro.config.sentences import Place, dotted, listed, nearest, stop
from aitm_kedro.core.errors import InputError

REGISTRY = "aitm_kedro.pipeline_registry"

SOURCE = "raw_impressions"

SIMULATED = OWN + "SimulatedFunnel"
"""Type of the source that ``base`` describes."""

DESCRIBING = ("funnel", "features")
"""Parameters that describe the source, so that those of another one cannot be right."""

_loaded: list["EnvironmentConfigLoader"] = []
"""The loader of the session that was created last: none, or one."""


class EnvironmentConfigLoader(OmegaConfigLoader):
    """Kedro's loader, which does five things more.

    ``${environment:}`` is the name that keeps the data of environments apart. Without it a run of ``--env=test`` would
    become the latest version for a run of the default environment. ``${parameters:features}`` lets the catalog read a
    parameter, so that a source can be told what the stages will ask it for, and ``--params`` reaches it. ``--params``
    reaches one value inside a key of ``base``. Whatever cannot be right in a file is said with the file and the line.

    And pipelines are made of the runs that the configuration names. Kedro creates the loader of a session before it
    asks for pipelines, so the loader has them made anew; a hook would not do, since Kedro-Viz leaves hooks out.
    """

    def __init__(self, conf_source: Any, env: str | None = None, *arguments: Any, **options: Any) -> None:
        base, default = options["base_env"], options["default_run_env"]
        check_environment(Path(conf_source), env, base=base, default=default)
        name = base if env in (None, default) else env
        OmegaConf.register_new_resolver("environment", lambda: name, replace=True)
        OmegaConf.register_new_resolver("parameters", self._parameter, replace=True)
        self._files: dict[str, list[tuple[str, ConfigFile]]] = {}  # by kind: environment and file, base first
        super().__init__(conf_source, env, *arguments, **options)
        _loaded[:] = [self]
        pipelines.configure(REGISTRY)

    def __getitem__(self, key: str) -> Any:
        """A kind of configuration, checked.

        Raises:
            InputError: a file cannot be read, a reference leads nowhere, or a value is wrong.
        """
        if key in self or key not in self.config_patterns:
            return super().__getitem__(key)
        if key == "parameters":
            return copy.deepcopy(self._parameters)
        read = self._read(key)
        if key == "catalog":
            self._check_catalog(read)
        return read

    def where(self, path: Place, *, kind: str = "parameters") -> str:
        """Where a value stands: "conf/test/parameters.yml, line 3", "--params", or the kind if nobody wrote it."""
        if kind == "parameters" and _holds(self.runtime_params, path):
            return "--params"
        file = self._file_with(str(path[0]), kind)
        return file.place(dotted(path)) if file else f"the {kind}"

    def _file_with(self, key: str, kind: str) -> ConfigFile | None:
        """The file whose top-level key is in force: one of the environment before one of ``base``."""
        return next((file for _, file in reversed(self._files.get(kind, [])) if key in file.keys), None)

    def _read(self, key: str) -> Any:
        """A kind of configuration as Kedro reads it, from files that were checked."""
        self._check_files(key)
        try:
            return super().__getitem__(key)
        except OmegaConfBaseException as error:
            raise InputError(self._unresolved(error, key)) from None

    def _check_files(self, key: str) -> None:
        self._files[key] = []
        for environment in dict.fromkeys((self.base_env, self.env or self.default_run_env)):
            folder = self._get_conf_env_path(environment)
            found = {
                Path(path): None
                for pattern in self.config_patterns[key]
                for path in sorted(self._fs.glob(Path(f"{folder}/{pattern}").as_posix()))
                if self._is_valid_config_path(Path(path)) and not self._is_hidden(path)
            }
            files = [read_file(self._fs.cat_file(path.as_posix()), self._name(path)) for path in found]
            forbid_keys_in_two_files(files, merge=key == "parameters")
            self._files[key] += [(environment, file) for file in files]

    def _name(self, path: Path) -> str:
        """A file as a person calls it: from the folder of the configuration on."""
        source = Path(self.conf_source)
        return str(path.relative_to(source.parent)) if path.is_relative_to(source.parent) else str(path)

    def _unresolved(self, error: OmegaConfBaseException, kind: str) -> str:
        """What OmegaConf says, or what a resolver of ours said, and the key that it is about."""
        key = str(error.full_key or "")
        file = next((file for _, file in reversed(self._files[kind]) if key in file.lines), None)
        place = file.place(key) if file else f"the {kind}"
        return stop(f"{place}: {key or 'a reference'} cannot be resolved: {_reason(error)}")

    def _get_globals_value(self, variable: str, *default: Any) -> Any:
        """A key of globals.yml, for ``${globals:...}``."""
        try:
            return super()._get_globals_value(variable, *default)
        except InterpolationResolutionError:
            hint = nearest(variable, self._globals, known="its keys are")
            raise InputError(stop(f"globals.yml has no key '{variable}'; {hint}")) from None

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        """Parameters; ``--params`` is laid over them as they are after all environments.

        Kedro lays it over each environment by itself. Where the environment lacks the key, the one value given would
        then take the place of the whole key of ``base``.
        """
        given = self.runtime_params
        self._runtime_params_oc = OmegaConf.create(given)  # for ${runtime_params:...}, which Kedro fills from them
        try:
            self.runtime_params = {}
            parameters = self._read("parameters")
        finally:
            self.runtime_params = given
        merged = self._with_given(parameters) if given else parameters
        check_parameters(merged, where=self.where)
        return merged

    def _with_given(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Parameters with those of ``--params`` laid over them, which may refer to others."""
        merged = OmegaConf.create(_laid_over(parameters, self.runtime_params))
        try:
            resolved: Any = OmegaConf.to_container(merged, resolve=True)
        except OmegaConfBaseException as error:
            raise InputError(stop(f"--params: {error.full_key} cannot be resolved: {_reason(error)}")) from None
        return dict(resolved)

    def _parameter(self, name: str) -> Any:
        """A parameter as the stages see it: what is not written has its default."""
        key, *inside = name.split(".")
        known = key in TOP_LEVEL
        value = with_defaults(key, self._parameters.get(key)) if known else None
        for part in inside:
            if not isinstance(value, dict) or part not in value:
                known = False
                break
            value = value[part]
        if not known:
            raise InputError(f"the catalog refers to the parameter '{name}', which does not exist")
        return value

    def _check_catalog(self, catalog: Mapping[str, Any]) -> None:
        """Raise InputError for an entry that is no dataset, or for a source that nobody describes."""
        for name, entry in catalog.items():
            place = self.where((name,), kind="catalog")
            if not isinstance(entry, dict):
                raise InputError(f"{place}: the entry '{name}' must be a mapping with a 'type' and what it needs.")
            check_entry(name, entry, place)
            self._check_credentials(name, entry, place)
        self._forbid_strange_description(catalog)

    def _check_credentials(self, name: str, entry: Mapping[str, Any], place: str) -> None:
        wanted = entry.get("credentials")
        if not isinstance(wanted, str):
            return
        try:
            there = self["credentials"]
        except MissingConfigException:
            there = {}
        if wanted not in there:
            hint = nearest(wanted, there, known="written there are")
            sentence = (
                f"{place}: the entry '{name}' names the credentials '{wanted}', which no credentials.yml has; {hint}"
            )
            raise InputError(stop(sentence))

    def _forbid_strange_description(self, catalog: Mapping[str, Any]) -> None:
        """Raise InputError for an environment with a source of its own that the keys of ``base`` would describe."""
        environment = self.env or self.default_run_env
        files = [file for owner, file in self._files["catalog"] if owner == environment and SOURCE in file.keys]
        if environment == self.base_env or not files or catalog[SOURCE]["type"] == SIMULATED:
            return
        parameters = self._parameters
        own = {key for owner, file in self._files["parameters"] if owner == environment for key in file.keys}
        missing = [key for key in DESCRIBING if key in parameters and key not in own | set(self.runtime_params)]
        if missing:
            keys = listed(f"'{key}'" for key in missing)
            conf = Path(self.conf_source).name
            raise InputError(
                f"{files[0].place(SOURCE)}: the environment '{environment}' has a table of its own, but no {keys}; "
                f"what {conf}/{self.base_env} says there names the columns of the simulated log. Add {keys} to "
                f'{conf}/{environment}/parameters.yml (README, "Your own table").'
            )


def _reason(error: OmegaConfBaseException) -> str:
    """What OmegaConf says, or what a resolver of ours said, in one line."""
    said = str(error).partition("\n    full_key:")[0].rpartition("raised while resolving interpolation: ")[2]
    return " ".join(said.split())


def _laid_over(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values with given ones in their place; mappings inside are merged."""
    merged = dict(values)
    for key, value in given.items():
        below = merged.get(key)
        both = isinstance(value, Mapping) and isinstance(below, Mapping)
        merged[key] = _laid_over(below, value) if both else value  # type: ignore[arg-type]
    return merged


def _holds(values: Any, path: Place) -> bool:
    """Whether a value at a place, or a part of it, was given: every key down to it, or to a value above it."""
    for part in path:
        if not isinstance(values, Mapping):
            return True
        if part not in values:
            return False
        values = values[part]
    return True


def check_environment(conf_source: Path, env: str | None, *, base: str, default: str) -> None:
    """Raise InputError for an environment that has no folder; a configuration in an archive is not looked into."""
    if not conf_source.is_dir():
        return
    wanted = env or default
    if Path(wanted).name == wanted and (conf_source / wanted).is_dir():
        return
    there = sorted(path.name for path in conf_source.iterdir() if path.is_dir() and not path.name.startswith("."))
    if env is None:
        raise InputError(f"There is no folder {conf_source.name}/{default}; create it (it may be empty).")
    hint = nearest(env, [name for name in there if name != default], known="there are")
    raise InputError(
        stop(f"There is no environment '{env}', since there is no folder {conf_source.name}/{env}; {hint}")
    )


def configured_runs() -> Runs:
    """Runs of the session that was created last; without one (``kedro registry list``), those of the base environment.

    Raises:
        InputError: a run is wrong.
    """
    return resolve_runs(_last_loader()["parameters"])


def configured_environment() -> str | None:
    """Environment of the session that was created last; None: base alone."""
    environment: str | None = _last_loader().env
    return environment


def _last_loader() -> "EnvironmentConfigLoader":
    if not _loaded:
        project = find_kedro_project(Path.cwd()) or Path.cwd()
        settings.CONFIG_LOADER_CLASS(project / settings.CONF_SOURCE, None, **settings.CONFIG_LOADER_ARGS)
    return _loaded[0]
