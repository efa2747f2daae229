"""Draws one chunk of the simulated log as a table: features, true probabilities, event times, noise."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa

from aitm_kedro.core.funnel import IMPRESSION_ID, IMPRESSION_TIME, oracle_column, time_column
from aitm_kedro.sources.simulation.clock import days_of, rows_for, timestamps
from aitm_kedro.sources.simulation.events import draw_events, in_time_of
from aitm_kedro.sources.simulation.intercepts import Truth, truth_at
from aitm_kedro.sources.simulation.noise import copies, lose_values, spoil_events
from aitm_kedro.sources.simulation.oracle import true_probabilities
from aitm_kedro.sources.simulation.population import CATEGORICAL, NUMERIC, Features, draw_features
from aitm_kedro.sources.simulation.settings import STEPS, Settings
from aitm_kedro.sources.simulation.world import World, world

_TIME = pa.timestamp("us")


@dataclass(frozen=True, kw_only=True)
class Log:
    """A simulated log, not drawn yet: any chunk of it can be drawn at any time, by anybody, to the same bytes."""

    settings: Settings
    world: World
    truth: Truth

    @classmethod
    def of(cls, settings: Settings) -> "Log":
        """Build the world and solve the intercepts (seconds)."""
        return cls(settings=settings, world=world(), truth=truth_at(settings.rates))

    @property
    def rows(self) -> int:
        """Impressions, duplicates not counted."""
        return rows_for(self.settings.impressions)

    @property
    def chunks(self) -> int:
        """Number of chunks."""
        return -(-self.rows // self.settings.chunk_rows)

    def chunk(self, number: int) -> pa.Table:
        """Draw one chunk: ``settings.chunk_rows`` impressions in order of time (the last one has the rest)."""
        rng = np.random.Generator(np.random.SFC64(np.random.SeedSequence(self.settings.seed, spawn_key=(number,))))
        start = number * self.settings.chunk_rows
        stop = min(start + self.settings.chunk_rows, self.rows)
        days = days_of((np.arange(start, stop) + rng.random(stop - start)) / self.rows)
        features = draw_features(days, self.world, rng)
        logits = self.truth.logits(features, days)
        truth = true_probabilities(logits, in_time_of(features))
        times = draw_events(logits, days, features, rng)
        spoil_events(times, days, self.settings.noise, rng)
        lost = lose_values(len(days), rng)
        kept = copies(len(days), self.settings.noise, rng)
        return _table(np.arange(start, stop), days, features, lost, times, truth, self.world).take(pa.array(kept))


def _table(
    ids: np.ndarray,
    days: np.ndarray,
    features: Features,
    lost: Features,
    times: np.ndarray,
    truth: np.ndarray,
    world: World,
) -> pa.Table:
    columns: dict[str, Any] = {IMPRESSION_ID: pa.array(ids, pa.int64()), IMPRESSION_TIME: _timestamps(days)}
    for field in CATEGORICAL:
        columns[field] = _strings(features[field], lost.get(field), world.names[field])
    for field in NUMERIC:
        columns[field] = _numbers(features[field], lost.get(field))
    for step, name in enumerate(STEPS):
        columns[time_column(name)] = _timestamps(times[step])
    for step, name in enumerate(STEPS):
        columns[oracle_column(name)] = pa.array(truth[step])
    return pa.table(columns)


def _timestamps(days: np.ndarray) -> pa.Array:
    return pa.array(timestamps(days), _TIME)


def _strings(codes: np.ndarray, lost: np.ndarray | None, names: tuple[str, ...]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=lost), _dictionary(names))


def _numbers(values: np.ndarray, lost: np.ndarray | None) -> pa.Array:
    absent = np.isnan(values)
    return pa.array(values, mask=absent if lost is None else absent | lost)


@cache
def _dictionary(names: tuple[str, ...]) -> pa.Array:
    return pa.array(names)
