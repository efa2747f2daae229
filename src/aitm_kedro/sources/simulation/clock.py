"""When impressions arrive, which of them are mature, and how far the drift has gone."""

import numpy as np

START = np.datetime64("2024-03-04T00:00:00", "us")  # a Monday
DAYS = 60
WEEKS = -(-DAYS // 7)
WINDOWS = {"click": 1.0, "application": 1.0, "approval": 1.0, "activation": 14.0}  # days after the step before
MATURE_DAYS = DAYS - sum(WINDOWS.values())
MILLISECONDS = 86_400_000  # of a day
DRIFT_FROM = 21.0  # day: late in train, so that validation and test see more and more of it

_HOURLY = (2, 1, 1, 1, 1, 2, 4, 7, 9, 9, 9, 11, 13, 11, 9, 8, 8, 9, 11, 13, 14, 13, 9, 5)
_WEEKDAY = (1.0, 0.98, 0.98, 1.0, 1.06, 1.15, 1.1)


def _arrivals() -> np.ndarray:
    """Share of all impressions that have arrived by each full hour, [DAYS * 24 + 1]."""
    hourly = np.array([_WEEKDAY[day % 7] * rate for day in range(DAYS) for rate in _HOURLY], float)
    return np.asarray(np.concatenate([[0.0], np.cumsum(hourly)]) / hourly.sum())


_ARRIVED = _arrivals()
_HOURS = np.arange(_ARRIVED.size) / 24
MATURE_SHARE = float(np.interp(MATURE_DAYS, _HOURS, _ARRIVED))


def rows_for(mature: int) -> int:
    """Impressions of the whole log that has ``mature`` mature ones."""
    return round(mature / MATURE_SHARE)


def days_of(positions: np.ndarray) -> np.ndarray:
    """Days since the start at which given shares of all impressions have arrived; whole milliseconds, [N] float64."""
    days = np.interp(positions, _ARRIVED, _HOURS)
    return np.asarray(np.floor(days * MILLISECONDS) / MILLISECONDS)


def mature_days(rows: int, rng: np.random.Generator) -> np.ndarray:
    """Days of ``rows`` impressions spread over the mature period, [rows] float64 in rising order."""
    return days_of((np.arange(rows) + rng.random(rows)) / rows * MATURE_SHARE)


def drift_of(days: np.ndarray) -> np.ndarray:
    """How far the drift has gone: 0 until ``DRIFT_FROM``, then rising to 1 at the end of the log, [N] float32."""
    return np.clip((days - DRIFT_FROM) / (DAYS - DRIFT_FROM), 0, 1).astype(np.float32)


def timestamps(days: np.ndarray) -> np.ndarray:
    """Days since the start as timestamps, [N] datetime64[us], whole milliseconds; NaN gives NaT."""
    milliseconds = np.full(days.shape, np.iinfo(np.int64).min, np.int64)
    known = ~np.isnan(days)
    milliseconds[known] = np.rint(days[known] * MILLISECONDS).astype(np.int64) * 1000 + START.astype(np.int64)
    return milliseconds.view("datetime64[us]")
