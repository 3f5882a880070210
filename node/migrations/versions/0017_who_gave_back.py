"""Who agreed that minutes go back is kept with how the resident was heard; open offers are found.

Step 0017, after 0016.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """A column that is empty for what was decided before, and an index of the few open offers."""
    op.add_column("reversal", sa.Column("consent", sa.String(), nullable=True))
    is_offered = sa.text("state = 'offered' AND gives_back")
    op.create_index(
        "reversal_offered",
        "reversal",
        ["peer"],
        unique=False,
        sqlite_where=is_offered,
        postgresql_where=is_offered,
    )
