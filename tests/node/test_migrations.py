"""The first step makes exactly the tables that the program declares, on both databases."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, Engine, insert, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from node import migrations
from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.model import ACCOUNT, ENTRY, HEAD, POSTING, Unit
from node.tables import ALL
from node.timebank.statement import StatementLine, lines

LATEST = "0017"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A database that was migrated."""
    migrations.migrate(database_url)
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


def test_the_tables_are_those_that_the_program_declares(engine: Engine) -> None:
    assert ALL
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_indexes_and_rules_are_those_that_the_program_declares(engine: Engine) -> None:
    """What alembic does not compare: checks, unique rules, primary and foreign keys, by count."""
    seen = inspect(engine)
    for table in Base.metadata.sorted_tables:
        checks = {check["name"] for check in seen.get_check_constraints(table.name)}
        declared = {str(one.name) for one in table.constraints if type(one).__name__[:5] == "Check"}
        assert checks == declared, table.name
        primary = seen.get_pk_constraint(table.name)["constrained_columns"]
        assert primary == [column.name for column in table.primary_key.columns], table.name
        foreign = {key["constrained_columns"][0] for key in seen.get_foreign_keys(table.name)}
        assert foreign == {column.name for column in table.columns for _ in column.foreign_keys}, (
            table.name
        )
        indexes = {index["name"] for index in seen.get_indexes(table.name)}
        assert {index.name for index in table.indexes} <= indexes, table.name


def test_migrating_twice_is_migrating_once(database_url: str) -> None:
    assert migrations.migrate(database_url) == ("nothing", LATEST)
    assert migrations.migrate(database_url) == (LATEST, LATEST)
    migrations.check(database_url)


def test_rows_stand_when_it_is_migrated_again(database_url: str) -> None:
    migrations.migrate(database_url)
    write_an_entry(database_url)
    migrations.migrate(database_url)
    with open_engine(database_url, read_only=True).connect() as connection:
        assert count(connection, "journal_entry") == 1
        assert count(connection, "posting") == 2


