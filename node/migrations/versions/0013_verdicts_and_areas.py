"""Verdicts know when they were sent, floor areas are named by their unit, an unused table goes.

Step 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

from node.kernel.db import Moment

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

AREAS = (  # columns that held square decimetres under the name of centiares
    ("resident", "floor_area"),
    ("vote", "roll_area"),
    ("vote", "yes_area"),
    ("vote", "no_area"),
    ("vote", "abstain_area"),
    ("ballot", "area"),
    ("roll_entry", "area"),
)


def upgrade() -> None:
    """Every row stays as it is: new names, one new column without a value."""
    op.add_column("dispute", sa.Column("their_verdict_at", Moment(), nullable=True))
    for table, name in AREAS:
        op.execute(f"ALTER TABLE {table} RENAME COLUMN {name}_centiares TO {name}_dm2")
    op.drop_table("submitted_round")
