"""A PostgreSQL server of one's own, for as long as a test needs it."""

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

PASSWORD = "s3cret@1"
ADDRESS = "postgresql://aitm:s3cret%401@127.0.0.1:{port}/postgres"
OTHERS = ("postgres", "nobody")
"""Users that may start a server where root may not."""


@contextlib.contextmanager
def server() -> Iterator[str]:
    """Start a server, and yield its address; the test is skipped, with the reason, where there can be none."""
    programs = [_find(name) for name in ("initdb", "pg_ctl")]
    if not all(programs):
        pytest.skip("PostgreSQL is not installed: there is no initdb or pg_ctl")
    prefix = _as_another_user()
    folder = Path(tempfile.mkdtemp(prefix="aitm-pg-"))  # not pytest's own, which no other user may enter
    try:
        (folder / "password").write_text(PASSWORD)
        if prefix:
            shutil.chown(folder, prefix[2])
            shutil.chown(folder / "password", prefix[2])
        port = _free_port()
        initdb, pg_ctl = programs
        _run(
            [
                *[*prefix, initdb, f"--pgdata={folder}/data", "--username=aitm", f"--pwfile={folder}/password"],
                *["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"],
            ]
        )
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        control = [*prefix, pg_ctl, f"--pgdata={folder}/data", f"--log={folder}/log", "--wait"]
        _run([*control, f"--options={options}", "start"])
        try:
            yield ADDRESS.format(port=port)
        finally:
            _run([*control, "--mode=immediate", "stop"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _find(name: str) -> str | None:
    """A program of PostgreSQL, which Debian keeps out of the path."""
    places = [os.environ["PATH"], *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True))]
    return shutil.which(name, path=os.pathsep.join(places))


def _as_another_user() -> list[str]:
    """What to put before a command so that it does not run as root, which PostgreSQL refuses."""
    if os.name != "nt" and os.geteuid() != 0:
        return []
    import pwd

    names = {user.pw_name for user in pwd.getpwall()}
    user = next((name for name in OTHERS if name in names), None)
    if user is None or shutil.which("runuser") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no runuser, or no other user")
    return ["runuser", "-u", user, "--"]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(command: list[str]) -> None:
    result = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=60, check=False, cwd="/"
    )
    if result.returncode:
        pytest.skip(f"PostgreSQL cannot be started: {result.stderr.strip().splitlines()[-1:]}")
