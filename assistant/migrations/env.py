"""What Alembic runs for every command: the program hands it a connection with an open transaction,
and a developer at `make migration` names a database with `-x url=...`."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection, create_engine

from assistant.tables import metadata


def run(connection: Connection) -> None:
    """Take the steps. SQLite cannot change most of a table, so that it is copied (a batch)."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        render_as_batch=True,
        transactional_ddl=True,
        compare_type=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if given := context.config.attributes.get("connection"):
    run(given)
else:
    with create_engine(context.get_x_argument(as_dictionary=True)["url"]).begin() as opened:
        run(opened)
