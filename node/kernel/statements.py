"""Statements of the hottest paths: compiled once for each database, then handed to its driver.

SQLAlchemy's execution layer costs ten times what SQLite itself needs for a small statement. Here a
statement is still written in SQLAlchemy Core, but compiled only once; a call converts its values
and goes straight to the driver. What concerns many rows is one call: SQLite runs the same small
statement again and again without leaving the process; PostgreSQL gets arrays, since each statement
would be a round trip. No event is fired: inside a writer's transaction go through kernel/rows.py,
which knows what is not yet written.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from itertools import repeat
from operator import itemgetter
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    Column,
    Connection,
    Select,
    Table,
    Uuid,
    any_,
    bindparam,
    func,
    select,
    tuple_,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.types import String, TypeEngine

from node.kernel.ids import read_id

Convert = Callable[[Any], Any]
Values = Mapping[str, Any]
Found = list[tuple[Any, ...]]

POSTGRESQL, SQLITE = "postgresql", "sqlite"
KEY = "row_key"


class Prepared:
    """One SELECT; its parameters are the statement's bindparams, by name."""

    def __init__(self, statement: Select[Any]) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, connection: Connection, /, **values: Any) -> Found:
        """All rows found, as Python knows their values."""
        compiled = self.compiled(connection)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(compiled.sql, compiled.bound(values))
            return compiled.read(cursor.fetchall())
        finally:
            cursor.close()

    def compiled(self, connection: Connection) -> "_Compiled":
        """The statement in the words of this connection's database."""
        dialect = connection.dialect
        found = self._compiled.get(dialect.name)
        if found is None:
            found = self._compiled[dialect.name] = _Compiled(self._statement, dialect)
        return found


class Lookup:
    """Rows by a unique key of one column or several (then a tuple): one, or many at once."""

    def __init__(self, statement: Select[Any], *key: Column[Any]) -> None:
        self._names = [f"{KEY}_{place}" for place in range(len(key))]
        named = list(zip(key, self._names, strict=True))
        arrays = [bindparam(name, type_=ARRAY(column.type)) for column, name in named]
        given = select(*map(func.unnest, arrays))
        among = key[0] == any_(arrays[0]) if len(key) == 1 else tuple_(*key).in_(given)
        self._one = Prepared(statement.where(*[one == bindparam(name) for one, name in named]))
        self._array = Prepared(statement.where(among))

    def one(self, connection: Connection, key: Any, /, **values: Any) -> tuple[Any, ...] | None:
        """The row with this key, if there is one."""
        parts = (key,) if len(self._names) == 1 else key
        found = self._one.rows(connection, **values, **dict(zip(self._names, parts, strict=True)))
        return found[0] if found else None

    def many(self, connection: Connection, keys: Sequence[Any], /, **values: Any) -> Found:
        """The rows that there are, in any order."""
        if not keys:
            return []
        parts = [keys] if len(self._names) == 1 else list(zip(*keys, strict=True))
        columns = dict(zip(self._names, map(list, parts), strict=True))
        if connection.dialect.name == POSTGRESQL:
            return self._array.rows(connection, **values, **columns)
        compiled, found = self._one.compiled(connection), []
        cursor = connection.connection.cursor()
        try:
            for bound in compiled.bound_to_each(columns, values):
                cursor.execute(compiled.sql, bound)
                if (row := cursor.fetchone()) is not None:
                    found.append(row)
        finally:
            cursor.close()
        return compiled.read(found)


