"""Commands in sentences name the environment of the run."""

import logging

import pytest

from aitm_kedro.core.commands import EnvironmentNamed, with_environment


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "kedro run --pipelines=modelling --namespaces=a.seed0",
            "kedro run --env=shop --pipelines=modelling --namespaces=a.seed0",
        ),
        (
            "Make it: kedro run --pipelines=preparation --env=shop",
            "Make it: kedro run --pipelines=preparation --env=shop",
        ),
        (
            "(kedro run --nodes=x), (kedro run --nodes=y)",
            "(kedro run --env=shop --nodes=x), (kedro run --env=shop --nodes=y)",
        ),
        ("what kedro run does", "what kedro run does"),
    ],
)
def test_the_environment_is_put_into_commands_that_lack_it(text, said):
    assert with_environment(text, "shop") == said
    assert with_environment(text, None) == text


def test_a_handler_gets_the_command_of_the_environment():
    record = logging.LogRecord(
        "aitm_kedro", logging.WARNING, "file.py", 1, "Renew %s: kedro run --nodes=%s", ("x", "y"), None
    )
    assert EnvironmentNamed("shop").filter(record)
    assert record.getMessage() == "Renew x: kedro run --env=shop --nodes=y"
