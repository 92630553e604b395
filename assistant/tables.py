"""The tables of the conversation store.

A change of a table needs a step in `migrations/` (`make migration`): stores are brought to the
tables by the steps, not by what stands here.
"""

from __future__ import annotations

from sqlalchemy import (
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()
conversations = Table(
    "conversations",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("state", String(8), nullable=False),
    Column("language", String(8), nullable=False),
    Column("customer_id", String(64)),
    Column("agent", String(64)),
    Column("reason", String(200), nullable=False, default=""),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Index("by_state", "state", "updated"),
    Index("conversations_by_use", "updated"),
    Index("conversations_by_customer", "customer_id"),
)
messages = Table(
    "messages",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", String(32), nullable=False),
    Column("message_id", String(64), nullable=False),
    Column("role", String(10), nullable=False),
    Column("text", Text, nullable=False),
    Column("reply", Text),
    Column("created", Float, nullable=False),
    UniqueConstraint("conversation_id", "message_id", "role"),
    Index("messages_by_time", "created"),
)
handoffs = Table(
    "handoffs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", String(32), nullable=False),
    Column("event", String(10), nullable=False),
    Column("who", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Index("by_time", "created"),
    Index("handoffs_by_conversation", "conversation_id", "created"),
    Index("handoffs_by_event", "event", "created"),
)
contacts = Table(
    "contacts",
    metadata,
    Column("conversation_id", String(32), primary_key=True),
    Column("email", String(254), nullable=False),
    Column("created", Float, nullable=False),
)
ratings = Table(
    "ratings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", String(32), nullable=False, index=True),
    Column("message", Integer, nullable=False),
    Column("helpful", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("message"),
)
notes = Table(
    "notes",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", String(32), nullable=False, index=True),
    Column("who", String(64), nullable=False),
    Column("text", Text, nullable=False),
    Column("created", Float, nullable=False),
)
edits = Table(
    "edits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", String(32), nullable=False, index=True),
    Column("message", Integer, nullable=False),
    Column("suggestion", Text, nullable=False),
    Column("sent", Text, nullable=False),
    Column("evidence_id", Text, nullable=False),
    Column("inserted", Integer, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("message"),
)
canned = Table(
    "canned",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("shortcut", String(32), nullable=False),
    Column("language", String(8), nullable=False),
    Column("text", Text, nullable=False),
    Column("who", String(64), nullable=False),
    Column("updated", Float, nullable=False),
    UniqueConstraint("shortcut", "language"),
)
curated = Table(
    "curated",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("question", Text, nullable=False),
    Column("wordings", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("language", String(8), nullable=False),
    Column("valid_from", String(10)),
    Column("valid_until", String(10)),
    Column("enabled", Integer, nullable=False),
    Column("created", Float, nullable=False),
    Column("updated", Float, nullable=False),
    Column("who", String(64), nullable=False),
)
curated_hits = Table(
    "curated_hits",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("curated_id", String(32), nullable=False, index=True),
    Column("conversation_id", String(32), nullable=False, index=True),
    Column("message", Integer, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("message"),
)
cited = Table(
    "cited",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("conversation_id", String(32), nullable=False, index=True),
    Column("message", Integer, nullable=False),
    Column("created", Float, nullable=False),
    UniqueConstraint("message", "subject"),
    Index("cited_by_subject", "subject", "created"),
)
audit = Table(
    "audit",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("who", String(64), nullable=False),
    Column("what", String(64), nullable=False),
    Column("detail", Text, nullable=False),
    Column("created", Float, nullable=False),
    Index("audit_by_who", "who", "id"),
    Index("audit_by_what", "what", "id"),
)
identity_tries = Table(
    "identity_tries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("conversation_id", String(32), nullable=False, index=True),
    Column("order_number", String(32), nullable=False, index=True),
    Column("created", Float, nullable=False),
)
tasks = Table(
    "tasks",
    metadata,
    Column("conversation_id", String(32), primary_key=True),
    Column("body", Text, nullable=False),
    Column("updated", Float, nullable=False),
)
searches = Table(
    "searches",
    metadata,
    Column("conversation_id", String(32), primary_key=True),
    Column("body", Text, nullable=False),
    Column("updated", Float, nullable=False),
)
used_tokens = Table(
    "used_tokens",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("expires", Float, nullable=False),
)
login_tries = Table(
    "login_tries",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("created", Float, nullable=False),
    Index("tries_by_key", "key", "created"),
    Index("tries_by_time", "created"),
)
staff = Table(
    "staff",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("login", String(64), nullable=False, unique=True),
    Column("name", String(40), nullable=False, unique=True),
    Column("role", String(10), nullable=False),
    Column("password", String(256)),
    Column("must_change", Integer, nullable=False),
    Column("disabled", Integer, nullable=False),
    Column("subject", String(512), unique=True),
    Column("created", Float, nullable=False),
    Column("logged_in", Float),
)
staff_sessions = Table(
    "staff_sessions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("staff", Integer, nullable=False, index=True),
    Column("language", String(8), nullable=False),
    Column("seen", Float, nullable=False),
    Column("expires", Float, nullable=False),
)
