"""What training may see: noised cells and their terms; models, choices, kept forecasts, calls.

Step 0002, after 0001. Only adds: an earlier program's counts and evaluations stay as they are.
"""

import sqlalchemy as sa
from alembic import op

from node.kernel.db import Moment
from node.migrations import append_only

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPEND_ONLY = ("noise_terms", "counted_span", "noised_cell", "model_choice")


def upgrade() -> None:
    """Make the tables; the database itself refuses to draw a cell anew."""
    op.add_column(
        "daily_count", sa.Column("over_limit", sa.Integer(), server_default="0", nullable=False)
    )
    _noise()
    _models()
    _calls()
    for table in APPEND_ONLY:
        append_only.refuse_changes(table)


def _noise() -> None:
    op.create_table(
        "weekly_requests",
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("week", sa.Date(), nullable=False),
        sa.Column("entered", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("resident_id", "week"),
    )
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
        "counted_span",
        sa.Column("first_day", sa.Date(), nullable=False),
        sa.Column("last_day", sa.Date(), nullable=True),
        sa.Column("declared_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("first_day"),
    )
    op.create_table(
        "noised_cell",
        sa.Column("date", sa.Date(), nullable=False),
        sa.Column("category", sa.String(), nullable=False),
        sa.Column("value", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("date", "category"),
    )


def _models() -> None:
    op.create_table(
        "federated_model",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.Column("card", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("sha256"),
    )
    op.create_index("ix_federated_model_received_at", "federated_model", ["received_at"])
    op.create_table(
        "model_choice",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("chosen_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_model_choice_chosen_at", "model_choice", ["chosen_at"])
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
    op.create_index("ix_forecast_day_date", "forecast_day", ["date"])


def _calls() -> None:
    op.create_table(
        "help_call",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("called_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("day"),
    )
    op.create_table(
        "help_promise",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("resident_id", sa.Uuid(), nullable=False),
        sa.Column("promised_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["day"], ["help_call.day"]),
        sa.PrimaryKeyConstraint("day", "resident_id"),
    )
