"""What people say, and the queue of what they should look at."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ENTRY = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "corrections",
        sa.Column("id", _ENTRY, primary_key=True, autoincrement=True),
        *_key(),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("read_text", sa.Text),
        *_who(),
    )
    op.create_index("corrections_by_field", "corrections", ["sha256", "page", "template", "field", "id"])
    op.create_index("corrections_by_verifier", "corrections", ["verifier", "verdict"])
    op.create_index("corrections_by_time", "corrections", ["created"])
    op.create_table(
        "character_marks",
        sa.Column("id", _ENTRY, primary_key=True, autoincrement=True),
        *_key(),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("read_label", sa.String, nullable=False),
        sa.Column("verdict", sa.String, nullable=False),
        sa.Column("label", sa.String),
        *_who(),
    )
    op.create_index(
        "character_marks_by_field",
        "character_marks",
        ["sha256", "page", "template", "field", "position", "id"],
    )
    _create_queue()
    op.create_table(
        "kinds",
        sa.Column("desk", sa.String, primary_key=True),
        sa.Column("kind", sa.String, primary_key=True),
        sa.Column("label", sa.String, nullable=False),
        sa.Column("charset", sa.String, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("open", sa.Integer, nullable=False),
    )
    op.create_table(
        "taken_runs",
        sa.Column("desk", sa.String, primary_key=True),
        sa.Column("run", sa.String, primary_key=True),
    )
    op.create_table(
        "verifiers",
        sa.Column("desk", sa.String, primary_key=True),
        sa.Column("verifier", sa.String, primary_key=True),
        sa.Column("kind", sa.String, nullable=False),
    )


def _key() -> list[sa.Column]:
    return [
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("page", sa.Integer, nullable=False),
        sa.Column("template", sa.String, nullable=False),
        sa.Column("field", sa.String, nullable=False),
    ]


def _who() -> list[sa.Column]:
    return [sa.Column(name, sa.String, nullable=False) for name in ("verifier", "created", "run")]


def _create_queue() -> None:
    op.create_table(
        "queue",
        sa.Column("desk", sa.String, primary_key=True),
        sa.Column("id", sa.String, primary_key=True),
        *_key(),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("rank", sa.Float, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("leased_to", sa.String),
        sa.Column("leased_until", sa.Float),
        sa.Column("run", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("ordinal", sa.Integer, nullable=False),
        sa.Column("charset", sa.String, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("confidence", sa.Float),
        sa.Column("status", sa.String, nullable=False),
        *(sa.Column(f"box_{part}", sa.Float, nullable=False) for part in ("x", "y", "width", "height")),
        sa.Column("page_width", sa.Integer, nullable=False),
        sa.Column("page_height", sa.Integer, nullable=False),
        sa.Column("runners_up", sa.Text, nullable=False),
        sa.Column("characters", sa.Text, nullable=False),
    )
    op.create_index("queue_by_kind", "queue", ["desk", "state", "kind", "rank", "id"])
    op.create_index("queue_by_lease", "queue", ["desk", "leased_to"])
    op.create_index("queue_by_source", "queue", ["desk", "source"])
