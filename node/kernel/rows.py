"""Rows of the running transaction: read many at once, changed in memory, written together.

The hottest paths (ledger, outbox, exchange) would otherwise pay a statement for every row they look
at and for every row they write. Here a row is read once a transaction, a change marks it, and all
changes of a table go out together: before the commit, or as soon as any other statement runs on the
connection, so that nobody ever reads an older row than was written. Safe to keep between commands,
because a database has one writer at a time (db.py); of a few tables even between transactions, as
long as SQLite says that no other connection wrote.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from operator import attrgetter
from typing import Any, Generic, TypeVar

from sqlalchemy import Column, Connection, Engine, Table, event, select
from sqlalchemy.orm import Session

from node.kernel.statements import (
    Found,
    Lookup,
    Prepared,
    file_version,
    in_one_go,
    insert_rows,
    is_under_way,
    update_rows,
)

_KEPT = "linli.rows"
_WRITTEN = "linli.rows_written"  # of a transaction whose commit is under way
_STAYED = "linli.rows_stayed"  # of the last transaction, once it was committed
_ASSUMED = "linli.rows_assumed"
IS_OPTIMISTIC = "linli.optimistic"  # of a session: whatever fails, all of it runs again carefully
STAYING_MAX = 20_000  # rows of one table between transactions; with more all are read again
HARMLESS = ("SELECT", "SAVEPOINT", "RELEASE")  # change no row
_UNREAD: Any = object()

R = TypeVar("R")
Complete = Callable[[list[dict[str, Any]]], None]


class TransactionLost(Exception):
    """The database has undone all of it by itself (a full disk): nothing of it may be answered."""


@dataclass(slots=True)
class _Table:
    """What one transaction has read of a table and not yet written to it."""

    read: dict[Any, Any] = field(default_factory=dict)  # by key; None: there is no such row
    current: dict[int, Any] = field(default_factory=dict)  # by id(): what `change` may be given
    changed: dict[int, dict[str, Any]] = field(default_factory=dict)  # by id()


@dataclass(slots=True)
class _Kept:
    """What one connection's transaction has read and not yet written."""

    connection: Connection
    tables: dict[Any, _Table] = field(default_factory=dict)  # by Rows
    added: dict[Table, list[dict[str, Any]]] = field(default_factory=dict)
    complete: dict[Table, Complete] = field(default_factory=dict)
    grown: set[Table] = field(default_factory=set)  # got new rows, some of them undone perhaps
    is_changed: bool = False
    version: int | None = None  # of the file, as other connections change it

    def of(self, rows: Any) -> _Table:
        """What is known of this table."""
        found = self.tables.get(rows)
        if found is None:
            found = self.tables[rows] = _Table()
        return found

    def forget(self, table: Table | None) -> None:
        """Somebody else's statement changes this table (None: who knows which): read it again."""
        for rows in list(self.tables):
            if table is None or rows.table.name == table.name:
                del self.tables[rows]

    def staying(self) -> "_Kept | None":
        """What the next transaction may start with, if nobody else writes in between."""
        if self.version is None:
            return None
        tables = {
            rows: known
            for rows, known in self.tables.items()
            if rows.stays and len(known.read) <= STAYING_MAX
        }
        return _Kept(self.connection, tables, version=self.version)

    def forget_all(self) -> None:
        """Everything since the savepoint is undone."""
        self.tables.clear()
        self.added.clear()
        self.is_changed = False


class Rows(Generic[R]):
    """One table's rows by primary key (or another unique `key`), as `record` objects.

    `record` is a dataclass whose fields have the columns' names, the key's first. A key of several
    columns is a tuple. Where it `stays`, its rows are kept from one transaction to the next: for
    what is asked for again and again and never handed out of a transaction.
    """

    def __init__(
        self,
        table: Table,
        record: type[R],
        *,
        key: Column[Any] | None = None,
        stays: bool = False,
    ) -> None:
        self.stays = stays
        self._key = list(table.primary_key.columns) if key is None else [key]
        self._key_of = attrgetter(*[one.name for one in self._key])
        self.table = table
        self._record: Any = record
        self._names = tuple(one.name for one in fields(record))  # type: ignore[arg-type]  # a dataclass
        self._is_name = frozenset(self._names)
        columns = [table.c[name] for name in self._names]
        assert columns[: len(self._key)] == self._key, "the key comes first"
        self._lookup = Lookup(select(*columns), *self._key)

    def load(self, session: Session, keys: Iterable[Any]) -> None:
        """Read these rows in one go; `get` finds them without a statement."""
        _write_orm(session)
        kept = _kept_of(session)
        known = kept.of(self)
        missing = [key for key in dict.fromkeys(keys) if key not in known.read]
        if missing:
            found = self._lookup.many(kept.connection, missing)
            known.read |= dict.fromkeys(missing)
            for values in found:
                row = self._record(*values)
                self._keep(known, row, self._key_of(row))

    def get(self, session: Session, key: Any) -> R | None:
        """The row as this transaction sees it; None where there is none."""
        _write_orm(session)  # or a later flush of the same table would make this row an old one
        kept = _kept_of(session)
        row: R | None = kept.of(self).read.get(key, _UNREAD)
        return self._read(kept, key) if row is _UNREAD else row

    def get_if_known(self, session: Session, key: Any) -> R | None:
        """`get` for a key that is nearly always new: an optimistic batch takes it for new.

        The table's unique index has the last word; if it objects, the batch runs again carefully.
        """
        if session.info.get(IS_OPTIMISTIC) and key not in _kept_of(session).of(self).read:
            session.info[_ASSUMED] = True
            return None
        return self.get(session, key)

    def change(self, session: Session, row: R, **values: Any) -> None:
        """Give a row, as `get` returned it, new values."""
        kept = _kept_of(session)
        known, place = kept.of(self), id(row)
        assert place in known.current, "another statement changed the table since: read again"
        for name in values:
            if name in self._is_name:
                setattr(row, name, values[name])
        changed = known.changed.get(place)
        if changed is None:
            known.changed[place] = values
        else:
            changed.update(values)
        kept.is_changed = True

    def add(self, session: Session, **values: Any) -> None:
        """A new row; the columns that `record` leaves out may be given too."""
        add(session, self.table, values)
        row = self._record(*map(values.get, self._names))
        self._keep(_kept_of(session).of(self), row, self._key_of(row))

    def _read(self, kept: _Kept, key: Any) -> R | None:
        known = kept.of(self)
        values = self._lookup.one(kept.connection, key)
        row: R | None = None if values is None else self._record(*values)
        self._keep(known, row, key)
        return row

    def _keep(self, known: _Table, row: R | None, key: Any) -> None:
        known.read[key] = row
        if row is not None:
            known.current[id(row)] = row

    def _write(self, connection: Connection, known: _Table) -> None:
        changed, known.changed = known.changed, {}
        alike: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        names_of_key = [column.name for column in self._key]
        for place, values in changed.items():
            names, row = tuple(values), known.current[place]
            for name in names_of_key:
                values[name] = getattr(row, name)
            alike.setdefault(names, []).append(values)
        for rows in alike.values():
            update_rows(connection, self.table, self._key, rows)


