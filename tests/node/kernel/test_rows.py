"""Kept rows: nobody reads an older row than was written, and what is undone leaves no trace."""

import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import PoolProxiedConnection, func, select, update
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.orm import Session

from node.kernel import rows
from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.errors import DomainError, IdReused
from node.kernel.ids import derived_id
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.model import ACCOUNT, ACCOUNTS, ENTRY, Account, Unit
from node.ledger.refusals import InsufficientBalance

CLOCK = VirtualClock()
PAYER, PAYEE = derived_id("payer"), derived_id("payee")


class No(DomainError):
    code = "test.no"
    message = "No."


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'books.sqlite'}"
    engine = open_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    database = Database(url, clock=CLOCK)
    database.do(open_accounts)
    yield database
    database.close()


def open_accounts(session: Session) -> None:
    for account_id in (PAYER, PAYEE):
        ledger.open_account(
            session, account_id=account_id, unit=Unit.MINUTES, kind="resident", owner="x", floor=-90
        )


def pay(session: Session, number: int, *, amount: int = 10) -> int:
    return ledger.transfer(
        session,
        CLOCK,
        entry_id=derived_id("entry", number),
        payer_id=PAYER,
        payee_id=PAYEE,
        amount=amount,
        reason="exchange",
    )


def stored(session: Session) -> int:
    found: int = session.execute(
        select(ACCOUNT.c.balance).where(ACCOUNT.c.id == PAYEE)
    ).scalar_one()
    return found


def test_any_other_statement_sees_what_is_kept(database: Database) -> None:
    def command(session: Session) -> list[int]:
        seen = []
        for number in range(3):
            pay(session, number)
            seen.append(stored(session))
        seen.append(session.execute(select(func.count()).select_from(ENTRY)).scalar_one())
        return seen

    assert database.do(command) == [10, 20, 30, 3]
    with database.read() as session:
        assert stored(session) == 30


@pytest.mark.parametrize("table", [ACCOUNT, Account])
def test_a_row_that_another_statement_changed_is_read_again(database: Database, table: Any) -> None:
    def command(session: Session) -> int:
        pay(session, 0)
        session.execute(update(table).where(ACCOUNT.c.id == PAYEE).values(floor=-7))
        account = ACCOUNTS.get(session, PAYEE)
        assert account is not None
        return account.floor

    assert database.do(command) == -7


def test_what_the_orm_has_not_flushed_is_seen_and_makes_no_row_stale(database: Database) -> None:
    def command(session: Session) -> int:
        assert ACCOUNTS.get(session, PAYEE) is not None
        session.get_one(Account, PAYEE).floor = -7
        account = ACCOUNTS.get(session, PAYEE)
        assert account is not None
        pay(session, 0)  # flushes, if anything still waits
        ACCOUNTS.change(session, account, floor=account.floor - 1)
        return account.floor

    assert database.do(command) == -8


def test_a_stale_row_cannot_be_changed(database: Database) -> None:
    def command(session: Session) -> None:
        account = ACCOUNTS.get(session, PAYEE)
        assert account is not None
        session.execute(update(ACCOUNT).values(floor=-7))
        ACCOUNTS.change(session, account, balance=5)

    with pytest.raises(AssertionError, match="read again"):
        database.do(command)
    with database.read() as session:
        assert stored(session) == 0


def test_a_refusal_undoes_its_own_command_alone(database: Database) -> None:
    """Method: the first command keeps the writer busy, so that the others share a batch."""

    def refused(session: Session) -> None:
        pay(session, 99, amount=50)
        raise No

    answers = [
        database.write(refused if number == 2 else partial(pay, number=number))
        for number in range(5)
    ]
    outcomes = [answer.exception() for answer in answers]
    assert [type(outcome) for outcome in outcomes] == [type(None)] * 2 + [No] + [type(None)] * 2
    with database.read() as session:
        assert stored(session) == 40
        assert session.execute(select(func.count()).select_from(ENTRY)).scalar_one() == 4


def test_a_repeat_in_the_same_transaction_finds_the_first(database: Database) -> None:
    assert database.do(lambda session: [pay(session, 1), pay(session, 1), pay(session, 2)]) == [
        1,
        1,
        2,
    ]


def test_a_repeat_finds_the_first_even_where_it_could_not_be_paid_again(database: Database) -> None:
    """It runs alone: its refusal would rest on an id that was taken for new."""
    assert database.do(partial(pay, number=1, amount=90)) == 1
    assert database.do(partial(pay, number=1, amount=90)) == 1
    with pytest.raises(IdReused):
        database.do(partial(pay, number=1, amount=80))
    with pytest.raises(InsufficientBalance):
        database.do(partial(pay, number=2, amount=1))
    with database.read() as session:
        assert stored(session) == 90


