"""Rows of the running transaction: read many at once, changed in memory, written together.

The hottest paths (ledger, outbox, exchange) would otherwise pay a statement for every row they look
at and for every row they write. Here a row is read once a transaction, a change marks it, and all
changes of a table go out as one executemany: before the commit, or as soon as any other statement
runs on the connection, so that nobody ever reads an older row than was written. Safe to keep
between commands, because a database has one writer at a time (db.py).
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Select,
    Table,
    bindparam,
    event,
    insert,
    select,
    update,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session

_KEPT = "linli.rows"
HARMLESS = ("SELECT", "SAVEPOINT", "RELEASE")  # change no row
KEYS_MAX = 1_000  # in one SELECT; more are read in several

R = TypeVar("R")
Complete = Callable[[list[dict[str, Any]]], None]


@dataclass
class _Kept:
    """What one connection's transaction has read and not yet written."""

    read: dict[Any, dict[Any, Any]] = field(default_factory=dict)  # by Rows, then by key
    added: dict[Table, list[dict[str, Any]]] = field(default_factory=dict)
    changed: dict[Any, dict[Any, dict[str, Any]]] = field(default_factory=dict)
    complete: dict[Table, Complete] = field(default_factory=dict)
    is_ours: bool = False  # the statement that runs now is one of this module's

    def forget(self, table: Table | None) -> None:
        """Somebody else's statement changes this table (None: who knows which): read it again."""
        for rows in list(self.read):
            if table is None or rows.table is table:
                del self.read[rows]

    def forget_all(self) -> None:
        """Everything since the savepoint is undone."""
        self.read.clear()
        self.added.clear()
        self.changed.clear()


class Rows(Generic[R]):
    """One table's rows by primary key (or another unique `key`), as `record` objects.

    `record` is a dataclass whose fields have the columns' names, the key's first.
    """

    def __init__(self, table: Table, record: type[R], *, key: Column[Any] | None = None) -> None:
        [self._key] = table.primary_key.columns if key is None else [key]
        self.table = table
        self._record: Any = record
        self._names = tuple(one.name for one in fields(record))  # type: ignore[arg-type]  # a dataclass
        columns = [table.c[name] for name in self._names]
        assert columns[0] is self._key, "the key comes first"
        self._one = select(*columns).where(self._key == bindparam("row_key"))
        self._compiled: dict[str, _One] = {}
        self._many = select(*columns).where(self._key.in_(bindparam("row_keys", expanding=True)))

    def load(self, session: Session, keys: Iterable[Any]) -> None:
        """Read these rows in one go; `get` finds them without a statement."""
        kept = _kept_of(session)
        _write_orm(session)
        read = kept.read.setdefault(self, {})
        missing = [key for key in dict.fromkeys(keys) if key not in read]
        for start in range(0, len(missing), KEYS_MAX):
            wanted = missing[start : start + KEYS_MAX]
            with _ours(kept):
                found = session.connection().execute(self._many, {"row_keys": wanted}).all()
            read |= dict.fromkeys(wanted)
            for row in found:
                read[row[0]] = self._record(*row)

    def get(self, session: Session, key: Any) -> R | None:
        """The row as this transaction sees it; None where there is none."""
        kept = _kept_of(session)
        if key not in kept.read.setdefault(self, {}):
            _write_orm(session)
            read = kept.read.setdefault(self, {})
            read[key] = self._look_up(session.connection(), key)
        found: R | None = kept.read[self][key]
        return found

    def _look_up(self, connection: Connection, key: Any) -> R | None:
        """Straight through the driver, five times cheaper than a statement of its own."""
        one = self._compiled.get(connection.dialect.name)
        if one is None:
            one = self._compiled[connection.dialect.name] = _One(self._one, connection.dialect)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(one.sql, one.values(key))
            row = cursor.fetchone()
        finally:
            cursor.close()
        found: R | None = None if row is None else self._record(*one.read(row))
        return found

    def change(self, session: Session, row: R, **values: Any) -> None:
        """Give a row, as `get` returned it, new values."""
        kept = _kept_of(session)
        key = getattr(row, self._key.name)
        read = kept.read.get(self, {})
        assert read.get(key) is row, "another statement changed the table since: read again"
        for name, value in values.items():
            if name in self._names:
                setattr(row, name, value)
        kept.changed.setdefault(self, {}).setdefault(key, {}).update(values)

    def add(self, session: Session, **values: Any) -> None:
        """A new row; the columns that `record` leaves out may be given too."""
        add(session, self.table, values)
        read = _kept_of(session).read.setdefault(self, {})
        read[values[self._key.name]] = self._record(*(values.get(name) for name in self._names))

    def _write(self, connection: Connection, changed: dict[Any, dict[str, Any]]) -> None:
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        for key, values in changed.items():
            alike.setdefault(tuple(values), []).append(
                {"row_key": key} | {f"new_{name}": value for name, value in values.items()}
            )
        for names, rows in alike.items():
            new: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
            statement = update(self.table).where(self._key == bindparam("row_key")).values(new)
            connection.execute(statement, rows)


