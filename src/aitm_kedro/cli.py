"""``kedro run``, with one difference: an error that a person can mend is shown as a sentence, not as a traceback."""

import copy
import logging
import os
import traceback
from typing import Any

import click
from kedro.framework.cli import project
from kedro.io import DatasetError
from kedro.validation.exceptions import ParameterValidationError

from aitm_kedro.errors import InputError

MENDABLE = (InputError, DatasetError, ParameterValidationError)


class _PlainErrors(click.Command):
    """A command whose mendable errors become ``Error: sentence`` and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except MENDABLE as error:
            if os.environ.get("AITM_TRACEBACK"):
                traceback.print_exc()
            logging.getLogger(__name__).debug("The run failed.", exc_info=error)
            raise click.ClickException(f"{error}\n(AITM_TRACEBACK=1 shows where in the code.)") from None


@click.group(name="aitm-kedro")
def cli() -> None:
    """Commands of this project."""


run = copy.copy(project.run)
run.__class__ = _PlainErrors
cli.add_command(run)