def test_repeats_among_others_are_still_one(database: Database) -> None:
    database.do(partial(pay, number=0))
    answers = [database.write(partial(pay, number=number)) for number in (1, 0, 2, 1, 3)]
    sequences = [answer.result() for answer in answers]
    assert sequences[1] == 1
    assert sequences[0] == sequences[3]
    with database.read() as session:
        assert stored(session) == 40
        assert audit_ledger(session).ok


def test_what_stays_from_the_last_transaction_is_what_is_stored(database: Database) -> None:
    """Whoever else writes the file is noticed, and what was undone is forgotten."""
    database.do(partial(pay, number=0))
    engine = open_engine(database.url)
    with engine.begin() as connection:
        connection.execute(update(ACCOUNT).where(ACCOUNT.c.id == PAYER).values(floor=-15))
    with pytest.raises(InsufficientBalance):
        database.do(partial(pay, number=1))
    with engine.begin() as connection:
        connection.execute(update(ACCOUNT).where(ACCOUNT.c.id == PAYER).values(floor=-90))
    engine.dispose()

    def spoiled(session: Session) -> None:
        pay(session, 2, amount=70)
        raise RuntimeError

    with pytest.raises(RuntimeError):
        database.do(spoiled)
    assert database.do(partial(pay, number=3, amount=80)) == 2
    with database.read() as session:
        assert stored(session) == 90
        assert audit_ledger(session).ok


def test_a_commit_that_fails_leaves_no_row_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.do(partial(pay, number=0))
    commit: Any = DefaultDialect.do_commit
    failures = iter([True, True])  # at once and carefully

    def fail(dialect: DefaultDialect, connection: PoolProxiedConnection) -> None:
        if next(failures, False):
            raise OSError
        commit(dialect, connection)

    monkeypatch.setattr(DefaultDialect, "do_commit", fail)
    with pytest.raises(OSError, match=r"^$"):
        database.do(partial(pay, number=1, amount=80))
    assert database.do(partial(pay, number=2, amount=80)) == 2
    with database.read() as session:
        assert stored(session) == 90
        assert audit_ledger(session).ok


def test_only_so_many_rows_stay(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "STAYING_MAX", 1)
    for number in range(3):
        assert database.do(partial(pay, number=number)) == number + 1
    with database.read() as session:
        assert stored(session) == 30
        assert audit_ledger(session).ok


def test_a_listener_may_wait_for_a_table_that_grows(database: Database) -> None:
    heard: list[int] = []

    def look() -> None:
        with database.read() as session:
            heard.append(stored(session))

    def refused(session: Session) -> None:
        pay(session, 9)
        raise No

    def among_refused(session: Session) -> None:
        database.write(partial(pay, number=2))  # waits for us, and shares a batch with the next
        database.write(refused)
        pay(session, 1)

    database.on_commit(look, of=ENTRY)
    database.do(lambda session: None)
    database.do(lambda session: ledger.set_floor(session, account_id=PAYER, floor=-80))
    with pytest.raises(No):
        database.do(refused)
    assert heard == []
    database.do(among_refused)
    database.close()
    assert heard == [10, 20]


def test_a_full_disk_takes_back_no_answer(database: Database) -> None:
    """SQLite then undoes the whole transaction by itself: what ran before in it runs again."""
    entered, opened = threading.Event(), threading.Event()

    def stand(_session: Session) -> None:
        entered.set()
        assert opened.wait(30)

    def fill(session: Session) -> None:
        cursor = session.connection().connection.cursor()
        [pages] = cursor.execute("PRAGMA page_count").fetchone() or [0]
        cursor.execute(f"PRAGMA max_page_count = {pages + 4}")

    def too_large(session: Session) -> None:
        pay(session, 3)
        session.execute(update(ACCOUNT).where(ACCOUNT.c.id == PAYEE).values(owner="x" * 200_000))

    database.do(fill)
    database.write(stand)
    assert entered.wait(30)
    before = [database.write(partial(pay, number=number, amount=1)) for number in (1, 2)]
    refused = database.write(too_large)
    after = [database.write(partial(pay, number=number, amount=1)) for number in (4, 5)]
    opened.set()
    assert [answer.result(30) for answer in before + after] == [1, 2, 3, 4]
    assert "full" in str(refused.exception(30))
    with database.read() as session:
        assert stored(session) == 4
        assert session.scalar(select(func.count()).select_from(ENTRY)) == 4
        assert audit_ledger(session).ok
