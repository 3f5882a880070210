"""Whoever changes the books behind the program's back: the audit names the first bad entry."""

import re

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from node.kernel.clock import VirtualClock
from node.kernel.db import Database, open_engine
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from tests.node.ledger.purses import ELDER, HELPER, pay, promise

APPEND_ONLY = ("journal_entry", "posting")


def write_books(database: Database, clock: VirtualClock) -> None:
    """Five transfers, a captured hold and an open one: six entries."""
    for number in range(5):
        database.do(lambda session, number=number: pay(session, clock, number, 10))  # type: ignore[misc]  # the default binds the loop's value
    paid = database.do(lambda session: promise(session, clock, "paid", 20))
    database.do(lambda session: ledger.capture_hold(session, clock, hold_id=paid))
    database.do(lambda session: promise(session, clock, "open", 5))


def problem_of(database: Database) -> str:
    with database.read() as session:
        return audit_ledger(session).problem


def tamper(database: Database, *statements: str) -> None:
    """What somebody with the file and no conscience can do: triggers and keys are in his way."""
    engine = open_engine(database.url)
    with engine.connect() as connection:
        free(connection)
        for statement in statements:
            connection.exec_driver_sql(statement)
        connection.commit()
    engine.dispose()


def free(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.commit()
        raw = connection.connection.driver_connection
        assert raw is not None
        raw.execute("PRAGMA foreign_keys=OFF")
        for table in APPEND_ONLY:
            for verb in ("update", "delete"):
                connection.exec_driver_sql(f"DROP TRIGGER {table}_no_{verb}")
    else:
        connection.exec_driver_sql("SET session_replication_role = replica")


def test_whole_books_pass(database: Database, clock: VirtualClock) -> None:
    assert problem_of(database) == ""
    write_books(database, clock)
    with database.read() as session:
        audit = audit_ledger(session)
    assert (audit.ok, audit.entries, len(audit.head)) == (True, 6, 64)


@pytest.mark.parametrize("table", APPEND_ONLY)
@pytest.mark.parametrize("verb", ["UPDATE {} SET sequence = 99", "DELETE FROM {}"])
def test_the_database_itself_refuses_to_change_what_was_written(
    database: Database, clock: VirtualClock, table: str, verb: str
) -> None:
    write_books(database, clock)
    engine = open_engine(database.url)
    with engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.exec_driver_sql(verb.format(table))
    engine.dispose()
    assert problem_of(database) == ""


@pytest.mark.parametrize(
    ("statements", "problem"),
    [
        (["UPDATE posting SET amount = amount * 2 WHERE sequence = 3"], "entry 3 .* was changed"),
        (["UPDATE posting SET amount = 11 WHERE sequence = 3 AND amount > 0"], "3 .* sum to zero"),
        (["UPDATE journal_entry SET reason = 'gift' WHERE sequence = 2"], "entry 2 .* was changed"),
        (["UPDATE journal_entry SET hash = 'f00d' WHERE sequence = 2"], "entry 2 .* was changed"),
        (
            ["UPDATE journal_entry SET previous_hash = 'f00d' WHERE sequence = 4"],
            "entry 4 .* does not follow",
        ),
        (
            [
                "DELETE FROM posting WHERE sequence = 3",
                "DELETE FROM journal_entry WHERE sequence = 3",
            ],
            "entry 3 is missing",
        ),
        (
            [
                "DELETE FROM posting WHERE sequence > 4",
                "DELETE FROM journal_entry WHERE sequence > 4",
            ],
            "ends at entry 4, but entry 6 was written: cut off",
        ),
        (["UPDATE account SET balance = balance + 1 WHERE balance > 0"], "shows 71 minutes, .* 70"),
        (
            ["UPDATE posting SET previous = 1 WHERE sequence = 3 AND amount > 0"],
            "entry 3 .* says that it follows entry 1 on account .*, it follows entry 2",
        ),
        (
            ["UPDATE posting SET previous = NULL WHERE sequence > 3"],
            "entry 4 .* says that it follows no entry on account .*, it follows entry 3",
        ),
        (
            ["UPDATE posting SET previous = 0 WHERE sequence = 1 AND amount < 0"],
            "entry 1 .* says that it follows entry 0 on account .*, it follows no entry",
        ),
        (
            ["UPDATE posting SET balance = balance + 1 WHERE sequence > 3 AND amount > 0"],
            "entry 4 .* leaves 41 on account .*, whose postings sum to 40",
        ),
        (
            ["UPDATE account SET last_sequence = 5 WHERE balance > 0"],
            "says that entry 5 moved it last, entry 6 did",
        ),
        (
            ["UPDATE account SET last_sequence = NULL WHERE balance > 0"],
            "says that no entry moved it last, entry 6 did",
        ),
        (
            ["UPDATE account SET last_sequence = 3 WHERE unit = 'points'"],
            "says that entry 3 moved it last, no entry did",
        ),
        (["UPDATE account SET held = 0 WHERE held > 0"], "keeps 0 back, its open holds sum to 5"),
        (["UPDATE hold SET amount = 4 WHERE state = 'open'"], "keeps 5 back, .* sum to 4"),
        (
            [
                "UPDATE hold SET state = 'captured' WHERE state = 'open'",
                "UPDATE account SET held = 0",
            ],
            "is captured but has no entry",
        ),
        (["DELETE FROM account WHERE balance > 0"], "entry 1 .* which is gone"),
        (["UPDATE account SET unit = 'points' WHERE balance > 0"], "entry 1 .* mixes"),
    ],
)
def test_the_audit_names_what_was_done(
    database: Database, clock: VirtualClock, statements: list[str], problem: str
) -> None:
    write_books(database, clock)
    tamper(database, *statements)
    with database.read() as session:
        audit = audit_ledger(session)
    assert not audit.ok
    assert re.search(problem, audit.problem), audit.problem


def test_an_entry_slipped_in_is_named(database: Database, clock: VirtualClock) -> None:
    write_books(database, clock)
    tamper(
        database,
        "UPDATE posting SET sequence = sequence + 100 WHERE sequence > 2",
        "UPDATE journal_entry SET sequence = sequence + 100 WHERE sequence > 2",
    )
    assert "entry 3 is missing: entry 103" in problem_of(database)


def test_floors_are_no_matter_of_the_audit(database: Database, clock: VirtualClock) -> None:
    write_books(database, clock)
    database.do(lambda session: ledger.set_floor(session, account_id=ELDER, floor=0))
    with database.read() as session:
        assert audit_ledger(session).ok
        assert ledger.available(session, ELDER) < 0
        assert ledger.available(session, HELPER) == 70
