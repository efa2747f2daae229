"""``kedro run``, with three differences.

An error that a person can mend is shown as a sentence, not as a traceback; a list in ``--params`` is one of them; and
the pipeline ``benchmark``, run as a whole, goes on where it stopped.
"""

import copy
import logging
import os
import re
import traceback
from typing import Any

import click
import duckdb
import pyarrow as pa
from kedro.config import MissingConfigException
from kedro.framework.cli import project
from kedro.io import DatasetError
from kedro.validation.exceptions import ParameterValidationError
from omegaconf.errors import OmegaConfBaseException

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


LIST = re.compile(r"\[[^\]]*,[^\]]*\]?")

RESUMING = "aitm_kedro.runner.ResumingRunner"

CHOOSING = ("runner", "namespaces", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs", "tags")
"""Options by which a person says what to run: that is run, whether it was finished before or not."""


class _Run(click.Command):
    """Mendable errors become ``Error: sentence`` and exit code 1; a benchmark goes on where it stopped."""

    def invoke(self, ctx: click.Context) -> Any:
        if "benchmark" in _pipelines(ctx) and not any(ctx.params.get(name) for name in CHOOSING):
            ctx.params["runner"] = RESUMING
        try:
            return super().invoke(ctx)
        except (*MENDABLE, *ENGINE) as error:
            if os.environ.get("AITM_TRACEBACK"):
                traceback.print_exc()
            logging.getLogger(__name__).debug("The run failed.", exc_info=error)
            sentence = _of_configuration(error) if isinstance(error, OmegaConfBaseException) else str(_cause(error))
            if isinstance(error, ENGINE):
                sentence = f"The data could not be read or computed. The engine says: {sentence}"
            raise click.ClickException(f"{sentence}\n(AITM_TRACEBACK=1 shows where in the code.)") from None


def _cause(error: BaseException) -> BaseException:
    """What a dataset complained of, without its arguments, which Kedro puts before the sentence."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__cause__
    return cause or error


def _of_configuration(error: OmegaConfBaseException) -> str:
    """What OmegaConf says, or what a resolver of ours said, and the key that it is about."""
    sentence = str(error).partition("\n    full_key:")[0].rpartition("raised while resolving interpolation: ")[2]
    return f"{sentence} (key {error.full_key} of the configuration)" if error.full_key else sentence


def _pipelines(ctx: click.Context) -> set[str]:
    """Names given by --pipeline or --pipelines."""
    return {ctx.params.get("pipeline"), *(ctx.params.get("pipelines") or ())} - {None}


@click.group(name="aitm-kedro")
def cli() -> None:
    """Commands of this project."""


def _refuse_lists(option: click.Option) -> click.Option:
    """The option ``--params``, which says so when it is given a list."""
    split = option.callback

    def checked(ctx: click.Context, param: click.Parameter, value: Any) -> Any:
        if isinstance(value, str) and (found := LIST.search(value)):
            raise click.BadParameter(
                f"it is split at commas, so it cannot hold the list {found[0]}; write the list into conf/<environment>/"
                "parameters.yml, or set one key at a time, as in --params=runs.aitm.options.alpha=0",
                ctx,
                param,
            )
        return split(ctx, param, value) if split else value

    changed = copy.copy(option)
    changed.callback = checked
    return changed


run = copy.copy(project.run)
run.__class__ = _Run
run.params = [
    _refuse_lists(option) if option.name == "params" and isinstance(option, click.Option) else option
    for option in run.params
]
cli.add_command(run)
