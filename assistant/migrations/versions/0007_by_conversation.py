"""Find what belongs to a conversation, or to a customer, without reading the whole store."""

from __future__ import annotations

from alembic import op

revision, down_revision = "0007", "0006"
_INDEXES = {
    "conversations_by_customer": ("conversations", ["customer_id"]),
    "handoffs_by_conversation": ("handoffs", ["conversation_id", "created"]),
    "handoffs_by_event": ("handoffs", ["event", "created"]),
    "ix_ratings_conversation_id": ("ratings", ["conversation_id"]),
}


def upgrade() -> None:
    """Take the step."""
    for name, (table, columns) in _INDEXES.items():
        op.create_index(name, table, columns)


def downgrade() -> None:
    """Take it back."""
    for name, (table, _) in _INDEXES.items():
        op.drop_index(name, table)
