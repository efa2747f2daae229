"""``kedro run``, with three differences.

An error that a person can mend is shown as a sentence, not as a traceback, mistakes in the options among them; the
pipeline ``benchmark``, run as a whole, goes on where it stopped; and ``--pipeline`` is as good as ``--pipelines``.

Of ``kedro catalog`` and ``kedro registry``, which read the configuration, too, errors are shown in the same way.
"""

import contextlib
import copy
import errno
import inspect
import os
import re
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import click
import duckdb
import pyarrow as pa
import yaml
from kedro.config import MissingConfigException
from kedro.framework.cli import catalog, project, registry
from kedro.framework.cli.utils import KedroCliError
from kedro.io import DatasetError
from kedro.runner import AbstractRunner
from kedro.utils import load_obj
from kedro.validation.exceptions import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException

from aitm_kedro.config.files import check_logging
from aitm_kedro.config.sentences import nearest, stop
from aitm_kedro.core.commands import with_environment
from aitm_kedro.core.errors import InputError

MENDABLE = (
    InputError,
    DatasetError,
    ParameterValidationError,
    MissingConfigException,
    OmegaConfBaseException,
)
ENGINE = (duckdb.Error, pa.ArrowException)
"""What the engines raise when rows are computed: a value deep in the file that has another type, a damaged page."""

UNWRITABLE = {
    errno.EACCES: "there is no permission",
    errno.EPERM: "there is no permission",
    errno.EROFS: "it is on a medium that is mounted read-only",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
}
"""Errors of the operating system that a person can mend, in words."""

LIST = re.compile(r"\[[^\]]*,[^\]]*\]?|\{[^}]*,[^}]*\}?")

RESUMING = "aitm_kedro.runner.ResumingRunner"

RUNNERS = ("SequentialRunner", "ThreadRunner", "ParallelRunner", RESUMING)

CHOOSING = ("runner", "namespaces", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "tags")
"""Options by which a person says what to run: that is run, whether it was finished before or not."""


class _Run(click.Command):
    """Mendable errors become ``Error: sentence`` and exit code 1; a benchmark goes on where it stopped."""

    def invoke(self, ctx: click.Context) -> Any:
        _take_pipelines(ctx)
        if "benchmark" in ctx.params["pipelines"] and not any(ctx.params.get(name) for name in CHOOSING):
            ctx.params["runner"] = RESUMING
        _check_runner_arguments(ctx)
        with _in_sentences(ctx.params.get("env")):
            return super().invoke(ctx)