def are_kept(session: Session) -> bool:
    """Whether this session is inside a writer's transaction."""
    return _KEPT in session.info or _KEPT in session.connection().info


class _One:
    """A SELECT by key as one database's driver takes it, and how its values come and go."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._is_positional = bool(compiled.positional)
        [key] = compiled.binds.values()
        self._bind = key.type.dialect_impl(dialect).bind_processor(dialect)
        columns = statement.selected_columns
        self._results = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]

    def values(self, key: Any) -> Any:
        """The key as the driver takes it."""
        value = key if self._bind is None else self._bind(key)
        return (value,) if self._is_positional else {"row_key": value}

    def read(self, row: Sequence[Any]) -> list[Any]:
        """A row as Python knows it."""
        pairs = zip(row, self._results, strict=True)
        return [value if process is None else process(value) for value, process in pairs]


def add(
    session: Session, table: Table, row: dict[str, Any], *, complete: Complete | None = None
) -> None:
    """A new row that nobody will ask for by key in this transaction.

    `complete` is shown all rows that wait for this table just before they are written: what is
    cheaper for many at once (a signature) is left to it.
    """
    kept = _kept_of(session)
    kept.added.setdefault(table, []).append(row)
    if complete is not None:
        kept.complete[table] = complete


def watch(engine: Engine) -> None:
    """Let this engine's connections keep rows; db.py does it for every writer."""

    @event.listens_for(engine, "before_cursor_execute")
    def before(
        connection: Connection, _cursor: Any, statement: str, _values: Any, context: Any, _many: Any
    ) -> None:
        kept = connection.info.get(_KEPT)
        if kept is None or kept.is_ours:
            return
        if statement.startswith("ROLLBACK"):
            kept.forget_all()
            return
        _write_all(connection, kept)
        if not statement.startswith(HARMLESS):
            changes = context.isinsert or context.isupdate or context.isdelete
            kept.forget(context.compiled.statement.table if changes else None)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.info[_KEPT] = _Kept()

    @event.listens_for(engine, "commit")
    def commit(connection: Connection) -> None:
        _write_all(connection, connection.info.pop(_KEPT))

    @event.listens_for(engine, "rollback")
    def rollback(connection: Connection) -> None:
        connection.info.pop(_KEPT, None)


def attach(session: Session, connection: Connection) -> None:
    """Spare a session, which does not outlive the transaction, from looking for its rows."""
    session.info[_KEPT] = connection.info[_KEPT]


def _kept_of(session: Session) -> _Kept:
    found: _Kept | None = session.info.get(_KEPT)
    if found is None:
        found = session.connection().info[_KEPT]
    return found


def _write_all(connection: Connection, kept: _Kept) -> None:
    if not kept.added and not kept.changed:
        return
    added, changed = kept.added, kept.changed
    kept.added, kept.changed = {}, {}
    with _ours(kept):
        for table in sorted(added, key=_depth):
            if table in kept.complete:
                kept.complete[table](added[table])
            connection.execute(insert(table), _alike(added[table]))
        for rows, changes in changed.items():
            rows._write(connection, changes)


def _alike(rows: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    assert all(len(row) == len(rows[0]) for row in rows), "one table's rows name the same columns"
    return rows


def _depth(table: Table) -> int:
    """Parents before children: foreign keys are checked row by row."""
    others = [key.column.table for key in table.foreign_keys if key.column.table is not table]
    return 1 + max(map(_depth, others), default=0)


def _write_orm(session: Session) -> None:
    if session.new or session.dirty:
        session.flush()


@contextmanager
def _ours(kept: _Kept) -> Iterator[None]:
    kept.is_ours = True
    try:
        yield
    finally:
        kept.is_ours = False
