"""A statement walks back along its account's postings: held against a reading of all of them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.orm import Session

from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.ids import derived_id
from node.ledger import service as ledger
from node.ledger.model import ENTRY, POSTING, Unit
from node.ledger.rules import Leg
from node.timebank import statement
from node.timebank.statement import LINES_ON_PAGE_MAX, StatementLine
from node.web.language import LOCAL_TIME
from tests.node.timebank.conftest import ELDER, NEIGHBOUR, STRANGER

PEOPLE = (ELDER, NEIGHBOUR, STRANGER)
ENTRIES = 260  # more of the elder's than a page may have


@pytest.fixture
def books(database_url: str, clock: VirtualClock) -> Iterator[Database]:
    """Three residents' accounts, without a movement."""
    engine = open_engine(database_url)
    Base.metadata.create_all(engine)
    engine.dispose()
    database = Database(database_url, clock=clock)
    database.do(open_accounts)
    yield database
    database.close()


def open_accounts(session: Session) -> None:
    for resident_id in PEOPLE:
        account_id, owner = ledger.resident_account(resident_id, Unit.MINUTES), str(resident_id)
        ledger.open_account(
            session,
            account_id=account_id,
            unit=Unit.MINUTES,
            kind="resident",
            owner=owner,
            floor=0,
        )
        ledger.set_floor(session, account_id=account_id, floor=-100_000)


def move(books: Database, clock: VirtualClock, name: object, *amounts: int) -> int:
    """One entry: an amount for each of the three, 0 for who has no part in it."""
    legs = [
        Leg(ledger.resident_account(resident_id, Unit.MINUTES), amount)
        for resident_id, amount in zip(PEOPLE, amounts, strict=True)
        if amount
    ]
    entry_id = derived_id("walk", name)
    return books.do(
        lambda session: ledger.post(
            session, clock, entry_id=entry_id, legs=legs, reason="exchange", refers_to=None
        )
    )


def write_many(books: Database, clock: VirtualClock) -> None:
    """Every fourth entry passes the elder by, every third has three legs."""
    for number in range(1, ENTRIES + 1):
        clock.advance(timedelta(hours=1))
        if number % 4 == 0:
            move(books, clock, number, 0, number, -number)
        elif number % 3 == 0:
            move(books, clock, number, -2 * number, number, number)
        else:
            move(books, clock, number, number, -number, 0)


def all_lines(session: Session) -> list[StatementLine]:
    """The elder's whole statement by adding up, newest first."""
    account_id = ledger.resident_account(ELDER, Unit.MINUTES)
    query = (
        select(ENTRY, POSTING.c.amount)
        .join(POSTING, POSTING.c.sequence == ENTRY.c.sequence)
        .where(POSTING.c.account_id == account_id)
        .order_by(ENTRY.c.sequence)
    )
    found, balance = [], 0
    for row in session.execute(query):
        balance += row.amount
        moved = (row.sequence, row.recorded_at, row.reason, row.refers_to or row.id)
        found.append(StatementLine(*moved, row.amount, balance))
    return found[::-1]


def test_paging_over_many_finds_every_line_once(books: Database, clock: VirtualClock) -> None:
    write_many(books, clock)
    with books.read() as session:
        whole = all_lines(session)
        assert len(whole) == ENTRIES * 3 // 4
        assert statement.lines(session, ELDER, limit=1_000) == whole[:LINES_ON_PAGE_MAX]
        for limit in (1, 7, LINES_ON_PAGE_MAX):
            pages: list[StatementLine] = []
            while more := statement.lines(
                session, ELDER, limit=limit, before=pages[-1].sequence if pages else None
            ):
                assert len(more) <= limit
                pages += more
            assert pages == whole


