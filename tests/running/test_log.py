"""What a run prints, what it writes to the file, and that nothing of it stays afterwards."""

import io
import logging
import warnings

import pytest
from kedro.io import DataCatalog
from kedro.logging import RichHandler
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner
from rich.console import Console

from aitm_kedro.running import log
from aitm_kedro.running.log import FILE, WarningCollector, logged

WIDTH = 60


class Screen:
    """A console handler on the root logger, as ``conf/logging.yml`` makes it."""

    def __init__(self, name="console", terminal=False):
        self.text = io.StringIO()
        console = Console(file=self.text, width=WIDTH, force_terminal=terminal, color_system=None)
        self.handler = RichHandler(level=logging.INFO, console=console, show_path=False, show_time=False)
        self.handler.name = name

    @property
    def lines(self):
        return [line.rstrip() for line in self.text.getvalue().splitlines()]


@pytest.fixture
def screen(request):
    with_terminal = Screen(**getattr(request, "param", {}))
    root, ours, kedro = (logging.getLogger(name) for name in (None, "aitm_kedro", "kedro"))
    levels = [logger.level for logger in (ours, kedro)]
    root.addHandler(with_terminal.handler)
    ours.setLevel(logging.INFO)
    kedro.setLevel(logging.INFO)
    yield with_terminal
    root.removeHandler(with_terminal.handler)
    for logger, level in zip((ours, kedro), levels, strict=True):
        logger.setLevel(level)


def speak():
    """One message of each sort."""
    logging.getLogger("aitm_kedro.hooks").info("train: 1.0 s, column [user]")
    logging.getLogger("aitm_kedro.learning.training.loop").info("epoch 1")
    logging.getLogger("aitm_kedro.core.progress").info("training: 5 of 10 rows")
    logging.getLogger("kedro.runner").info("Completed node: train")
    logging.getLogger("kedro.runner").warning("There are nodes left.")
    logging.getLogger("elsewhere").warning("Mind the gap.")


SAID = ["train: 1.0 s, column [user]", "There are nodes left.", "Mind the gap."]


def test_milestones_and_warnings_are_printed_and_everything_is_in_the_file(tmp_path, screen):
    with logged(tmp_path):
        speak()
    assert [line.split(maxsplit=1)[1] for line in screen.lines] == SAID
    log = (tmp_path / FILE).read_text()
    for text in (*SAID, "epoch 1", "training: 5 of 10 rows", "Completed node: train"):
        assert text in log


@pytest.mark.parametrize("name", ["split", None])
def test_of_a_node_that_fails_the_name_is_printed_and_no_advice(tmp_path, screen, name):
    class Runner(SequentialRunner):
        """Whose logger is that of this module."""

    def split(table):
        raise ValueError("There is no column 'user'.")

    pipeline = Pipeline([Node(lambda: 1, None, "table", name="read"), Node(split, "table", "parts", name=name)])
    with pytest.raises(ValueError, match="no column"), logged(tmp_path):
        Runner().run(pipeline, DataCatalog())
    assert screen.lines == ["ERROR    Node split failed."]
    log = (tmp_path / FILE).read_text()
    assert "There is no column 'user'." in log
    assert "You can resume the pipeline run" in log


def test_outside_of_a_run_logging_is_as_it_was(tmp_path, screen):
    before = (list(logging.getLogger().handlers), list(screen.handler.filters), screen.handler.formatter)
    with pytest.raises(ValueError, match="broken"), logged(tmp_path):
        raise ValueError("broken")
    assert before == (list(logging.getLogger().handlers), list(screen.handler.filters), screen.handler.formatter)
    speak()
    assert len(screen.lines) == 6
    assert (tmp_path / FILE).read_text() == ""


@pytest.mark.parametrize("screen", [{"name": "rich"}], indirect=True)
def test_the_handler_that_kedro_makes_outside_of_the_projects_folder_is_as_quiet(tmp_path, screen):
    with logged(tmp_path):
        speak()
        for _ in range(2):
            logging.getLogger("elsewhere").warning("a long warning of one kind, %s", "word " * 30)
    assert len(screen.lines) > len(SAID)
    assert not any("Completed node" in line or "epoch 1" in line for line in screen.lines)
    assert len(screen.lines[-1]) == len("WARNING  ") + log.NARROWEST


