"""Accounts of the staff, and their sessions."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "staff",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("login", sa.String(64), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("role", sa.String(10), nullable=False),
        sa.Column("password", sa.String(256)),
        sa.Column("must_change", sa.Integer, nullable=False),
        sa.Column("disabled", sa.Integer, nullable=False),
        sa.Column("subject", sa.String(512)),
        sa.Column("created", sa.Float, nullable=False),
        sa.Column("logged_in", sa.Float),
        sa.UniqueConstraint("login"),
        sa.UniqueConstraint("name"),
        sa.UniqueConstraint("subject"),
        if_not_exists=True,
    )
    op.create_table(
        "staff_sessions",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("staff", sa.Integer, nullable=False),
        sa.Column("language", sa.String(8), nullable=False),
        sa.Column("seen", sa.Float, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        if_not_exists=True,
    )
    op.create_index("ix_staff_sessions_staff", "staff_sessions", ["staff"], if_not_exists=True)


def downgrade() -> None:
    """Take it back."""
    op.drop_table("staff_sessions")
    op.drop_table("staff")
