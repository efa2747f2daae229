"""Progress: counts, speed without pauses, and a message every few seconds."""

import logging

import pytest

from aitm_kedro.core import progress
from aitm_kedro.core.progress import Progress, duration


class Clock:
    """Time that passes when the test says so."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "perf_counter", clock)
    return clock


@pytest.fixture
def messages(caplog):
    caplog.set_level(logging.INFO, logger="aitm_kedro")
    return lambda: [record.getMessage() for record in caplog.records]


def test_a_message_has_share_speed_time_left_and_what_the_caller_adds(clock, messages):
    training = Progress(what="training", unit="rows", total=10_000)
    clock.now += 10
    training.advance(2500, suffix="loss 0.123, best validation AUC 0.81")
    assert messages() == [
        "training: 2,500 of 10,000 rows (25%), 250 rows/s, 30 s left, loss 0.123, best validation AUC 0.81"
    ]
    assert (training.done, training.seconds, training.rate) == (2500, 10, 250)


def test_it_is_silent_for_a_few_seconds_after_a_message(clock, messages):
    work = Progress(what="reading", unit="rows", total=1000)
    for _ in range(25):
        clock.now += 1
        work.advance(1)
    assert len(messages()) == 25 // progress.SECONDS_BETWEEN


def test_completion_is_told_at_once_and_once(clock, messages):
    work = Progress(what="reading", unit="rows", total=10)
    clock.now += 1
    work.advance(10)
    work.advance(0)
    assert messages() == ["reading: 10 of 10 rows (100%), 10 rows/s"]


def test_a_pause_counts_neither_for_the_speed_nor_for_the_time_left(clock):
    work = Progress(what="training", unit="rows", total=400)
    clock.now += 1
    work.advance(100)
    clock.now += 1000  # validation
    work.resume()
    clock.now += 1
    work.advance(100)
    assert work.seconds == 2
    assert work.rate == 100
    assert work.seconds_left == 2


def test_without_a_total_only_what_is_done_is_told(clock, messages):
    work = Progress(what="scoring", unit="users")
    clock.now += 10
    work.advance(1_000_000)
    assert messages() == ["scoring: 1,000,000 users, 100,000 users/s"]
    assert work.seconds_left is None


@pytest.mark.parametrize("total", [None, 0, 5])
def test_nothing_done_yet_is_no_error(clock, messages, total):
    work = Progress(what="scoring", unit="rows", total=total)
    clock.now += 10
    work.advance(0)
    assert work.rate == 0
    assert messages()[0].endswith(" rows/s")


def test_more_than_the_total_leaves_no_negative_time(clock):
    work = Progress(what="reading", unit="MB", total=1.5)
    clock.now += 1
    work.advance_to(1.75)
    assert work.seconds_left == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (99, "99 s"), (100, "2 min"), (720, "12 min"), (7500, "2 h 05 min")],
)
def test_durations_are_as_people_read_them(seconds, text):
    assert duration(seconds) == text
