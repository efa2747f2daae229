"""Signs of life from long training."""

import logging
from time import perf_counter

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 5.0


class Progress:
    """Counts rows and logs speed, time left and the metric that decides, every few seconds.

    Only the time from ``resume`` to ``advance`` counts for the speed, not that of validation.

    Args:
        rows_per_epoch: rows of train.
        max_epochs: epochs at most.
    """

    def __init__(self, *, rows_per_epoch: int, max_epochs: int) -> None:
        self.rows_per_epoch = rows_per_epoch
        self.max_epochs = max_epochs
        self.rows = 0
        self.seconds = 0.0
        self._start = self._last_log = perf_counter()

    @property
    def epoch(self) -> float:
        """Epochs trained so far."""
        return self.rows / self.rows_per_epoch

    @property
    def rows_per_second(self) -> float:
        """Mean speed of training."""
        return self.rows / max(self.seconds, 1e-9)

    def resume(self) -> None:
        """Training goes on after an interruption."""
        self._start = perf_counter()

    def advance(self, rows: int) -> None:
        """Count rows trained since ``resume`` or the last call."""
        now = perf_counter()
        self.rows += rows
        self.seconds += now - self._start
        self._start = now

    def log(self, *, loss: float, best: float | None) -> None:
        """Say where training stands, unless it has just been said."""
        if self._start - self._last_log < SECONDS_BETWEEN:
            return
        self._last_log = self._start
        left = (self.max_epochs * self.rows_per_epoch - self.rows) / self.rows_per_second
        logger.info(
            "epoch %.2f of at most %d, %s rows/s, loss %.5f, best validation AUC %s, at most %.0f s left",
            self.epoch,
            self.max_epochs,
            f"{self.rows_per_second:,.0f}",
            loss,
            "none yet" if best is None else f"{best:.4f}",
            left,
        )
