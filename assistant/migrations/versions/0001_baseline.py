"""The tables as they were when steps began.

Before, a store made whatever tables it lacked whenever it was opened. A database of that time holds
all of these, or those of its day: only what is missing is made.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0001", None


def _key() -> sa.Column[int]:
    return sa.Column("id", sa.Integer, primary_key=True)


def _text(
    name: str, length: int | None = None, *, nullable: bool = False, primary_key: bool = False
) -> sa.Column[str]:
    kind = sa.String(length) if length else sa.Text()
    return sa.Column(name, kind, nullable=nullable, primary_key=primary_key)


def _time(name: str) -> sa.Column[float]:
    return sa.Column(name, sa.Float, nullable=False)


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _conversation() -> sa.Column[str]:
    return _text("conversation_id", 32)


def _tables() -> dict[str, tuple[sa.schema.SchemaItem, ...]]:
    return {
        "conversations": (
            _text("id", 32, primary_key=True), _text("state", 8), _text("language", 8),
            _text("customer_id", 64, nullable=True), _text("agent", 64, nullable=True),
            _text("reason", 200), _time("created"), _time("updated"),
        ),
        "messages": (
            _key(), _conversation(), _text("message_id", 64), _text("role", 10), _text("text"),
            _text("reply", nullable=True), _time("created"),
            sa.UniqueConstraint("conversation_id", "message_id", "role"),
        ),
        "handoffs": (
            _key(), _conversation(), _text("event", 10), _text("who", 64), _time("created"),
        ),
        "contacts": (
            _text("conversation_id", 32, primary_key=True), _text("email", 254), _time("created"),
        ),
        "ratings": (
            _key(), _conversation(), _number("message"), _number("helpful"), _text("reason"),
            _time("created"), sa.UniqueConstraint("message"),
        ),
        "notes": (_key(), _conversation(), _text("who", 64), _text("text"), _time("created")),
        "edits": (
            _key(), _conversation(), _number("message"), _text("suggestion"), _text("sent"),
            _text("evidence_id"), _number("inserted"), _time("created"),
            sa.UniqueConstraint("message"),
        ),
        "canned": (
            _key(), _text("shortcut", 32), _text("language", 8), _text("text"), _text("who", 64),
            _time("updated"), sa.UniqueConstraint("shortcut", "language"),
        ),
        "curated": (
            _text("id", 32, primary_key=True), _text("question"), _text("wordings"),
            _text("answer"), _text("language", 8), _text("valid_from", 10, nullable=True),
            _text("valid_until", 10, nullable=True), _number("enabled"), _time("created"),
            _time("updated"), _text("who", 64),
        ),
        "curated_hits": (
            _key(), _text("curated_id", 32), _conversation(), _number("message"),
            _time("created"), sa.UniqueConstraint("message"),
        ),
        "audit": (_key(), _text("who", 64), _text("what", 64), _text("detail"), _time("created")),
        "identity_tries": (_key(), _conversation(), _text("order_number", 32), _time("created")),
        "tasks": (
            _text("conversation_id", 32, primary_key=True), _text("body"), _time("updated"),
        ),
        "used_tokens": (_text("id", 64, primary_key=True), _time("expires")),
    }  # fmt: skip


_INDEXES = {
    "by_state": ("conversations", ["state", "updated"]),
    "by_time": ("handoffs", ["created"]),
    "ix_notes_conversation_id": ("notes", ["conversation_id"]),
    "ix_edits_conversation_id": ("edits", ["conversation_id"]),
    "ix_curated_hits_curated_id": ("curated_hits", ["curated_id"]),
    "ix_curated_hits_conversation_id": ("curated_hits", ["conversation_id"]),
    "ix_identity_tries_conversation_id": ("identity_tries", ["conversation_id"]),
    "ix_identity_tries_order_number": ("identity_tries", ["order_number"]),
}


def upgrade() -> None:
    """Take the step."""
    for name, parts in _tables().items():
        op.create_table(name, *parts, if_not_exists=True)
    for name, (table, columns) in _INDEXES.items():
        op.create_index(name, table, columns, if_not_exists=True)


def downgrade() -> None:
    """There is nothing before it but an empty database."""
    for name in reversed(_tables()):
        op.drop_table(name)
