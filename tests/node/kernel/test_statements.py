"""Statements past SQLAlchemy's execution layer: the same rows and values as through it."""

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, cast
from uuid import RFC_4122, UUID, uuid5

import pytest
from sqlalchemy import LargeBinary, Table, bindparam, insert, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.ids import NAMESPACE, derived_id, new_id, step_id
from node.kernel.statements import Lookup, insert_rows, update_rows
from node.ledger.model import ACCOUNTS
from tests.node.kernel.test_rows import PAYEE, open_accounts

NOON = datetime(2026, 11, 24, 12, 0, 0, 42, tzinfo=UTC)
SHANGHAI = timezone(timedelta(hours=8))


class Colour(StrEnum):
    RED = "red"


class Things(DeclarativeBase):
    type_annotation_map = Base.type_annotation_map


class Thing(Things):
    """Every kind of value that the books have."""

    __tablename__ = "order"  # a word of SQL: names are quoted
    id: Mapped[UUID] = mapped_column(primary_key=True)
    colour: Mapped[str] = mapped_column(default=Colour.RED)
    other: Mapped[UUID | None]
    at: Mapped[datetime | None]
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    is_there: Mapped[bool]
    count: Mapped[int | None]


THING = cast(Table, Thing.__table__)
FULL: dict[str, Any] = {
    "id": derived_id("full"),
    "colour": Colour.RED,
    "other": derived_id("other"),
    "at": NOON,
    "content": b"\0\xff",
    "is_there": True,
    "count": 2**31 - 1,
}
EMPTY: dict[str, Any] = {
    "id": derived_id("empty"),
    "colour": "blue",
    "is_there": False,
} | dict.fromkeys(("other", "at", "content", "count"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    engine = open_engine(database_url)
    Things.metadata.create_all(engine)
    Base.metadata.create_all(engine)
    engine.dispose()
    database = Database(database_url, clock=VirtualClock())
    yield database
    database.close()


def stored(database: Database) -> dict[UUID, dict[str, object]]:
    with database.read() as session:
        return {row["id"]: dict(row) for row in session.execute(select(THING)).mappings()}


def test_what_is_written_past_sqlalchemy_is_read_by_it(database: Database) -> None:
    rows = [FULL, {name: EMPTY[name] for name in FULL}]
    database.do(lambda session: insert_rows(session.connection(), THING, rows))
    assert stored(database) == {row["id"]: row for row in (FULL, EMPTY)}


def test_what_sqlalchemy_writes_is_read_past_it(database: Database) -> None:
    database.do(lambda session: session.execute(insert(THING), [FULL, EMPTY]) and None)
    lookup = Lookup(select(THING), THING.c.id)
    coloured = Lookup(select(THING.c.id).where(THING.c.colour == bindparam("colour")), THING.c.id)
    keys = [FULL["id"], derived_id("nothing"), EMPTY["id"]]
    with database.read() as session:
        connection = session.connection()
        found = {row[0]: row for row in lookup.many(connection, keys)}
        assert found == {row["id"]: tuple(row[c.name] for c in THING.c) for row in (FULL, EMPTY)}
        assert lookup.one(connection, keys[0]) == found[keys[0]]
        assert lookup.one(connection, keys[1]) is None
        assert lookup.many(connection, []) == []
        assert coloured.many(connection, keys, colour="blue") == [(EMPTY["id"],)]


def test_columns_left_out_get_their_default_and_moments_their_zone(database: Database) -> None:
    row = {"id": derived_id("one"), "is_there": True, "at": NOON.astimezone(SHANGHAI)}
    database.do(lambda session: insert_rows(session.connection(), THING, [row]))
    [found] = stored(database).values()
    assert (found["colour"], found["at"], found["count"]) == ("red", NOON, None)


def test_many_rows_change_each_to_its_own_values(database: Database) -> None:
    changes = [{"count": 5, "at": None, "id": FULL["id"]}]
    changes.append({"count": None, "at": NOON, "id": EMPTY["id"]})

    def command(session: Session) -> None:
        insert_rows(session.connection(), THING, [FULL, {name: EMPTY[name] for name in FULL}])
        update_rows(session.connection(), THING, [THING.c.id], changes)

    database.do(command)
    expected = [FULL | changes[0], EMPTY | changes[1]]
    assert stored(database) == {row["id"]: row for row in expected}


def test_an_id_is_derived_as_the_standard_says() -> None:
    assert derived_id("capture", PAYEE, 7) == uuid5(NAMESPACE, f"capture/{PAYEE}/7")


def test_what_a_step_causes_stands_where_its_thing_stands() -> None:
    things = sorted({new_id() for _ in range(20)})
    steps = [step_id(thing, step) for thing in things for step in ("capture", "release")]
    assert len(set(steps)) == 40
    assert [one.int >> 80 for one in steps] == [thing.int >> 80 for thing in things for _ in "ab"]
    assert {(one.version, one.variant) for one in steps} == {(8, RFC_4122)}
    assert step_id(things[0], "capture") == steps[0], "the same for ever"


def test_rows_that_are_named_before_are_read_together(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_alone(*_: object) -> None:
        raise AssertionError("this row was to be read with the others")

    def command(session: Session) -> int | None:
        account = ACCOUNTS.get(session, PAYEE)
        return account.floor if account and not ACCOUNTS.get(session, derived_id("no")) else None

    async def ask() -> int | None:
        return await database.run(command, needs=[(ACCOUNTS, PAYEE), (ACCOUNTS, derived_id("no"))])

    database.do(open_accounts)
    monkeypatch.setattr(Lookup, "one", read_alone)
    assert asyncio.run(ask()) == -90


def test_the_writer_goes_on_when_its_connection_is_lost(database: Database) -> None:
    """Method: the connection under the writer is closed, as by a server that was restarted."""
    database.do(open_accounts)
    assert database._connection is not None
    under = database._connection.connection.dbapi_connection
    assert under is not None
    under.close()
    database.do(lambda session: insert_rows(session.connection(), THING, [FULL]))
    assert list(stored(database)) == [FULL["id"]]


def test_a_key_may_be_of_several_columns(database: Database) -> None:
    lookup = Lookup(select(THING), THING.c.colour, THING.c.count)
    keys = [("blue", 3), ("red", 3), ("red", 2**31 - 1), ("blue", 4)]
    changes = [{"is_there": False, "colour": "blue", "count": 3}]
    changes.append({"is_there": False, "colour": "blue", "count": 2**31 - 1})

    def command(session: Session) -> list[Any]:
        connection = session.connection()
        insert_rows(connection, THING, [FULL, {name: EMPTY[name] for name in FULL} | {"count": 3}])
        update_rows(connection, THING, [THING.c.colour, THING.c.count], changes)
        assert lookup.one(connection, keys[1]) is None
        assert lookup.one(connection, keys[0]) is not None
        return lookup.many(connection, keys)

    found = {row[0]: row[THING.c.keys().index("is_there")] for row in database.do(command)}
    assert found == {FULL["id"]: True, EMPTY["id"]: False}