class _Group(click.Group):
    """Mendable errors of its commands become ``Error: sentence`` and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        with _in_sentences():
            return super().invoke(ctx)


@contextlib.contextmanager
def _in_sentences(environment: str | None = None) -> Iterator[None]:
    """Show mendable errors as sentences; commands in them are those of an environment."""
    try:
        check_logging()
        yield
    except (*MENDABLE, *ENGINE, OSError) as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        if os.environ.get("AITM_TRACEBACK"):
            traceback.print_exc()
        sentence = with_environment(sentence, environment)
        raise click.ClickException(f"{sentence}\n(AITM_TRACEBACK=1 shows where in the code.)") from None


def _take_pipelines(ctx: click.Context) -> None:
    """Make ``--pipeline`` one of ``--pipelines``, without the warning of Kedro that the one will give way to it.

    What is typed counts more than what the file of ``--config`` says.
    """
    given = [name for name in ("pipeline", "pipelines") if ctx.params.get(name)]
    typed = [name for name in given if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE]
    chosen = typed or given
    if len(chosen) > 1:
        raise click.UsageError("Options --pipeline and --pipelines mean the same; give one of them.", ctx)
    if chosen == ["pipeline"]:
        ctx.params["pipelines"] = [ctx.params["pipeline"]]
    ctx.params["pipeline"] = None


def _sentence(error: BaseException) -> str | None:
    """What to tell a person of an error; None for one that only a programmer can mend."""
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, InputError):
            return str(cause)
    for cause in causes:
        if isinstance(cause, OSError) and cause.errno in UNWRITABLE:
            place = f"'{cause.filename}'" if cause.filename else "A file of the run"
            return (
                f"{place} cannot be opened or written: {UNWRITABLE[cause.errno]}. See to that, and run again; what was "
                "finished before is kept."
            )
    if isinstance(error, OSError):
        return None
    if isinstance(error, ENGINE):
        return f"The data could not be read or computed. The engine says: {error}"
    return str(error).strip()


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error, and those that it came from, down to the first: datasets put their arguments around a sentence."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


@click.group(name="aitm-kedro")
def cli() -> None:
    """Commands of this project."""


def _refuse_lists(text: str) -> None:
    if found := LIST.search(text):
        kind = "list" if found[0].startswith("[") else "mapping"
        raise InputError(
            f"it is split at commas, so it cannot hold the {kind} {found[0]}; write the {kind} into "
            "conf/<environment>/parameters.yml, or set one key at a time, as in --params=runs.aitm.options.alpha=0"
        )


def _check_params(text: str) -> None:
    """Raise InputError for what is no list of key=value."""
    _refuse_lists(text)
    seen: set[str] = set()
    for item in filter(None, map(str.strip, text.split(","))):
        key = _check_item(item)
        _forbid_twice(key, seen)
        seen.add(key)


def _check_item(item: str) -> str:
    """The key of key=value; InputError if it is none, or has no value that can be read."""
    key, equals, value = (part.strip() for part in item.partition("="))
    if not equals or not key:
        raise InputError(f"'{item}' is not key=value, as in --params=training.max_epochs=3")
    if not value:
        raise InputError(f"'{item}' has no value; write {key}=null for none")
    if not all(key.split(".")):
        raise InputError(f"the key of '{item}' has a dot without a name beside it")
    try:
        yaml.safe_load(value)
    except yaml.YAMLError:
        raise InputError(f"the value of '{item}' cannot be read; write text with such characters into a file") from None
    return key


def _forbid_twice(key: str, seen: set[str]) -> None:
    """Raise InputError for a key that is given already, as such or by one that is inside the other."""
    if key in seen:
        raise InputError(f"the key '{key}' is given twice; give it once")
    for other in seen:
        if key.startswith(f"{other}.") or other.startswith(f"{key}."):
            raise InputError(f"'{key}' and '{other}' are given, of which one is inside the other; give one of them")


def _check_runner(name: str) -> None:
    """Raise InputError for a runner that cannot be imported, or is none."""
    try:
        found = load_obj(name, "kedro.runner")
    except (AttributeError, ImportError, ValueError):
        found = None
    if not (isinstance(found, type) and issubclass(found, AbstractRunner)):
        raise InputError(stop(f"there is no runner '{name}'; {nearest(name, RUNNERS, known='there are')}"))


def _check_runner_arguments(ctx: click.Context) -> None:
    """Raise a usage error for an argument that the runner does not take."""
    given = ctx.params.get("runner_params") or {}
    if not given:
        return
    runner = load_obj(ctx.params.get("runner") or RUNNERS[0], "kedro.runner")
    known = list(inspect.signature(runner).parameters)
    for name in given:
        if name not in known:
            hint = nearest(name, known, known="it takes")
            raise click.UsageError(stop(f"--runner-params: {runner.__name__} does not take '{name}'; {hint}"), ctx)
    try:
        runner(**given)
    except (TypeError, ValueError) as error:
        raise click.UsageError(stop(f"--runner-params: {runner.__name__} refuses them: {error}"), ctx) from None


def _check_versions(text: str) -> None:
    """Raise InputError for what is no list of dataset:version."""
    for item in filter(None, map(str.strip, text.split(","))):
        name, colon, version = item.partition(":")
        if not name or not colon or not version:
            raise InputError(f"'{item}' is not dataset:version, as in aitm.seed0.weights:2026-11-22T06.08.31.482Z")


CHECKS: dict[str, Callable[[str], None]] = {
    "params": _check_params,
    "runner_params": _check_params,
    "runner": _check_runner,
    "load_versions": _check_versions,
}
"""Option -> what looks at its text before Kedro does."""


def _check_text(ctx: click.Context, option: click.Parameter, text: str) -> None:
    """Raise InputError for a text that cannot be what an option was meant to say."""
    name = str(option.name)
    if not text.strip(" ,") and ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE:
        raise InputError("it has no value; give it one, or leave it out")  # an empty variable of the shell
    if text and name in CHECKS:
        CHECKS[name](text)


def _take_lists(ctx: click.Context) -> None:
    """Write lists in the file of ``--config`` as they are typed; options are texts, split at commas."""
    given = ctx.default_map or {}
    ctx.default_map = {
        name: ",".join(map(str, value)) if isinstance(value, list) else value for name, value in given.items()
    }


def _checked(option: click.Parameter) -> click.Parameter:
    """An option whose mistakes are sentences."""
    read = option.callback

    def callback(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        try:
            if isinstance(value, str):
                _check_text(ctx, param, value)
            answer = read(ctx, param, value) if read else value
            if option.name == "config":
                _take_lists(ctx)
            return answer
        except InputError as error:
            raise click.BadParameter(str(error), ctx, param) from None
        except KedroCliError as error:
            raise click.BadParameter(error.message, ctx, param) from None
        except (yaml.YAMLError, OmegaConfBaseException, KeyError, AttributeError) as error:
            if option.name != "config":
                raise
            raise click.BadParameter(f"it is no file with options under the key 'run' ({error})", ctx, param) from None

    changed = copy.copy(option)
    changed.callback = callback
    return changed


run = copy.copy(project.run)
run.__class__ = _Run
run.params = [_checked(option) for option in run.params]
cli.add_command(run)

for of_kedro in (catalog.catalog, registry.registry):
    group = copy.copy(of_kedro)
    group.__class__ = _Group
    cli.add_command(group)
