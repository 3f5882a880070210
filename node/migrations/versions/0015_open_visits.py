"""The sweep finds visits whose time is over without looking at all that ever were.

Step 0015, after 0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only an index, of the few visits that are open: no row changes."""
    is_open = sa.text("state IN ('accepted', 'delivered')")
    op.create_index(
        "visit_open",
        "visit",
        ["capture_until"],
        unique=False,
        sqlite_where=is_open,
        postgresql_where=is_open,
    )
