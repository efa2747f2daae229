"""Project settings, read by Kedro; and which models and seeds the pipelines are made of.

The shape of the graph is settled here, in Python, because Kedro builds pipelines before it reads parameters.
"""

# ruff: noqa: E402
import gc

# Importing makes very many objects and hardly any garbage. Looking for it again and again took a third of the time that
# a command needs before it begins, and more of it when it ends.
_was_enabled = gc.isenabled()
gc.disable()

from functools import cached_property
from typing import Any

from kedro.config import OmegaConfigLoader
from omegaconf import OmegaConf

from aitm_kedro.config.schema import TOP_LEVEL
from aitm_kedro.core.errors import InputError
from aitm_kedro.hooks import ProjectHooks
from aitm_kedro.learning.networks import NETWORKS

MODELS = ("lightgbm", *NETWORKS)
"""What is trained, in the order of the tables: all that is registered, or name a few, as ("lightgbm", "mmoe", "aitm").
``logistic`` and ``oracle`` always stand beside."""

SEEDS = (0, 1, 2, 3, 4)
"""Seeds of ``benchmark``; ``full`` takes the first one."""


class EnvironmentConfigLoader(OmegaConfigLoader):
    """Kedro's loader, which knows two things more.

    ``${environment:}`` is the name that keeps the data of environments apart. Without it a run of ``--env=test`` would
    become the latest version for a run of the default environment. ``${parameters:features}`` lets the catalog read a
    parameter, so that a source can be told what the stages will ask it for, and ``--params`` reaches it.
    """

    def __init__(self, conf_source: Any, env: str | None = None, **options: Any) -> None:
        name = options["base_env"] if env in (None, options["default_run_env"]) else env
        OmegaConf.register_new_resolver("environment", lambda: name, replace=True)
        OmegaConf.register_new_resolver("parameters", self._parameter, replace=True)
        super().__init__(conf_source, env, **options)

    def _parameter(self, name: str) -> Any:
        """A parameter as the stages see it: what is not written has its default."""
        key, *inside = name.split(".")
        wanted = TOP_LEVEL.get(key)
        value = {} if wanted is None else wanted.model_validate(self._parameters.get(key) or {}).model_dump(mode="json")
        for part in inside:
            if not isinstance(value, dict) or part not in value:
                wanted = None
                break
            value = value[part]
        if wanted is None:
            raise InputError(f"the catalog refers to the parameter '{name}', which does not exist")
        return value

    @cached_property
    def _parameters(self) -> Any:
        return self["parameters"]


HOOKS = (ProjectHooks(),)
CONFIG_LOADER_CLASS = EnvironmentConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment replaces a top-level parameter key as a whole; what it leaves out takes the defaults of
    # parameters.py. So a funnel of one's own inherits nothing from the simulated one.
    "merge_strategy": {"parameters": "destructive"},
}

gc.freeze()
if _was_enabled:
    gc.enable()
