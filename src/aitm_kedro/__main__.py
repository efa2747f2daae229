"""Run the packaged project: ``python -m aitm_kedro --pipeline=full``, with ``conf/`` in the working directory."""

import sys
from pathlib import Path
from typing import Any

from aitm_kedro.config.files import check_logging
from aitm_kedro.core.errors import InputError


def main(*args: Any, **kwargs: Any) -> Any:
    """Configure the project and hand the command line to ``kedro run``."""
    try:
        check_logging()
    except InputError as error:
        sys.exit(f"Error: {error}")
    # Kedro configures the log while it is imported, and cannot be imported if the file is broken.
    from kedro.framework.cli.utils import find_run_command
    from kedro.framework.project import configure_project

    package_name = Path(__file__).parent.name
    configure_project(package_name)
    kwargs["standalone_mode"] = not hasattr(sys, "ps1")
    return find_run_command(package_name)(*args, **kwargs)


if __name__ == "__main__":
    main()