@pytest.mark.parametrize("screen", [{"name": "mine"}], indirect=True)
def test_a_handler_of_another_name_shows_all_that_it_is_given(tmp_path, screen):
    with logged(tmp_path):
        speak()
    assert len(screen.lines) == 6


@pytest.mark.parametrize("screen", [{"terminal": True}], indirect=True)
def test_on_a_terminal_progress_takes_one_line_that_is_written_over(tmp_path, screen):
    with logged(tmp_path):
        for rows in (1, 2):
            logging.getLogger("aitm_kedro.core.progress").info("training: %d of 2 rows %s", rows, "x" * 100)
        logging.getLogger("aitm_kedro.hooks").info("trained")
        logging.getLogger("aitm_kedro.core.progress").info("scoring")
    shown, erased = screen.text.getvalue(), "\x1b[2K"
    assert shown.count(erased) == 3
    assert shown.count("\n") == 1
    assert "trained" in shown
    assert max(len(part) for part in shown.split(erased)) < WIDTH + 20


def test_of_warnings_of_one_kind_the_first_is_printed_whole_and_the_others_take_a_line(tmp_path, screen):
    with logged(tmp_path):
        for run in ("aitm", "ple", "esmm"):
            logging.getLogger("aitm_kedro.learning").warning("'%s' did not learn%s.", run, ", really" * 20)
    assert "".join(line[9:] for line in screen.lines[:-2]).endswith("really.")
    assert [line[9:].startswith(("'ple' did", "'esmm' did")) for line in screen.lines[-2:]] == [True, True]
    assert all(line.endswith("…") for line in screen.lines[-2:])
    assert (tmp_path / FILE).read_text().count("really.") == 3


def test_a_warning_with_a_command_is_printed_whole(tmp_path, screen):
    with logged(tmp_path, environment="test"):
        for note in ("No results of ple.", f"Those of {'aitm, ' * 20}are old: kedro run --pipelines=modelling"):
            logging.getLogger("aitm_kedro.pipelines.comparison").warning(note)
    assert "".join(line[8:] for line in screen.lines).endswith("kedro run --env=test --pipelines=modelling")


def test_a_log_that_cannot_be_written_is_told_and_the_run_goes_on(tmp_path, caplog):
    (tmp_path / FILE).mkdir()
    with logged(tmp_path):
        pass
    assert f"'{tmp_path / FILE}' cannot be written: Is a directory." in caplog.text


def test_a_long_log_makes_room_before_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(log, "MAX_BYTES", 10)
    logger = logging.getLogger("elsewhere")
    for run in range(6):
        with logged(tmp_path):
            logger.warning("a long message of run %d", run)
            logger.warning("another one")
    assert sorted(path.name for path in tmp_path.iterdir()) == [FILE, f"{FILE}.1", f"{FILE}.2", f"{FILE}.3"]
    assert "run 5" in (tmp_path / FILE).read_text()
    assert "run 4" in (tmp_path / f"{FILE}.1").read_text()


class TestWarningCollector:
    @pytest.fixture
    def collector(self):
        collector = WarningCollector()
        collector.start()
        yield collector
        collector.stop()

    def test_each_sentence_is_kept_once_and_by_its_kind(self, collector):
        logger = logging.getLogger("aitm_kedro.learning")
        for run in ("aitm", "ple", "aitm"):
            logger.warning("'%s' did not\n  learn.", run)
        logger.info("epoch 1")
        logging.getLogger("kedro.runner").warning("There are nodes left.")
        logger.warning("Few positives.")
        assert list(collector.kinds.values()) == [["'aitm' did not learn.", "'ple' did not learn."], ["Few positives."]]
        assert collector.sentences == ["'aitm' did not learn.", "'ple' did not learn.", "Few positives."]

    def test_warnings_of_python_are_kept_without_their_place(self, collector):
        for text in ("numbers overflow", "and more"):
            shown = warnings.formatwarning(text, RuntimeWarning, "/x/y.py", 7, line="y = overflow()")
            logging.getLogger("py.warnings").warning("%s", shown)
        assert collector.sentences == ["numbers overflow", "and more"]
        assert len(collector.kinds) == 2

    def test_the_next_run_begins_with_nothing(self, collector):
        logging.getLogger("aitm_kedro").warning("old")
        collector.start()
        assert collector.sentences == []
        collector.stop()
        logging.getLogger("aitm_kedro").warning("later")
        assert collector.sentences == []
