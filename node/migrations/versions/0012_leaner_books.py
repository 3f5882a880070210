"""Indexes of the books that every movement pays for: one that nobody asks, one made smaller.

Step 0012, after 0011. A hold between communities never expires by itself; it need not be listed
among those that do.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Only indexes: no row changes."""
    op.drop_index("ix_journal_entry_refers_to", table_name="journal_entry")
    op.drop_index("hold_by_expiry", table_name="hold")
    expires = sa.text("expires_at IS NOT NULL")
    op.create_index(
        "hold_by_expiry",
        "hold",
        ["state", "expires_at"],
        unique=False,
        sqlite_where=expires,
        postgresql_where=expires,
    )