def load_all(session: Session, needs: Iterable[tuple[Rows[Any], Any]]) -> None:
    """Read the rows that are needed, each table's in one go."""
    by_table: dict[Rows[Any], list[Any]] = {}
    for rows, key in needs:
        by_table.setdefault(rows, []).append(key)
    for rows, keys in by_table.items():
        rows.load(session, keys)


def are_kept(session: Session) -> bool:
    """Whether this session is inside a writer's transaction."""
    return _KEPT in session.info or _KEPT in session.connection().info


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


def ask(session: Session, query: Prepared, /, **values: Any) -> Found:
    """What a prepared SELECT finds, in a writer's transaction or outside."""
    return query.rows(_all_written(session), **values)


def ask_many(session: Session, lookup: Lookup, keys: Sequence[Any], /, **values: Any) -> Found:
    """What there is under these keys, in a writer's transaction or outside."""
    return lookup.many(_all_written(session), keys, **values)


def write_all(session: Session) -> None:
    """All that waits, the ORM's too: what the database refuses is refused here."""
    _all_written(session)


def has_assumed(session: Session) -> bool:
    """Whether a refusal may rest on a key that was taken for new."""
    return _ASSUMED in session.info


def committed(connection: Connection) -> set[Table]:
    """The transaction was: its rows may serve this connection's next; which tables got new ones."""
    kept: _Kept = connection.info.pop(_WRITTEN)
    connection.info[_STAYED] = kept.staying()
    return kept.grown


def watch(engine: Engine) -> None:
    """Let this engine's connections keep rows; db.py does it for every writer."""

    @event.listens_for(engine, "before_cursor_execute")
    def before(
        connection: Connection, _cursor: Any, statement: str, _values: Any, context: Any, _many: Any
    ) -> None:
        kept = connection.info.get(_KEPT)
        if kept is None:
            return
        if statement.startswith("ROLLBACK"):
            kept.forget_all()
            return
        _write_all(kept)
        if not statement.startswith(HARMLESS):
            changes = context.isinsert or context.isupdate or context.isdelete
            kept.forget(context.compiled.statement.table if changes else None)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        stayed, version = connection.info.pop(_STAYED, None), file_version(connection)
        if stayed is None or stayed.version != version:
            stayed = _Kept(connection, version=version)
        stayed.connection = connection
        connection.info[_KEPT] = stayed

    @event.listens_for(engine, "commit")
    def commit(connection: Connection) -> None:
        kept = connection.info.pop(_KEPT)
        _write_all(kept)
        if not is_under_way(connection):
            raise TransactionLost
        connection.info[_WRITTEN] = kept

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


def _all_written(session: Session) -> Connection:
    _write_orm(session)
    connection = session.connection()
    if (kept := connection.info.get(_KEPT)) is not None:
        _write_all(kept)
    return connection


def _write_all(kept: _Kept) -> None:
    if not kept.added and not kept.is_changed:
        return
    try:
        with in_one_go(kept.connection):
            _write_each(kept)
    except BaseException:  # refused, and so is all that waited with it: none of it may come later
        kept.forget_all()
        raise


def _write_each(kept: _Kept) -> None:
    added, kept.added = kept.added, {}
    kept.is_changed = False
    for table in sorted(added, key=_depth):
        if table in kept.complete:
            kept.complete[table](added[table])
        insert_rows(kept.connection, table, added[table])
        kept.grown.add(table)
    for rows, known in kept.tables.items():
        if known.changed:
            rows._write(kept.connection, known)


@lru_cache(maxsize=1_024)
def _depth(table: Table) -> int:
    """Parents before children: foreign keys are checked row by row."""
    others = [key.column.table for key in table.foreign_keys if key.column.table is not table]
    return 1 + max(map(_depth, others), default=0)


def _write_orm(session: Session) -> None:
    if session.new or (session.identity_map and session.dirty):  # the second is a dear question
        session.flush()
