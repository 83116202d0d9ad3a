"""The tables of the desk. What people say is only ever added; the queue can be made again from the runs.

``migrations`` makes them; a test holds the two together.
"""

import sqlalchemy as sa

metadata = sa.MetaData()

_ENTRY = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # which alone counts up by itself there


def _key() -> list[sa.Column]:
    return [
        sa.Column("sha256", sa.String, nullable=False),
        sa.Column("page", sa.Integer, nullable=False),
        sa.Column("template", sa.String, nullable=False),
        sa.Column("field", sa.String, nullable=False),
    ]


corrections = sa.Table(
    "corrections",
    metadata,
    sa.Column("id", _ENTRY, primary_key=True, autoincrement=True),
    *_key(),
    sa.Column("verdict", sa.String, nullable=False),  # text, blank, unreadable, undone
    sa.Column("text", sa.Text),  # null unless the verdict is text
    sa.Column("read_text", sa.Text),
    sa.Column("verifier", sa.String, nullable=False),
    sa.Column("created", sa.String, nullable=False),  # UTC, ISO 8601; sorts as text
    sa.Column("run", sa.String, nullable=False),
    sa.Index("corrections_by_field", "sha256", "page", "template", "field", "id"),
    sa.Index("corrections_by_verifier", "verifier", "verdict"),
    sa.Index("corrections_by_time", "created"),
)
character_marks = sa.Table(
    "character_marks",
    metadata,
    sa.Column("id", _ENTRY, primary_key=True, autoincrement=True),
    *_key(),
    sa.Column("position", sa.Integer, nullable=False),  # among the characters of the field, from 0
    sa.Column("read_label", sa.String, nullable=False),
    sa.Column("verdict", sa.String, nullable=False),  # right, wrong, label
    sa.Column("label", sa.String),  # null unless the verdict is label
    sa.Column("verifier", sa.String, nullable=False),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("run", sa.String, nullable=False),
    sa.Index("character_marks_by_field", "sha256", "page", "template", "field", "position", "id"),
)
# A desk is a folder of results: several may use one database.
queue = sa.Table(
    "queue",
    metadata,
    sa.Column("desk", sa.String, primary_key=True),
    sa.Column("id", sa.String, primary_key=True),
    *_key(),
    sa.Column("kind", sa.String, nullable=False),
    sa.Column("rank", sa.Float, nullable=False),  # the confidence, -1 if unknown: the least comes first
    sa.Column("state", sa.String, nullable=False),  # open, done
    sa.Column("reason", sa.String, nullable=False),  # status, mark, asked
    sa.Column("leased_to", sa.String),
    sa.Column("leased_until", sa.Float),  # seconds since 1970
    sa.Column("run", sa.String, nullable=False),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("charset", sa.String, nullable=False),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("confidence", sa.Float),
    sa.Column("status", sa.String, nullable=False),
    sa.Column("box_x", sa.Float, nullable=False),
    sa.Column("box_y", sa.Float, nullable=False),
    sa.Column("box_width", sa.Float, nullable=False),
    sa.Column("box_height", sa.Float, nullable=False),
    sa.Column("page_width", sa.Integer, nullable=False),
    sa.Column("page_height", sa.Integer, nullable=False),
    sa.Column("runners_up", sa.Text, nullable=False),  # JSON
    sa.Column("characters", sa.Text, nullable=False),  # JSON, boxes in page pixels
    sa.Index("queue_by_kind", "desk", "state", "kind", "rank", "id"),
    sa.Index("queue_by_lease", "desk", "leased_to"),
    sa.Index("queue_by_source", "desk", "source"),
)
kinds = sa.Table(
    "kinds",
    metadata,
    sa.Column("desk", sa.String, primary_key=True),
    sa.Column("kind", sa.String, primary_key=True),
    sa.Column("label", sa.String, nullable=False),
    sa.Column("charset", sa.String, nullable=False),
    sa.Column("ordinal", sa.Integer, nullable=False),
    sa.Column("total", sa.Integer, nullable=False),
    sa.Column("open", sa.Integer, nullable=False),
)
taken_runs = sa.Table(
    "taken_runs",
    metadata,
    sa.Column("desk", sa.String, primary_key=True),
    sa.Column("run", sa.String, primary_key=True),
)
verifiers = sa.Table(
    "verifiers",
    metadata,
    sa.Column("desk", sa.String, primary_key=True),
    sa.Column("verifier", sa.String, primary_key=True),
    sa.Column("kind", sa.String, nullable=False),  # of the latest batch
)