class _Compiled:
    """A statement as one database's driver takes it, and how its values come and go."""

    def __init__(self, statement: Select[Any], dialect: Dialect) -> None:
        compiled = statement.compile(dialect=dialect)
        self.sql = str(compiled)
        self._is_positional = bool(compiled.positional)
        names = compiled.positiontup if compiled.positional else list(compiled.binds)
        self._parameters = [
            (name, compiled.binds[name].value, _to_driver(compiled.binds[name].type, dialect))
            for name in names or ()
        ]
        columns = statement.selected_columns
        found = [
            column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns
        ]
        made = zip(columns, found, strict=True)
        self._results = [
            (place, _known_uuid if isinstance(column.type, Uuid) else process)
            for place, (column, process) in enumerate(made)
            if process is not None
        ]

    def bound(self, values: Values) -> Any:
        """The values as the driver takes them; those the statement has itself may be left out."""
        given = [_one(values.get(name, own), convert) for name, own, convert in self._parameters]
        if self._is_positional:
            return given
        return dict(zip([name for name, _, _ in self._parameters], given, strict=True))

    def bound_to_each(
        self, columns: Mapping[str, Sequence[Any]], values: Values
    ) -> Iterable[Sequence[Any]]:
        """`bound` for one key after the other; the columns of the keys are compared last."""
        assert self._is_positional, "a database without round trips takes values by their place"
        before, last = self._parameters[: -len(columns)], self._parameters[-len(columns) :]
        assert [name for name, _, _ in last] == list(columns), "the key is compared last"
        given = [_one(values.get(name, own), convert) for name, own, convert in before]
        converted = [_converted(columns[name], convert) for name, _, convert in last]
        return [(*given, *key) for key in zip(*converted, strict=True)]

    def read(self, rows: Iterable[Sequence[Any]]) -> Found:
        """Rows as Python knows them."""
        columns: list[Any] = list(zip(*rows, strict=True))  # as when writing: mostly done in C
        if columns:
            for place, process in self._results:
                columns[place] = [process(value) for value in columns[place]]
        return list(zip(*columns, strict=True))


def in_one_go(connection: Connection) -> AbstractContextManager[Any]:
    """Inserts and updates inside leave together and wait for the server once."""
    if connection.dialect.name == POSTGRESQL:
        pipeline: AbstractContextManager[Any] = connection.connection.dbapi_connection.pipeline()  # type: ignore[union-attr]  # psycopg's
        return pipeline
    return nullcontext()


def is_under_way(connection: Connection) -> bool:
    """Whether the transaction still stands: a full or failing disk makes SQLite undo all of it."""
    if connection.dialect.name != SQLITE:
        return True  # PostgreSQL keeps it, broken, until somebody ends it
    driver: Any = connection.connection.dbapi_connection
    return bool(driver.in_transaction)


def file_version(connection: Connection) -> int | None:
    """A number that changes when any other connection commits; None where there is none."""
    if connection.dialect.name != SQLITE:
        return None
    found = connection.connection.cursor().execute("PRAGMA data_version").fetchone()
    return int(found[0])


def insert_rows(connection: Connection, table: Table, rows: Sequence[Values]) -> None:
    """New rows, which all name the same columns; other columns get their default."""
    assert len(set(map(len, rows))) == 1, "one table's rows name the same columns"
    _many(table, tuple(rows[0]), 0, connection.dialect).run(connection, rows)


def update_rows(
    connection: Connection, table: Table, key: Sequence[Column[Any]], rows: Sequence[Values]
) -> None:
    """New values for the rows with these keys; all name the same columns, the key's the last."""
    _many(table, tuple(rows[0]), len(key), connection.dialect).run(connection, rows)


