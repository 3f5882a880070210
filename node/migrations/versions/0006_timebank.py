"""Exchanges inside the community, its catalogue, its pool.

Step 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op

from node.kernel.db import Moment

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "exchange",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("receiver_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("delivered_minutes", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("provider_confirmed", sa.Boolean(), nullable=False),
        sa.Column("receiver_confirmed", sa.Boolean(), nullable=False),
        sa.Column("requested_at", Moment(), nullable=False),
        sa.Column("changed_at", Moment(), nullable=False),
        sa.Column("planned_at", Moment(), nullable=True),
        sa.Column("lapses_at", Moment(), nullable=True),
        sa.Column("listing_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint("delivered_minutes <= minutes", name="exchange_not_above_agreed"),
        sa.CheckConstraint("minutes > 0", name="exchange_minutes_positive"),
        sa.CheckConstraint("provider_id <> receiver_id", name="exchange_two_people"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        "exchange_by_provider", "exchange", ["provider_id", "requested_at"], unique=False
    )
    op.create_index(
        "exchange_by_receiver", "exchange", ["receiver_id", "requested_at"], unique=False
    )
    op.create_index("exchange_by_state", "exchange", ["state", "changed_at"], unique=False)
    op.create_index(op.f("ix_exchange_lapses_at"), "exchange", ["lapses_at"], unique=False)
    op.create_table(
        "help_call",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("called_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("day"),
    )
    op.create_table(
        "helper_training",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("seen_by", sa.Uuid(), nullable=True),
        sa.Column("seen_at", Moment(), nullable=False),
        sa.Column("ends_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("resident_id", "service"),
    )
    op.create_table(
        "listing",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("service", sa.String(), nullable=False),
        sa.Column("times", sa.Integer(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("ends_at", Moment(), nullable=False),
        sa.Column("closed_at", Moment(), nullable=True),
        sa.CheckConstraint("minutes > 0", name="listing_minutes_positive"),
        sa.CheckConstraint("times > 0", name="listing_has_times"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("listing_by_resident", "listing", ["resident_id", "opened_at"], unique=False)
    op.create_index("listing_by_service", "listing", ["service", "kind", "opened_at"], unique=False)
    op.create_index("listing_in_time", "listing", ["opened_at", "id"], unique=False)
    op.create_table(
        "pool_movement",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("need", sa.String(), nullable=True),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("done_at", Moment(), nullable=False),
        sa.CheckConstraint("minutes > 0", name="pool_minutes_positive"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_pool_movement_done_at"), "pool_movement", ["done_at"], unique=False)
    op.create_index(
        "pool_by_resident", "pool_movement", ["resident_id", "act", "done_at"], unique=False
    )
    op.create_table(
        "dispute_words",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("exchange_id", sa.Uuid(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("words", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("said_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["exchange_id"],
            ["exchange.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_dispute_words_exchange_id"), "dispute_words", ["exchange_id"], unique=False
    )
    op.create_index(
        op.f("ix_dispute_words_resident_id"), "dispute_words", ["resident_id"], unique=False
    )
    op.create_table(
        "exchange_dispute",
        sa.Column("exchange_id", sa.Uuid(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("opened_by", sa.String(), nullable=False),
        sa.Column("opened_at", Moment(), nullable=False),
        sa.Column("paid_before", sa.Integer(), nullable=True),
        sa.Column("decided_at", Moment(), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=True),
        sa.Column("verdict", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(
            ["exchange_id"],
            ["exchange.id"],
        ),
        sa.PrimaryKeyConstraint("exchange_id"),
    )
    op.create_table(
        "exchange_step",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("exchange_id", sa.Uuid(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("side", sa.String(), nullable=False),
        sa.Column("recorded_by", sa.Uuid(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=True),
        sa.Column("done_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["exchange_id"],
            ["exchange.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_exchange_step_exchange_id"), "exchange_step", ["exchange_id"], unique=False
    )
    op.create_table(
        "help_promise",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("promised_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["day"],
            ["help_call.day"],
        ),
        sa.PrimaryKeyConstraint("day", "resident_id"),
    )
