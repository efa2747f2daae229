"""Project settings, read by Kedro."""

# ruff: noqa: E402
import gc

# Importing makes very many objects and hardly any garbage. Looking for it again and again took a third of the time that
# a command needs before it begins, and more of it when it ends.
_was_enabled = gc.isenabled()
gc.disable()

from aitm_kedro.config_loader import EnvironmentConfigLoader
from aitm_kedro.hooks import ProjectHooks
from aitm_kedro.running.row_counts import RowCounts
from aitm_kedro.session import ProjectSession

HOOKS = (ProjectHooks(), RowCounts())
SESSION_CLASS = ProjectSession
CONFIG_LOADER_CLASS = EnvironmentConfigLoader
CONFIG_LOADER_ARGS = {
    "base_env": "base",
    "default_run_env": "local",
    # An environment replaces a top-level parameter key as a whole; what it leaves out takes the defaults of its class.
    # So a funnel of one's own inherits nothing from the simulated one.
    "merge_strategy": {"parameters": "destructive"},
}

gc.freeze()
if _was_enabled:
    gc.enable()
