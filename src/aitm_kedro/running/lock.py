"""One run at a time writes the data of an environment: a lock that the system takes back from a process that dies."""

import contextlib
import logging
import os
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from filelock import BaseFileLock, FileLock, Timeout
from pydantic import ValidationError

from aitm_kedro.core.errors import InputError
from aitm_kedro.core.provenance import Result
from aitm_kedro.core.storage import NO_LOCKS, reason_of

LOCK, HOLDER = ".run.lock", ".run.json"
"""In the folder that is locked: what the system locks, which stays there, and who holds it."""

SECONDS = 0.5
"""For which the lock is tried: a run that ends at this moment lets the next one in."""

logger = logging.getLogger(__name__)


class Holder(Result):
    """The process that holds a lock."""

    process: int
    machine: str
    since: datetime
    command: str

    @classmethod
    def this_process(cls) -> "Holder":
        """The process that asks."""
        return cls(process=os.getpid(), machine=socket.gethostname(), since=datetime.now(UTC), command=command_line())


@contextlib.contextmanager
def sole_run(folder: Path | None, *, environment: str) -> Iterator[None]:
    """Hold the lock of an environment's data in a ``with`` block.

    Only runs ask for it: whoever reads goes on meanwhile. Where there are no locks, a warning says so, and the block
    runs without one.

    Args:
        folder: of the environment, which is made if it is not there; None: it is not on this machine.
        environment: its name.

    Raises:
        InputError: another run holds it, or it cannot be written.
    """
    lock = None if folder is None else _acquire(folder, environment)
    if folder is None or lock is None:
        logger.warning(
            "Where the data of the environment '%s' are there are no locks, so two runs at the same time are not kept "
            "apart; start only one.",
            environment,
        )
        yield
        return
    holder = folder / HOLDER
    try:
        with contextlib.suppress(OSError):  # a disk that is full: whoever comes next is refused without a name
            holder.write_text(Holder.this_process().model_dump_json(), encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):
            holder.unlink()
        lock.release()


def _acquire(folder: Path, environment: str) -> BaseFileLock | None:
    """The lock of a folder; None if its file system has none."""
    # Any thread may give it back, and a lock file that nobody deletes after a crash would be none.
    lock = FileLock(folder / LOCK, timeout=SECONDS, thread_local=False, fallback_to_soft=False)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise InputError(_occupied(folder / HOLDER, environment)) from None
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise InputError(
            f"The folder '{folder}' cannot be locked for this run: {reason_of(error)}. Mend that, and run again."
        ) from error
    return lock


def command_line() -> str:
    """How this process was called, as a person types it."""
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name  # python -m kedro
    return " ".join([name, *sys.argv[1:]])


def _occupied(holder: Path, environment: str) -> str:
    """Who holds the lock, and what to do."""
    try:
        found = Holder.model_validate_json(holder.read_bytes())
    except (OSError, ValidationError):  # it has just begun, or just ended
        who = "Another process"
    else:
        who = (
            f"Process {found.process} on the machine '{found.machine}', since "
            f"{found.since.astimezone():%Y-%m-%d %H:%M:%S}: '{found.command}',"
        )
    return (
        f"{who} is writing the data of the environment '{environment}', which takes one run at a time. Wait until it "
        "has ended, or choose another environment with --env. If that process is killed, nothing has to be cleaned up: "
        "the next run takes over."
    )
