"""How the conversation store's tables came to be, a step a file in `versions/` (Alembic).

A store that is opened is brought to HEAD in one transaction, under a lock, so that of processes
which start at once one does the work and the others find it done. A change of `tables.py` needs a
step: `make migration m="what it is for"` drafts one, and HEAD below names the last.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select

from assistant.database import lock
from assistant.errors import StoreError

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "0007"
_LOCK = 0x46726F6E7464  # of PostgreSQL's advisory locks; any number that nobody else takes
_VERSION = Table("alembic_version", MetaData(), Column("version_num", String(32)))


def revision(connection: Connection) -> str | None:
    """The step that a database has reached; None where it has no steps yet."""
    if not inspect(connection).has_table(_VERSION.name):
        return None
    found: str | None = connection.scalar(select(_VERSION.c.version_num))
    return found


def upgrade(writer: Engine, reader: Engine) -> None:
    """Bring a database to HEAD; one that was made before there were steps is recognised, keeps its
    rows and gets what it lacks.

    Raises StoreError where it is newer than this program, or holds tables of another make.
    """
    with reader.connect() as connection:  # nearly always there is nothing to do, nor to wait for
        if revision(connection) == HEAD:
            return
    with writer.begin() as connection:
        lock(connection, _LOCK)
        found = revision(connection)
        if found == HEAD:
            return
        _refuse_unknown(found)
        known_by_shape = found is None and inspect(connection).has_table("conversations")
        _run(connection, HEAD)
        if known_by_shape and (strange := differences(connection)):
            raise StoreError(
                "the tables are not those of any Frontdesk; restore a backup, or move the file"
                f" away: {'; '.join(strange)}"
            )


def move(writer: Engine, target: str) -> tuple[str, str]:
    """Take a database to any step, back too; the step before and the one now.

    Raises StoreError for a step that does not exist, and for one before the first: that would drop
    every table.
    """
    with writer.begin() as connection:
        lock(connection, _LOCK)
        before = revision(connection) or ""
        _refuse_unknown(before or None)
        if target not in steps():
            raise StoreError(f"there is no step {target!r}; there are {', '.join(steps())}")
        _run(connection, target)
        return before, target


def differences(connection: Connection) -> list[str]:
    """In what a database differs from `tables.py`; nothing, after all steps."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from assistant.tables import metadata

    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return [str(change) for change in compare_metadata(context, metadata)]


@cache
def steps() -> tuple[str, ...]:
    """All steps, oldest first."""
    from alembic.script import ScriptDirectory  # takes a while to import, and is seldom needed

    scripts = ScriptDirectory.from_config(_config())
    return tuple(step.revision for step in scripts.walk_revisions())[::-1]


def _refuse_unknown(found: str | None) -> None:
    if found is not None and found not in steps():
        raise StoreError(
            f"the database is newer than this program: it has reached step {found}, and this"
            f" program knows {steps()[-1]}; install the Frontdesk that it was last opened with,"
            " or restore a backup from before"
        )


def _run(connection: Connection, target: str) -> None:
    """Let Alembic take a database to a step, within the transaction that is open (see env.py)."""
    from alembic import command

    at = revision(connection)
    config = _config()
    config.attributes["connection"] = connection
    back = at is not None and steps().index(target) < steps().index(at)
    (command.downgrade if back else command.upgrade)(config, target)


def _config() -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    return config
