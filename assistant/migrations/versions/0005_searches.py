"""The last search for products of each conversation."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "searches",
        sa.Column("conversation_id", sa.String(32), primary_key=True),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("updated", sa.Float, nullable=False),
    )


def downgrade() -> None:
    """Take it back."""
    op.drop_table("searches")
