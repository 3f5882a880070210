"""Each posting names the one before it on its account; the index by account goes.

Step 0014, after 0013. Accounts come in no order, so that index cost every entry a page for each of
its legs. A statement of account now walks back from `account.last_sequence`.
"""

import sqlalchemy as sa
from alembic import op

from node.migrations import append_only

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

WALKED = """
    SELECT sequence, account_id, amount,
        lag(sequence) OVER account_so_far AS previous,
        sum(amount) OVER account_so_far AS balance
    FROM posting
    WINDOW account_so_far AS (PARTITION BY account_id ORDER BY sequence)
"""


def upgrade() -> None:
    """Both databases get the same columns; SQLite's table is made anew, without row numbers."""
    op.add_column("account", sa.Column("last_sequence", sa.Integer(), nullable=True))
    op.execute(
        "UPDATE account SET last_sequence ="
        " (SELECT max(sequence) FROM posting WHERE posting.account_id = account.id)"
    )
    if op.get_context().dialect.name == "sqlite":
        _make_anew()
    else:
        _widen()


def _make_anew() -> None:
    op.create_table(
        "walked_posting",
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("previous", sa.Integer(), nullable=True),
        sa.Column("balance", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("amount <> 0", name="posting_amount_not_zero"),
        sa.ForeignKeyConstraint(["account_id"], ["account.id"]),
        sa.ForeignKeyConstraint(["sequence"], ["journal_entry.sequence"]),
        sa.PrimaryKeyConstraint("sequence", "account_id"),
        sqlite_with_rowid=False,
    )
    columns = "sequence, account_id, amount, previous, balance"
    op.execute(f"INSERT INTO walked_posting ({columns}) {WALKED} ORDER BY sequence, account_id")
    op.drop_table("posting")  # with its index and its triggers
    op.rename_table("walked_posting", "posting")
    append_only.refuse_changes("posting")


def _widen() -> None:
    op.add_column("posting", sa.Column("previous", sa.Integer(), nullable=True))
    op.add_column("posting", sa.Column("balance", sa.BigInteger(), nullable=True))
    op.execute("ALTER TABLE posting DISABLE TRIGGER posting_append_only")
    op.execute(
        "UPDATE posting SET previous = walked.previous, balance = walked.balance"  # noqa: S608 (our words)
        f" FROM ({WALKED}) AS walked"
        " WHERE posting.sequence = walked.sequence AND posting.account_id = walked.account_id"
    )
    op.execute("ALTER TABLE posting ENABLE TRIGGER posting_append_only")
    op.alter_column("posting", "balance", nullable=False)
    op.drop_index("posting_by_account", table_name="posting")
