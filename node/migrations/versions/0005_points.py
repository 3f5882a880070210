"""Rules, awards, the shelf and what was collected from it.

Step 0005, after 0004.
"""

import sqlalchemy as sa
from alembic import op

from node.kernel.db import Moment

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "catalogue_item",
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("title", sa.String(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("stock", sa.Integer(), nullable=False),
        sa.CheckConstraint("points > 0", name="catalogue_points_positive"),
        sa.CheckConstraint("stock >= 0", name="catalogue_stock_not_negative"),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "points_award",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("activity", sa.String(), nullable=False),
        sa.Column("rule_version", sa.Integer(), nullable=False),
        sa.Column("evidence_kind", sa.String(), nullable=False),
        sa.Column("evidence_id", sa.Uuid(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=True),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("awarded_at", Moment(), nullable=False),
        sa.Column("awarded_by", sa.Uuid(), nullable=True),
        sa.Column("reversed_at", Moment(), nullable=True),
        sa.Column("reversed_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("points > 0", name="points_award_positive"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("resident_id", "activity", "evidence_id"),
    )
    op.create_index(
        op.f("ix_points_award_awarded_at"), "points_award", ["awarded_at"], unique=False
    )
    op.create_index("points_award_by_day", "points_award", ["resident_id", "day"], unique=False)
    op.create_table(
        "points_rule_version",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("in_force_from", Moment(), nullable=False),
        sa.Column("motion_id", sa.Uuid(), nullable=True),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
        sa.UniqueConstraint("motion_id"),
    )
    op.create_table(
        "redemption",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("item_code", sa.String(), nullable=False),
        sa.Column("points", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("reserved_at", Moment(), nullable=False),
        sa.Column("reserved_by", sa.Uuid(), nullable=True),
        sa.Column("pickup_ends_at", Moment(), nullable=False),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.Column("closed_by", sa.Uuid(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_redemption_resident_id"), "redemption", ["resident_id"], unique=False)
    op.create_index(
        "redemption_by_state", "redemption", ["item_code", "state", "pickup_ends_at"], unique=False
    )
