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
        sa.Column("is_offered", sa.Boolean(), nullable=False),
        sa.CheckConstraint("points > 0", name="catalogue_points_positive"),
        sa.CheckConstraint("stock >= 0", name="catalogue_stock_not_negative"),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "gathering",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("activity", sa.String(), nullable=False),
        sa.Column("place", sa.String(), nullable=False),
        sa.Column("opens_at", Moment(), nullable=False),
        sa.Column("closes_at", Moment(), nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.Column("opened_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("opens_at < closes_at", name="gathering_has_length"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_gathering_closes_at"), "gathering", ["closes_at"], unique=False)
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
        sa.Column("reversal_reason", sa.String(), nullable=True),
        sa.CheckConstraint("points > 0", name="points_award_positive"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("resident_id", "activity", "evidence_id"),
    )
    op.create_index("points_award_by_day", "points_award", ["resident_id", "day"], unique=False)
    op.create_index("points_award_in_time", "points_award", ["awarded_at", "id"], unique=False)
    op.create_index(
        "points_award_on_day", "points_award", ["day", "resident_id", "points"], unique=False
    )
    op.create_table(
        "points_claim",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("cosigner_id", sa.Uuid(), nullable=False),
        sa.Column("activity", sa.String(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=True),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("asked_at", Moment(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("answered_at", Moment(), nullable=True),
        sa.Column("answered_by", sa.Uuid(), nullable=True),
        sa.Column("award_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("resident_id <> cosigner_id", name="points_claim_two_people"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("resident_id", "activity", "day", "cosigner_id"),
    )
    op.create_index(
        "points_claim_by_cosigner",
        "points_claim",
        ["cosigner_id", "state", "asked_at"],
        unique=False,
    )
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
        "points_secret",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("secret", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "ranking_choice",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("shown", sa.String(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("resident_id"),
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
    op.create_table(
        "code_tries",
        sa.Column("gathering_id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("last_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["gathering_id"],
            ["gathering.id"],
        ),
        sa.PrimaryKeyConstraint("gathering_id", "resident_id"),
    )
    op.create_table(
        "presence",
        sa.Column("gathering_id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("came_at", Moment(), nullable=False),
        sa.Column("left_at", Moment(), nullable=True),
        sa.Column("award_id", sa.Uuid(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["gathering_id"],
            ["gathering.id"],
        ),
        sa.PrimaryKeyConstraint("gathering_id", "resident_id"),
    )
    op.create_table(
        "stock_change",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("item_code", sa.String(), nullable=False),
        sa.Column("change", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("done_by", sa.Uuid(), nullable=True),
        sa.Column("done_at", Moment(), nullable=False),
        sa.CheckConstraint("change <> 0", name="stock_change_not_zero"),
        sa.ForeignKeyConstraint(
            ["item_code"],
            ["catalogue_item.code"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_stock_change_item_code"), "stock_change", ["item_code"], unique=False)
