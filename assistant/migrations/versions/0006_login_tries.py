"""Tries to log in, for the lock that all processes share."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "login_tries",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("created", sa.Float, nullable=False),
    )
    op.create_index("tries_by_key", "login_tries", ["key", "created"])
    op.create_index("tries_by_time", "login_tries", ["created"])


def downgrade() -> None:
    """Take it back."""
    op.drop_table("login_tries")
