"""What a run prints, milestones and warnings, and what it writes to ``info.log``, which is everything."""

import contextlib
import logging
import re
from collections.abc import Iterator
from logging.handlers import RotatingFileHandler
from pathlib import Path

from kedro.runner import runner as kedro_runner
from rich.console import Console
from rich.control import Control
from rich.segment import ControlType
from rich.text import Text

from aitm_kedro.core import progress
from aitm_kedro.core.commands import COMMAND, EnvironmentNamed
from aitm_kedro.core.storage import reason_of

FILE = "info.log"
"""In the project's folder."""

CONSOLES = {"console": 20, "rich": 50}
"""Handlers that show milestones only -> columns of the console that time, level and place take.

``conf/logging.yml`` has the one; the other is Kedro's, which it uses where the working directory holds no such file, as
below the folder of the project. A handler of another name shows what it gets.
"""

NARROWEST = 20
"""Characters of a line, however narrow the console."""

MILESTONES = (
    "aitm_kedro.hooks",
    "aitm_kedro.runner",
    "aitm_kedro.running.retention",
    "aitm_kedro.pipelines.ingestion",
    "aitm_kedro.pipelines.preparation",
    "aitm_kedro.pipelines.scoring",
)
"""Loggers, each with those below it, whose INFO a person who watches a run wants to see."""

COLLECTED = ("aitm_kedro", "py.warnings")
"""Loggers whose warnings are repeated at the end of a run."""

FORMAT = "%(asctime)s %(process)d %(levelname)-8s %(name)s: %(message)s"
MAX_BYTES, KEPT = 10_000_000, 3
"""A run that finds a larger file begins a new one; so many old ones stay."""

FAILED_NODE = "kedro.pipeline.node"
"""Logger by which Kedro tells that a node failed, with the sentence that the command ends with."""

PYTHON_WARNING = re.compile(r".+?:\d+: \w+: (.*)")
"""As ``logging.captureWarnings`` writes them, with the line of code below."""

logger = logging.getLogger(__name__)


Kind = tuple[str, int, str]
"""Where in the code a warning is given: those of one kind say the same of another run, step or column. Where one line
gives warnings of several kinds, it names them: ``logger.warning(sentence, extra={"kind": ...})``."""


class WarningCollector(logging.Handler):
    """Keeps the warnings of the project and of its libraries, each sentence once.

    Attributes:
        kinds: kind -> sentences, both in the order in which they were given.
    """

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.kinds: dict[Kind, list[str]] = {}

    @property
    def sentences(self) -> list[str]:
        """All of them, kind by kind."""
        return [sentence for kind in self.kinds.values() for sentence in kind]

    def start(self) -> None:
        """Collect from now on, beginning with nothing."""
        self.kinds = {}
        for name in COLLECTED:
            logging.getLogger(name).addHandler(self)

    def stop(self) -> None:
        """Collect no more; what was collected stays."""
        for name in COLLECTED:
            logging.getLogger(name).removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record's sentence unless it is known."""
        text = record.getMessage().strip()
        if record.name == "py.warnings" and (found := PYTHON_WARNING.match(text)):
            text = found[1]
        sentences = self.kinds.setdefault(_kind(record), [])
        if (sentence := " ".join(text.split())) not in sentences:
            sentences.append(sentence)


class Shortening(logging.Formatter):
    """Messages as they are, but of warnings of one kind only the first; the others are cut to a line.

    One with a command to type is never cut. Of an error in a node only the node is named, since the command, or the
    traceback, ends with the error.

    Args:
        width: characters of a line.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self._width = width
        self._known: set[Kind] = set()

    def format(self, record: logging.LogRecord) -> str:
        """The text of a record."""
        text = super().format(record)
        if record.name == FAILED_NODE and record.levelno == logging.ERROR:
            return f"{re.split('[:(]', text)[0]} failed."
        if record.levelno != logging.WARNING:
            return text
        is_cut = _kind(record) in self._known and not COMMAND.search(text)
        self._known.add(_kind(record))
        return shortened(" ".join(text.split()), self._width) if is_cut else text


class Milestones(logging.Filter):
    """Lets warnings and milestones through to the console; on a terminal, progress takes one line that is written over.

    What Kedro's runners say is left out. After an error they advise to go on from the node that failed, or to repeat
    the command, whatever has to be mended before.

    Args:
        console: that the handler prints to.
    """

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console
        self._is_live = False

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a record is printed."""
        if record.name == progress.__name__ and record.levelno < logging.WARNING:
            self._show(record.getMessage())
            return False
        if record.levelno < logging.WARNING and not _is_below(record.name, MILESTONES):
            return False
        if record.pathname == kedro_runner.__file__:  # whatever the runner's own logger is called
            return False
        if not hasattr(record, "rich_format"):
            record.markup = False  # else rich leaves out what stands in brackets, such as "[user]"
        self.clear()
        return True

    def clear(self) -> None:
        """Remove the line of the progress."""
        if self._is_live:
            self._console.control(Control.move_to_column(0), Control((ControlType.ERASE_IN_LINE, 2)))
            self._is_live = False

    def _show(self, message: str) -> None:
        if self._console.is_terminal:
            self.clear()
            self._console.print(Text(message), end="", no_wrap=True, overflow="ellipsis", crop=True)
            self._is_live = True


@contextlib.contextmanager
def logged(folder: Path, *, environment: str | None = None) -> Iterator[None]:
    """For the time of a ``with`` block, write everything to ``info.log``, and show milestones alone on the console.

    Kedro configures logging for every command; this is for runs only, so that Kedro-Viz and notebooks print as ever. A
    file that cannot be written is told in a warning.

    Args:
        folder: of the project.
        environment: that commands in warnings name, as given by ``--env``; None: none.
    """
    root, named = logging.getLogger(), EnvironmentNamed(environment)
    with contextlib.ExitStack() as closing:
        for handler in root.handlers:
            closing.callback(handler.removeFilter, named)
            handler.addFilter(named)
            if handler.name in CONSOLES:
                console = getattr(handler, "console", None) or Console()
                milestones = Milestones(console)
                closing.callback(milestones.clear)
                closing.callback(handler.removeFilter, milestones)
                closing.callback(handler.setFormatter, handler.formatter)
                handler.addFilter(milestones)
                handler.setFormatter(Shortening(max(NARROWEST, console.width - CONSOLES[handler.name])))
        try:
            file = _open(folder / FILE)
        except OSError as error:
            logger.warning("Details are not logged, since '%s' cannot be written: %s.", folder / FILE, reason_of(error))
        else:
            file.addFilter(named)
            closing.callback(file.close)
            closing.callback(root.removeHandler, file)
            root.addHandler(file)
        yield


def _open(path: Path) -> RotatingFileHandler:
    """A log that is rotated before a run and never during it, so that all of a run is in one file."""
    handler = RotatingFileHandler(path, backupCount=KEPT, encoding="utf-8")
    handler.setFormatter(logging.Formatter(FORMAT))
    if path.stat().st_size > MAX_BYTES:
        handler.doRollover()
    return handler


def shortened(sentence: str, characters: int) -> str:
    """As much of a sentence as fits."""
    return sentence if len(sentence) <= characters else f"{sentence[: characters - 1].rstrip()}…"


def _kind(record: logging.LogRecord) -> Kind:
    if record.name == "py.warnings":
        return record.getMessage(), 0, ""
    return record.pathname, record.lineno, getattr(record, "kind", "")


def _is_below(name: str, loggers: tuple[str, ...]) -> bool:
    return any(name == logger or name.startswith(f"{logger}.") for logger in loggers)
