"""A dispute keeps what the other side says its books have: nothing else is booked by a verdict.

Step 0016, after 0015.
"""

import sqlalchemy as sa
from alembic import op

from node.kernel.db import Moment

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only a new table. A dispute from before has no row in it, and is opened anew where needed."""
    op.create_table(
        "dispute_claim",
        sa.Column("dispute_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("is_debt", sa.Boolean(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("captured_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("dispute_id"),
    )
