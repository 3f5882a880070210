"""Two requests that mean the same: which one goes on.

Step 0011, after 0010.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column with its rules in one statement: SQLite adds none to a table that stands."""
    op.execute(
        "ALTER TABLE service_request ADD COLUMN merged_into INTEGER"
        " CONSTRAINT service_request_merged"
        " CHECK (merged_into IS NULL OR (merged_into <> id AND status = 'completed'))"
        " REFERENCES service_request (id)"
    )
    is_merged = sa.text("merged_into IS NOT NULL")
    op.create_index(
        "service_request_by_merged",
        "service_request",
        ["merged_into"],
        unique=False,
        sqlite_where=is_merged,
        postgresql_where=is_merged,
    )