def test_requests_of_before_merging_stand_unmerged(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        command.upgrade(migrations._config(connection), "0010")
        now = VirtualClock().now().strftime("%Y-%m-%d %H:%M:%S.%f")
        values = {"title": "Lamp", "description": "dark", "location": "7-2", "category": "lift"}
        values |= dict.fromkeys(("created_at", "updated_at", "due_at"), now)
        values |= {"recorded_by": "desk", "status": "pending"}
        numbers = dict.fromkeys(("closings", "reopenings", "level"), 0)
        for number in (1, 2):
            row = values | numbers | {"id": number, "key": uuid4().hex, "is_shared": False}
            places = ", ".join(f":{name}" for name in row)
            insert = f"INSERT INTO service_request ({', '.join(row)}) VALUES ({places})"  # noqa: S608 (our table)
            connection.execute(text(insert), row)
    engine.dispose()
    assert migrations.migrate(database_url) == ("0010", LATEST)
    engine = open_engine(database_url)
    with engine.connect() as connection:
        merged = connection.execute(text("SELECT merged_into FROM service_request"))
        assert merged.scalars().all() == [None, None]
        for into in ("id", "2", "99"):  # itself, while it is open, or what is not there
            change = f"UPDATE service_request SET merged_into = {into} WHERE id = 1"  # noqa: S608
            with pytest.raises(DBAPIError):
                connection.execute(text(change))
            connection.rollback()
    engine.dispose()


def test_a_floor_area_of_before_stands_under_its_new_name(database_url: str) -> None:
    engine = open_engine(database_url)
    with engine.begin() as connection:
        command.upgrade(migrations._config(connection), "0010")
        now = VirtualClock().now().strftime("%Y-%m-%d %H:%M:%S.%f")
        connection.execute(
            text(
                "INSERT INTO resident (id, name, is_owner, floor_area_centiares, joined_at)"
                " VALUES (:id, 'x', :yes, 8950, :now)"
            ),
            {"id": uuid4().hex, "yes": True, "now": now},
        )
    engine.dispose()
    assert migrations.migrate(database_url) == ("0010", LATEST)
    engine = open_engine(database_url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT floor_area_dm2 FROM resident")).scalar() == 8950
    engine.dispose()


def test_books_of_before_the_walk_lead_to_the_same_statements(
    database_url: str, tmp_path: Path
) -> None:
    """Entries of three residents, interleaved, as step 0013 kept them."""
    written = f"sqlite:///{tmp_path}/written.sqlite"
    migrations.migrate(written)
    people = [uuid4() for _ in range(3)]
    write_statements(written, people)
    copy_as_of_0013(written, to=database_url)
    assert migrations.migrate(database_url) == ("0013", LATEST)
    assert statements(database_url, people) == statements(written, people)
    with open_engine(database_url, read_only=True).connect() as connection:
        assert count(connection, "posting") == 2 * count(connection, "journal_entry") == 48
        names = {index["name"] for index in inspect(connection).get_indexes("posting")}
        assert "posting_by_account" not in names
        if connection.dialect.name == "sqlite":
            assert connection.execute(text("PRAGMA foreign_key_check")).all() == []
            made = "SELECT sql FROM sqlite_master WHERE name = 'posting'"
            assert "WITHOUT ROWID" in connection.execute(text(made)).scalar_one()
        for change in ("UPDATE posting SET amount = 1", "DELETE FROM posting"):
            with pytest.raises(DBAPIError):
                connection.execute(text(change))
            connection.rollback()
    write_an_entry(database_url)  # and they go on


@pytest.mark.parametrize("table", ["journal_entry", "posting"])
def test_the_journal_refuses_to_be_changed(engine: Engine, database_url: str, table: str) -> None:
    write_an_entry(database_url)
    for statement in (f"UPDATE {table} SET sequence = 7", f"DELETE FROM {table}"):  # noqa: S608 (our tables)
        with engine.connect() as connection, pytest.raises(DBAPIError, match="append-only"):
            connection.execute(text(statement))
    with engine.connect() as connection:
        assert count(connection, table) > 0


def test_a_database_of_no_or_another_step_is_refused(database_url: str) -> None:
    open_engine(database_url).dispose()  # an empty database
    with pytest.raises(migrations.SchemaOutdated) as outdated:
        migrations.check(database_url)
    assert outdated.value.details["found"] == "nothing"
    migrations.migrate(database_url)
    engine = open_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(migrations.SchemaUnknown):
        migrations.check(database_url)
    with pytest.raises(migrations.SchemaUnknown):
        migrations.migrate(database_url)


def write_statements(url: str, people: Sequence[UUID]) -> None:
    """Each gives to the next or the one after, in turn; one more account has nothing."""
    clock = VirtualClock()
    database = Database(url, clock=clock)
    accounts = [ledger.resident_account(one, Unit.MINUTES) for one in people]

    def write(session: Session) -> None:
        for account_id in (*accounts, uuid4()):
            ledger.open_account(
                session,
                account_id=account_id,
                unit=Unit.MINUTES,
                kind="resident",
                owner=str(account_id),
                floor=-10_000,
            )
        for number in range(24):
            ledger.transfer(
                session,
                clock,
                entry_id=uuid4(),
                payer_id=accounts[number % 3],
                payee_id=accounts[(number + 1 + number // 3 % 2) % 3],
                amount=number + 1,
                reason="exchange",
            )

    database.do(write)
    database.close()


def copy_as_of_0013(source: str, *, to: str) -> None:
    """The books of one database in the tables of step 0013."""
    new = {"account": {"last_sequence"}, "posting": {"previous", "balance"}}
    origin, engine = open_engine(source, read_only=True), open_engine(to)
    with engine.begin() as connection:
        command.upgrade(migrations._config(connection), "0013")
    with origin.connect() as old, engine.begin() as connection:
        for table in (ACCOUNT, ENTRY, POSTING, HEAD):
            columns = [one for one in table.c if one.name not in new.get(table.name, ())]
            rows = [dict(row) for row in old.execute(select(*columns)).mappings()]
            connection.execute(insert(table), rows)
    origin.dispose()
    engine.dispose()


def statements(url: str, people: Sequence[UUID]) -> list[list[StatementLine]]:
    """What each is told, once the books have been audited."""
    database = Database(url, clock=VirtualClock())
    try:
        with database.read() as session:
            audit = audit_ledger(session)
            assert (audit.problem, audit.entries) == ("", 24)
            return [lines(session, one) for one in people]
    finally:
        database.close()


def write_an_entry(url: str) -> None:
    """Sixty minutes from one account to another."""
    clock = VirtualClock()
    database = Database(url, clock=clock)
    payer, payee = uuid4(), uuid4()
    for account_id in (payer, payee):
        database.do(
            partial(
                ledger.open_account,
                account_id=account_id,
                unit=Unit.MINUTES,
                kind="resident",
                owner=str(account_id),
                floor=-300,
            )
        )
    database.do(
        lambda session: ledger.transfer(
            session,
            clock,
            entry_id=uuid4(),
            payer_id=payer,
            payee_id=payee,
            amount=60,
            reason="exchange",
        )
    )
    database.close()


def count(connection: Connection, table: str) -> int:
    """How many rows a table has."""
    return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608 (our tables)
