"""Progress of long work in the log: how much is done, how fast, and how long the rest will take."""

import logging
from time import perf_counter

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 5.0
"""Least time from one message to the next."""


class Progress:
    """Counts what is done, and logs it every few seconds and when all of it is done.

    ``training: 1,250,000 of 5,000,000 rows (25%), 81,000 rows/s, 46 s left, loss 0.123``

    Only the time from ``resume`` to ``advance`` counts for the speed, so that a pause (such as validation) does not. A
    new object has just been resumed.

    Args:
        what: the work, such as "training".
        unit: what is counted, such as "rows".
        total: how many there are; None if nobody knows.

    Attributes:
        done: how many are done.
        seconds: the time that they took, without pauses.
    """

    def __init__(self, *, what: str, unit: str, total: float | None = None) -> None:
        self.what, self.unit, self.total = what, unit, total
        self.done: float = 0
        self.seconds = 0.0
        self._is_complete = False
        self._counted = self._logged = perf_counter()

    @property
    def rate(self) -> float:
        """Units a second so far; 0 if none is done."""
        return self.done / max(self.seconds, 1e-9)

    @property
    def seconds_left(self) -> float | None:
        """How long the rest will take at this speed; None if that cannot be told."""
        return max(self.total - self.done, 0) / self.rate if self.total is not None and self.done else None

    def resume(self) -> None:
        """Work goes on after a pause: the time since the last ``advance`` does not count."""
        self._counted = perf_counter()

    def advance(self, count: float, *, suffix: str = "") -> None:
        """Count what has been done since the last call, and log it unless that has just been logged.

        Args:
            count: units done since then.
            suffix: what else there is to say, such as "loss 0.123".
        """
        self.advance_to(self.done + count, suffix=suffix)

    def advance_to(self, done: float, *, suffix: str = "") -> None:
        """As ``advance``, for whoever knows how many units are done by now, all in all."""
        now = perf_counter()
        self.done = done
        self.seconds += now - self._counted
        self._counted = now
        completes = self.total is not None and done >= self.total and not self._is_complete
        if completes or now - self._logged >= SECONDS_BETWEEN:
            self._is_complete |= completes
            self._logged = now
            logger.info("%s", self._message(suffix))

    def _message(self, suffix: str) -> str:
        left = self.seconds_left
        parts = [
            f"{self.what}: {self._amount()}",
            f"{self.rate:,.0f} {self.unit}/s",
            f"{duration(left)} left" if left else "",
            suffix,
        ]
        return ", ".join(part for part in parts if part)

    def _amount(self) -> str:
        if not self.total:
            return f"{self.done:,.0f} {self.unit}"
        return f"{self.done:,.0f} of {self.total:,.0f} {self.unit} ({self.done / self.total:.0%})"


def duration(seconds: float) -> str:
    """A time as people read it: ``59 s``, ``12 min``, ``2 h 05 min``."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