def test_a_page_may_begin_anywhere(books: Database, clock: VirtualClock) -> None:
    """Before an entry of others, the first of all, one to come."""
    write_many(books, clock)
    with books.read() as session:
        whole = all_lines(session)
        for before in (-1, 0, 1, 2, 4, 5, 100, 200, 201, ENTRIES, ENTRIES + 1, 10**9):
            expected = [line for line in whole if line.sequence < before][:10]
            assert statement.lines(session, ELDER, limit=10, before=before) == expected


def test_an_account_without_a_movement(books: Database, clock: VirtualClock) -> None:
    move(books, clock, "of others", 0, 5, -5)
    with books.read() as session:
        for nobody in (ELDER, derived_id("never joined")):
            assert statement.lines(session, nobody) == []
            assert statement.lines(session, nobody, before=1) == []
            month = statement.of_month(session, nobody, month=date(2026, 1, 1), zone=LOCAL_TIME)
            assert (month.opening_minutes, month.closing_minutes, len(month.lines)) == (0, 0, 0)


def test_months_share_out_all_lines(books: Database, clock: VirtualClock) -> None:
    clock.moment = datetime(2026, 1, 29, tzinfo=UTC)
    write_many(books, clock)  # into February
    clock.moment = datetime(2026, 4, 1, tzinfo=UTC)
    move(books, clock, "april", 15, -15, 0)
    with books.read() as session:
        whole = all_lines(session)
        months = [
            statement.of_month(session, ELDER, month=date(2026, month, 9), zone=LOCAL_TIME)
            for month in range(1, 6)
        ]
    assert [line for month in months for line in month.lines] == whole[::-1]
    for month in months:
        for line in month.lines:
            assert month.first <= line.recorded_at.astimezone(LOCAL_TIME).date() <= month.last
        moved = sum(line.amount_minutes for line in month.lines)
        assert month.closing_minutes == month.opening_minutes + moved
    assert [len(month.lines) > 0 for month in months] == [True, True, False, True, False]
    for earlier, later in pairwise(months):
        assert later.opening_minutes == earlier.closing_minutes
    assert months[-1].closing_minutes == whole[0].balance_minutes


def test_a_clock_that_was_set_back_loses_and_doubles_no_line(
    books: Database, clock: VirtualClock
) -> None:
    midnight = datetime(2026, 1, 31, 16, tzinfo=UTC)  # there
    for name, minute in (("a", -5), ("b", 5), ("c", -1), ("d", 9)):
        clock.moment = midnight + timedelta(minutes=minute)
        move(books, clock, name, 10, -10, 0)
    with books.read() as session:
        january, february = (
            statement.of_month(session, ELDER, month=date(2026, month, 1), zone=LOCAL_TIME)
            for month in (1, 2)
        )
    assert [line.sequence for line in january.lines] == [1, 2, 3]
    assert [line.sequence for line in february.lines] == [4]
    assert january.closing_minutes == february.opening_minutes == 30


def test_every_step_is_a_search_by_primary_key(database: Database, clock: VirtualClock) -> None:
    """So a page costs as much as it has lines, however long the books are (SQLite's own plan)."""
    database.do(open_accounts)
    write_many(database, clock)
    asked: list[tuple[str, Any]] = []

    def note(_c: object, _d: object, sql: str, values: Any, _e: object, _many: bool) -> None:
        asked.append((sql, values))

    event.listen(database.reader_engine, "before_cursor_execute", note)
    with database.read() as session:
        statement.lines(session, ELDER, before=100)
        statement.of_month(session, ELDER, month=clock.now().date(), zone=LOCAL_TIME)
        event.remove(database.reader_engine, "before_cursor_execute", note)
        plans = [
            row[-1]
            for sql, values in asked
            for row in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)
        ]
    assert "RECURSIVE STEP" in plans
    scans = {plan for plan in plans if plan.startswith("SCAN")}
    searches = [plan for plan in plans if plan.startswith("SEARCH")]
    assert scans == {"SCAN walk"}
    assert searches
    for plan in searches:
        assert "PRIMARY KEY" in plan or "sqlite_autoindex_account" in plan, plan
