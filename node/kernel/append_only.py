"""Tables that only grow: the database itself refuses to change or delete what was written."""

from typing import TYPE_CHECKING

from sqlalchemy import DDL, Table, event

if TYPE_CHECKING:
    from sqlalchemy.sql.ddl import ExecutableDDLElement

DIALECTS = ("sqlite", "postgresql")


def statements(table: str, dialect: str) -> list[str]:
    """What makes `table` append-only there; for migrations and for `refuse_changes`."""
    if dialect == "sqlite":
        return [
            f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            for verb in ("update", "delete")
        ]
    return [
        f"CREATE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$",
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        f"FOR EACH ROW EXECUTE FUNCTION {table}_append_only()",
    ]


def refuse_changes(table: Table) -> None:
    """Make a declared table append-only wherever it is created from its declaration."""
    for dialect in DIALECTS:
        for statement in statements(table.name, dialect):
            event.listen(table, "after_create", _ddl(statement).execute_if(dialect=dialect))


def _ddl(statement: str) -> "ExecutableDDLElement":
    return DDL(statement)  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it untyped
