"""The simulated industrial funnel: an invented log of credit-card banners, with the truth beside it.

The parts, one idea a file: ``settings`` (what a user chooses), ``clock`` (arrivals, maturity, drift), ``world`` (the
ids), ``population`` (the features), ``story`` (every number of the truth), ``logits`` (features to logits), ``oracle``
(the unobservable integrated out), ``calibration`` (intercepts), ``events``, ``dirt``, ``chunks`` (one chunk of the
log), ``writer`` (the file), ``ledger`` (what the truth is made of).
"""

from aitm_kedro.sources.simulation.chunks import Log
from aitm_kedro.sources.simulation.settings import PRESETS, STEPS, Dirt, Rates, Settings
from aitm_kedro.sources.simulation.writer import ensure_log, file_name

__all__ = ["PRESETS", "STEPS", "Dirt", "Log", "Rates", "Settings", "ensure_log", "file_name"]
