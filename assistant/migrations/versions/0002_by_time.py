"""Find what was said since, and what was last used when, without reading the whole store."""

from __future__ import annotations

from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    """Take the step."""
    op.create_index("messages_by_time", "messages", ["created"])
    op.create_index("conversations_by_use", "conversations", ["updated"])


def downgrade() -> None:
    """Take it back."""
    op.drop_index("conversations_by_use", "conversations")
    op.drop_index("messages_by_time", "messages")
