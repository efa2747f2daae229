"""Simulates the log of an industrial funnel: invented credit-card banners, with the true probabilities beside them.

The parts, one idea a file: ``settings`` (what a user chooses), ``clock`` (arrivals, maturity, drift), ``world`` (the
ids), ``population`` (the features), ``story`` (every number of the truth), ``logits`` (features to logits), ``oracle``
(the unobservable integrated out), ``intercepts`` (for given rates), ``events``, ``noise``, ``chunks`` (one chunk of the
log), ``writer`` (the file), ``ledger`` (what the truth is made of).
"""

from aitm_kedro.sources.simulation.chunks import Log
from aitm_kedro.sources.simulation.settings import PRESETS, STEPS, Noise, Rates, Settings
from aitm_kedro.sources.simulation.writer import ensure_log, file_name

__all__ = ["PRESETS", "STEPS", "Log", "Noise", "Rates", "Settings", "ensure_log", "file_name"]
