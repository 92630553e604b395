"""PostgreSQL's own programs for what only they do well: a whole database as a file, and back.

The password goes by the environment: other users of the machine can read a command line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from sqlalchemy import URL, inspect

from assistant.database import open_engines
from assistant.errors import StoreError


def dump(url: URL, target: Path) -> None:
    """Write a database to a file, as it stands at one moment. Raises StoreError."""
    _run("pg_dump", url, "--format=custom", "--compress=0", "--no-owner", "--no-privileges",
         f"--file={target}")  # fmt: skip


def restore(source: Path, url: URL) -> None:
    """Fill an empty database from such a file, wholly or not at all. Raises StoreError."""
    _run("pg_restore", url, "--single-transaction", "--exit-on-error", "--no-owner",
         "--no-privileges", str(source))  # fmt: skip


def is_empty(url: URL) -> bool:
    """Whether a database has no table. Raises StoreError when it cannot be reached."""
    engine, _ = open_engines(url.render_as_string(hide_password=False))
    try:
        with engine.connect() as connection:
            return not inspect(connection).get_table_names()
    finally:
        engine.dispose()


def _run(program: str, url: URL, *options: str) -> None:
    if shutil.which(program) is None:
        raise StoreError(
            f"{program} is not installed here: install PostgreSQL's client programs"
            " (postgresql-client), of the server's version or newer, and try again"
        )
    plain = url.set(drivername="postgresql", password=None).render_as_string()
    environment = os.environ | ({"PGPASSWORD": str(url.password)} if url.password else {})
    command = [program, f"--dbname={plain}", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        told = done.stderr.strip().splitlines() or ["no reason was given"]
        raise StoreError(f"{program} failed: {told[-1]}")
