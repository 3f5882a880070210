"""Glances see every commit, by whomever; what is kept is never older than the last of them."""

from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from sqlalchemy import Select, bindparam, select, text
from sqlalchemy.orm import Session

import node.tables  # noqa: F401 (every table, so that a foreign key finds its own)
from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.glance import glance, kept
from node.kernel.statements import Prepared
from node.repairs.model import RepairCounter

_named: Select[Any] = select(RepairCounter.value).where(RepairCounter.name == bindparam("wanted"))
COUNTER = Prepared(_named)


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'node.db'}"


@pytest.fixture
def database(url: str) -> Database:
    engine = open_engine(url)
    Base.metadata.create_all(engine)
    engine.dispose()
    return Database(url, clock=VirtualClock(), has_thread=False)


def put(database: Database, value: int) -> None:
    def command(session: Session) -> None:
        session.merge(RepairCounter(name="n", value=value))

    database.do(command)


def look(database: Database) -> list[int]:
    return [row[0] for row in glance(database, COUNTER, wanted="n")]


def test_a_glance_sees_each_commit(database: Database) -> None:
    assert look(database) == []
    for value in (1, 2):
        put(database, value)
        assert look(database) == [value]
    database.close()


def test_what_is_kept_ends_with_the_next_commit_of_anybody(database: Database, url: str) -> None:
    asked = []

    def ask() -> list[int]:
        asked.append(1)
        return look(database)

    put(database, 1)
    assert [kept(database, "n", ask) for _ in range(3)] == [[1]] * 3
    assert len(asked) == 1
    put(database, 2)
    assert kept(database, "n", ask) == [2]
    other = open_engine(url)  # another process, as it were
    with other.begin() as connection:
        connection.execute(text("UPDATE repair_counter SET value = 3"))
    other.dispose()
    assert kept(database, "n", ask) == [3]
    assert kept(database, "m", lambda: 7) == 7
    database.close()


def test_each_thread_looks_for_itself(database: Database) -> None:
    put(database, 1)
    seen: list[list[int]] = [look(database)]
    thread = Thread(target=lambda: seen.append(kept(database, "n", lambda: look(database))))
    thread.start()
    thread.join()
    assert seen == [[1], [1]]
    database.close()


def test_a_lost_connection_is_replaced(database: Database) -> None:
    put(database, 1)
    assert look(database) == [1]
    database.reader_engine.dispose()  # closes what the threads kept
    assert look(database) == [1]
    database.close()
