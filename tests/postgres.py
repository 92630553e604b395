"""A PostgreSQL server of its own for the tests that need one."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_USERS = ("postgres", "nobody")  # the server refuses to run as root


@contextmanager
def server() -> Iterator[str]:
    """The URL of a fresh server's database, without its name; skips where there is no PostgreSQL."""
    if missing := [p for p in ("initdb", "pg_ctl", "postgres") if shutil.which(p) is None]:
        pytest.skip(f"PostgreSQL is not installed: {', '.join(missing)} not found")
    pytest.importorskip("psycopg")
    folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
    prefix = _as_another(folder)
    data, port = folder / "data", _free_port()
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    try:
        _run(prefix, "initdb", "-D", str(data), "-U", "shop", "-A", "trust", "-E", "UTF8")
        _run(
            prefix,
            "pg_ctl",
            "-D",
            str(data),
            "-w",
            "-l",
            str(folder / "log"),
            "-o",
            options,
            "start",
        )
        try:
            yield f"postgresql://shop@127.0.0.1:{port}"
        finally:
            _run(prefix, "pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def create(url: str, name: str) -> str:
    """A new, empty database of a server; its URL."""
    import psycopg

    with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{url}/{name}"


def _as_another(folder: Path) -> list[str]:
    """What has a command run as somebody who may run the server; the folder is theirs."""
    if os.getuid():
        return []
    known = {entry.pw_name for entry in pwd.getpwall()}
    user = next((u for u in _USERS if u in known), None)
    if user is None or shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is nobody else to run it")
    entry = pwd.getpwnam(user)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    return ["setpriv", f"--reuid={entry.pw_uid}", f"--regid={entry.pw_gid}", "--clear-groups"]


def _run(prefix: list[str], *command: str) -> None:
    """Run to the end; what the server inherits is no pipe, which would stay open with it."""
    quiet = subprocess.DEVNULL
    done = subprocess.run(
        [*prefix, *command], cwd="/", stdin=quiet, stdout=quiet, stderr=quiet, timeout=120
    )
    assert done.returncode == 0, command


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
