"""What residents are told, and how it goes out.

Step 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op

from node.kernel.db import Moment

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "notice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=True),
        sa.Column("audience", sa.String(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("details", sa.String(), nullable=False),
        sa.Column("link", sa.String(), nullable=False),
        sa.Column("told_at", Moment(), nullable=False),
        sa.Column("starts_at", Moment(), nullable=True),
        sa.Column("ends_at", Moment(), nullable=True),
        sa.Column("spread_at", Moment(), nullable=True),
        sa.CheckConstraint("(resident_id IS NULL) <> (audience IS NULL)", name="notice_one_reader"),
        sa.ForeignKeyConstraint(
            ["resident_id"],
            ["resident.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("notice_by_audience", "notice", ["audience", "told_at"], unique=False)
    op.create_index("notice_by_resident", "notice", ["resident_id", "told_at"], unique=False)
    op.create_table(
        "notice_way",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("chosen_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["resident_id"],
            ["resident.id"],
        ),
        sa.PrimaryKeyConstraint("resident_id", "channel"),
    )
    op.create_table(
        "notice_delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("language", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("queued_at", Moment(), nullable=False),
        sa.Column("next_at", Moment(), nullable=False),
        sa.Column("problem", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["notice_id"],
            ["notice.id"],
        ),
        sa.ForeignKeyConstraint(
            ["resident_id"],
            ["resident.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_notice_delivery_notice_id"), "notice_delivery", ["notice_id"], unique=False
    )
    op.create_index(
        op.f("ix_notice_delivery_resident_id"), "notice_delivery", ["resident_id"], unique=False
    )
    op.create_index("notice_delivery_due", "notice_delivery", ["state", "next_at"], unique=False)
    op.create_table(
        "notice_read",
        sa.Column("notice_id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("read_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["notice_id"],
            ["notice.id"],
        ),
        sa.ForeignKeyConstraint(
            ["resident_id"],
            ["resident.id"],
        ),
        sa.PrimaryKeyConstraint("notice_id", "resident_id"),
    )
    op.create_index(
        op.f("ix_notice_read_resident_id"), "notice_read", ["resident_id"], unique=False
    )
