"""Kedro's configuration loader, and the runs of the configuration that was loaded last."""

from functools import cached_property
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.framework.project import pipelines, settings
from kedro.utils import find_kedro_project
from omegaconf import OmegaConf
from pydantic import ValidationError

from aitm_kedro.config.runs import Runs, resolve_runs
from aitm_kedro.config.schema import TOP_LEVEL, with_defaults
from aitm_kedro.config.sentences import first_complaint
from aitm_kedro.core.errors import InputError

REGISTRY = "aitm_kedro.pipeline_registry"

_loaded: list["EnvironmentConfigLoader"] = []
"""The loader of the session that was created last: none, or one."""


class EnvironmentConfigLoader(OmegaConfigLoader):
    """Kedro's loader, which does four things more.

    ``${environment:}`` is the name that keeps the data of environments apart. Without it a run of ``--env=test`` would
    become the latest version for a run of the default environment. ``${parameters:features}`` lets the catalog read a
    parameter, so that a source can be told what the stages will ask it for, and ``--params`` reaches it. ``--params``
    reaches one value inside a key of ``base``.

    And pipelines are made of the runs that the configuration names. Kedro creates the loader of a session before it
    asks for pipelines, so the loader has them made anew; a hook would not do, since Kedro-Viz leaves hooks out.
    """

    def __init__(self, conf_source: Any, env: str | None = None, *arguments: Any, **options: Any) -> None:
        name = options["base_env"] if env in (None, options["default_run_env"]) else env
        OmegaConf.register_new_resolver("environment", lambda: name, replace=True)
        OmegaConf.register_new_resolver("parameters", self._parameter, replace=True)
        super().__init__(conf_source, env, *arguments, **options)
        _loaded[:] = [self]
        pipelines.configure(REGISTRY)

    def __getitem__(self, key: str) -> Any:
        """A kind of configuration; ``--params`` is laid over parameters as they are after all environments.

        Kedro lays it over each environment by itself. Where the environment lacks the key, the one value given would
        then take the place of the whole key of ``base``.
        """
        if key != "parameters" or not self.runtime_params or key in self:
            return super().__getitem__(key)
        given = self.runtime_params
        self._runtime_params_oc = OmegaConf.create(given)  # for ${runtime_params:...}, which Kedro fills from them
        try:
            self.runtime_params = {}
            parameters = super().__getitem__(key)
        finally:
            self.runtime_params = given
        return OmegaConf.to_container(OmegaConf.unsafe_merge(OmegaConf.create(parameters), given), resolve=True)

    def _parameter(self, name: str) -> Any:
        """A parameter as the stages see it: what is not written has its default."""
        key, *inside = name.split(".")
        known = key in TOP_LEVEL
        try:
            value = with_defaults(key, self._parameters.get(key)) if known else None
        except ValidationError as error:
            raise InputError(f"the parameters are wrong at {first_complaint(error, key=key)}") from None
        for part in inside:
            if not isinstance(value, dict) or part not in value:
                known = False
                break
            value = value[part]
        if not known:
            raise InputError(f"the catalog refers to the parameter '{name}', which does not exist")
        return value

    @cached_property
    def _parameters(self) -> Any:
        return self["parameters"]


def configured_runs() -> Runs:
    """Runs of the session that was created last; without one (``kedro registry list``), those of the base environment.

    Raises:
        InputError: a run is wrong.
    """
    if not _loaded:
        project = find_kedro_project(Path.cwd()) or Path.cwd()
        settings.CONFIG_LOADER_CLASS(project / settings.CONF_SOURCE, None, **settings.CONFIG_LOADER_ARGS)
    return resolve_runs(_loaded[0]["parameters"])
