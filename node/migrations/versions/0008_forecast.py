"""Counts, the noised cells that training may see, models and how they did.

Step 0008, after 0007.
"""

import sqlalchemy as sa
from alembic import op

from node.kernel.db import Moment
from node.migrations import append_only

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

APPEND_ONLY = ("noise_terms", "counted_span", "noised_cell", "model_choice")


def upgrade() -> None:
    """Make the tables; the database itself refuses to change what only grows."""
    op.create_table(
        "counted_span",
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("declared_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("first_day"),
    )
    op.create_table(
        "daily_count",
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("over_limit", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("count >= 0", name="daily_count_not_negative"),
        sa.PrimaryKeyConstraint("date", "category"),
    )
    op.create_table(
        "evaluation",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("evaluated_at", Moment(), nullable=False),
        sa.Column("adopted", sa.String(), nullable=False),
        sa.Column("model_sha256", sa.String(), nullable=True),
        sa.Column("result", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(
        op.f("ix_evaluation_evaluated_at"), "evaluation", ["evaluated_at"], unique=False
    )
    op.create_table(
        "federated_model",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_index(
        op.f("ix_federated_model_received_at"), "federated_model", ["received_at"], unique=False
    )
    op.create_table(
        "forecast_day",
        sa.Column("issued_on", sa.Date(), nullable=False),
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("mean", sa.Double(), nullable=False),
        sa.Column("low", sa.Double(), nullable=False),
        sa.Column("high", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("issued_on", "date", "category"),
    )
    op.create_index(op.f("ix_forecast_day_date"), "forecast_day", ["date"], unique=False)
    op.create_table(
        "model_choice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("chosen_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index(op.f("ix_model_choice_chosen_at"), "model_choice", ["chosen_at"], unique=False)
    op.create_table(
        "noise_terms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("epsilon", sa.String(), nullable=False),
        sa.Column("weekly_limit", sa.Integer(), nullable=False),
        sa.Column("categories", sa.Text(), nullable=False),
        sa.Column("fixed_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "noised_cell",
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("date", "category"),
    )
    op.create_table(
        "weekly_requests",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("entered", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("resident_id", "week"),
    )
    for table in APPEND_ONLY:
        append_only.refuse_changes(table)
