"""Commands in sentences, as they have to be typed for the environment of the run."""

import logging
import re

COMMAND = re.compile(r"kedro run((?: --\S+)+)")


def with_environment(text: str, environment: str | None) -> str:
    """A sentence whose commands name the environment; the rooms that write them do not know it.

    Example:
        >>> with_environment("train again: kedro run --pipelines=modelling; or wait", "shop")
        'train again: kedro run --env=shop --pipelines=modelling; or wait'
    """
    if environment is None:
        return text
    return COMMAND.sub(lambda found: found[0] if "--env" in found[0] else _insert(found, environment), text)


def _insert(found: re.Match[str], environment: str) -> str:
    return f"kedro run --env={environment}{found[1]}"


class EnvironmentNamed(logging.Filter):
    """Makes commands in what a handler is given those of an environment.

    Args:
        environment: for ``--env``; None: none.
    """

    def __init__(self, environment: str | None) -> None:
        super().__init__()
        self._environment = environment

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the message; nothing is left out."""
        text = record.getMessage()
        if (changed := with_environment(text, self._environment)) != text:
            record.msg, record.args = changed, None
        return True