class _Many:
    """An INSERT (no column is a key), or an UPDATE by the last columns, of many rows at once."""

    def __init__(self, table: Table, names: tuple[str, ...], keys: int, dialect: Dialect) -> None:
        given = [table.c[name] for name in names]
        others = [one for one in table.c if not keys and one.name not in names]
        own = [one for one in others if one.default is not None]
        self._values = itemgetter(*names) if len(names) > 1 else lambda row: (row[names[0]],)
        self._given = [_to_driver(one.type, dialect) for one in given]
        self._own = [_one(_own(one), _to_driver(one.type, dialect)) for one in own]
        self._is_array = dialect.name == POSTGRESQL
        write = _in_arrays if self._is_array else _row_by_row
        self._sql = write(table, [*given, *own], keys, dialect)

    def run(self, connection: Connection, rows: Sequence[Values]) -> None:
        # Column by column, so that most of the work is done by zip and itemgetter, in C.
        columns: list[Iterable[Any]] = [
            values if convert is None else _converted(values, convert)
            for values, convert in zip(
                zip(*map(self._values, rows), strict=True), self._given, strict=True
            )
        ]
        columns += [repeat(value, len(rows)) for value in self._own]
        cursor = connection.connection.cursor()
        try:
            if self._is_array:
                cursor.execute(self._sql, [list(one) for one in columns])
            else:
                cursor.executemany(self._sql, list(zip(*columns, strict=True)))
        finally:
            cursor.close()


@lru_cache(maxsize=1_024)
def _many(table: Table, names: tuple[str, ...], keys: int, dialect: Dialect) -> _Many:
    return _Many(table, names, keys, dialect)


def _row_by_row(table: Table, columns: Sequence[Column[Any]], keys: int, dialect: Dialect) -> str:
    """For `executemany`, which SQLite's driver repeats in C."""
    quote = dialect.identifier_preparer
    name, names = quote.format_table(table), [quote.quote(one.name) for one in columns]
    if not keys:
        marks = ", ".join("?" for _ in names)
        return f"INSERT INTO {name} ({', '.join(names)}) VALUES ({marks})"  # noqa: S608 (our names)
    changes = ", ".join(f"{one} = ?" for one in names[:-keys])
    found = " AND ".join(f"{one} = ?" for one in names[-keys:])
    return f"UPDATE {name} SET {changes} WHERE {found}"  # noqa: S608 (our names)


def _in_arrays(table: Table, columns: Sequence[Column[Any]], keys: int, dialect: Dialect) -> str:
    """An array for each column: one round trip, and one plan, however many rows."""
    quote = dialect.identifier_preparer
    name, names = quote.format_table(table), [quote.quote(one.name) for one in columns]
    arrays = ", ".join(f"%s::{one.type.compile(dialect)}[]" for one in columns)
    listed = ", ".join(names)
    if not keys:
        return f"INSERT INTO {name} ({listed}) SELECT * FROM unnest({arrays})"  # noqa: S608
    changes = ", ".join(f"{one} = given.{one}" for one in names[:-keys])
    found = " AND ".join(f"{name}.{one} = given.{one}" for one in names[-keys:])
    return (
        f"UPDATE {name} SET {changes} FROM unnest({arrays}) AS given ({listed}) "  # noqa: S608
        f"WHERE {found}"
    )


def _own(column: Column[Any]) -> Any:
    """What a row gets that does not name this column."""
    default: Any = column.default
    assert default.is_scalar, f"{column} has no constant default: name it in the row"
    return default.arg


def _to_driver(kind: TypeEngine[Any], dialect: Dialect) -> Convert | None:
    if isinstance(kind, Uuid) and dialect.name == SQLITE:
        return _as_digits
    convert = kind.dialect_impl(dialect).bind_processor(dialect)
    if convert is None and isinstance(kind, String) and dialect.name == POSTGRESQL:
        return _plain  # its driver would take a list of enum members for another type than text
    return convert


@lru_cache(maxsize=16_384)
def _known_uuid(text: str | None) -> UUID | None:
    """The same accounts and residents come again and again, and making an id of text is dear."""
    return None if text is None else read_id(text)


def _as_digits(key: UUID | None) -> str | None:
    """What SQLAlchemy makes of it with two calls."""
    return None if key is None else f"{key.int:032x}"


def _plain(value: str | None) -> str | None:
    return None if value is None else str(value)


def _one(value: Any, convert: Convert | None) -> Any:
    return value if convert is None else convert(value)


def _converted(values: Iterable[Any], convert: Convert | None) -> list[Any]:
    return list(values) if convert is None else [convert(value) for value in values]
