"""What each answer rests on, a row a subject, for the answers given before too; and indexes on the
audit log by who and what."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0004", "0003"
_READ = 1000  # replies at a time
_MESSAGES = sa.table("messages", *map(sa.column, ("id", "conversation_id", "reply", "created")))
_CITED = sa.table("cited", *map(sa.column, ("subject", "conversation_id", "message", "created")))


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "cited",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("conversation_id", sa.String(32), nullable=False),
        sa.Column("message", sa.Integer, nullable=False),
        sa.Column("created", sa.Float, nullable=False),
        sa.UniqueConstraint("message", "subject"),
    )
    connection = op.get_bind()
    last = 0
    while found := _after(connection, last):
        last = found[-1].id
        if rows := [row for message in found for row in _rows(message)]:
            connection.execute(sa.insert(_CITED), rows)
    op.create_index("ix_cited_conversation_id", "cited", ["conversation_id"])
    op.create_index("cited_by_subject", "cited", ["subject", "created"])
    op.create_index("audit_by_who", "audit", ["who", "id"])
    op.create_index("audit_by_what", "audit", ["what", "id"])


def downgrade() -> None:
    """Take it back."""
    op.drop_index("audit_by_what", "audit")
    op.drop_index("audit_by_who", "audit")
    op.drop_table("cited")


def _after(connection: sa.Connection, last: int) -> list[Any]:
    """The next replies by their numbers."""
    columns = _MESSAGES.c
    query = sa.select(_MESSAGES).where(columns.id > last, columns.reply.is_not(None))
    return list(connection.execute(query.order_by(columns.id).limit(_READ)))


def _rows(message: Any) -> Iterator[dict[str, Any]]:
    """What a reply rests on: what it cites, and the version that holds that."""
    reply = json.loads(message.reply)
    cited = [f"evidence:{c['evidence_id']}" for c in reply.get("citations") or ()]
    version = (reply.get("trace") or {}).get("version")
    subjects = cited + ([f"version:{version}"] if cited and version else [])
    for subject in dict.fromkeys(subjects):
        yield {
            "subject": subject,
            "conversation_id": message.conversation_id,
            "message": message.id,
            "created": message.created,
        }
