"""Let the database itself refuse to change or delete the rows of a table."""

from alembic import op

from node.kernel import append_only


def refuse_changes(table: str) -> None:
    """For SQLite and PostgreSQL; called by a step that made the table."""
    for statement in append_only.statements(table, op.get_context().dialect.name):
        op.execute(statement)
