"""Every act of staff, who did it and for whom.

Step 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

from node.kernel.db import Moment
from node.migrations import append_only

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

APPEND_ONLY = ("staff_act",)


def upgrade() -> None:
    """Make the tables; the database itself refuses to change what only grows."""
    op.create_table(
        "staff_act",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("actor", sa.String(), nullable=False),
        sa.Column("roles", sa.String(), nullable=False),
        sa.Column("for_resident", sa.Uuid(), nullable=True),
        sa.Column("what", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("staff_act_by_resident", "staff_act", ["for_resident", "at"], unique=False)
    op.create_index("staff_act_by_time", "staff_act", ["at", "id"], unique=False)
    for table in APPEND_ONLY:
        append_only.refuse_changes(table)
