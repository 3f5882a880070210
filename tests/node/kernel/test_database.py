"""One contract for every database a node may run on: group commit, refusals, reads, limits."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import pytest
from sqlalchemy import Table, event, insert, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from node.kernel import db, events, rows
from node.kernel.clock import VirtualClock
from node.kernel.db import Database, DatabaseClosed, DatabaseUnusable, open_engine, savepoint
from node.kernel.errors import BadInput, Busy
from node.kernel.events import CASCADE_MAX, Event, Reactions
from node.kernel.ports import Clock
from tests.node.kernel.notes import Note, Notes, write_note

WAIT_SECONDS = 30
NOTE = cast(Table, Note.__table__)


@dataclass(frozen=True)
class NoteWritten(Event):
    number: int


def copy_note(session: Session, clock: Clock, event: Event) -> None:
    """A reaction: each note up to 10 gets a copy, a hundred higher."""
    assert isinstance(event, NoteWritten)
    assert clock.now()
    if event.number == 13:
        raise BadInput(field="number", problem="unlucky")
    if event.number <= 10:
        write_note(session, event.number + 100)
        events.record(session, NoteWritten(event.number + 100))


def react_for_ever(session: Session, _clock: Clock, event: Event) -> None:
    events.record(session, event)


@dataclass(frozen=True)
class Loop(Event):
    pass


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    engine = open_engine(database_url)
    Notes.metadata.create_all(engine)
    engine.dispose()
    reactions: Reactions = {NoteWritten: [copy_note], Loop: [react_for_ever]}
    database = Database(database_url, clock=VirtualClock(), reactions=reactions)
    yield database
    database.close()


class Gate:
    """Holds the writer inside a command, so that others queue up behind it."""

    def __init__(self, database: Database) -> None:
        self.entered, self._opened = threading.Event(), threading.Event()
        self.answer = database.write(self._stand)
        assert self.entered.wait(WAIT_SECONDS)

    def _stand(self, _session: Session) -> None:
        self.entered.set()
        assert self._opened.wait(WAIT_SECONDS)

    def open(self) -> None:
        self._opened.set()


def numbers(database: Database) -> list[int]:
    with database.read() as session:
        return list(session.scalars(select(Note.number).order_by(Note.number)))


def count_commits(database: Database) -> list[int]:
    commits: list[int] = []
    event.listen(database._writer_engine, "commit", lambda _connection: commits.append(1))
    return commits


def test_many_commands_share_one_commit(database: Database) -> None:
    gate, commits = Gate(database), count_commits(database)
    answers = [database.write(partial(write_note, number=n)) for n in range(100)]
    gate.open()
    assert [answer.result(WAIT_SECONDS) for answer in answers] == list(range(100))
    assert len(commits) == 2, "the gate's own, and one for the hundred"
    assert numbers(database) == list(range(100))


def test_an_answer_means_committed(database: Database) -> None:
    seen: list[list[int]] = []
    answer = database.write(lambda session: write_note(session, 1))
    answer.add_done_callback(lambda _answer: seen.append(numbers(database)))
    answer.result(WAIT_SECONDS)
    database.do(lambda _session: None)
    assert seen == [[1]]


def test_a_refusal_undoes_its_own_command_alone(database: Database) -> None:
    def refuse(session: Session) -> None:
        write_note(session, 50)
        raise BadInput(field="note", problem="no")

    def fail(session: Session) -> None:
        write_note(session, 51)
        raise ZeroDivisionError

    gate, commits = Gate(database), count_commits(database)
    answers: list[Future[Any]] = [
        database.write(lambda session: write_note(session, 1)),
        database.write(refuse),
        database.write(lambda session: write_note(session, 2)),
        database.write(fail),
        database.write(lambda session: write_note(session, 3)),
    ]
    gate.open()
    wait(answers, WAIT_SECONDS)
    assert isinstance(answers[1].exception(), BadInput)
    assert isinstance(answers[3].exception(), ZeroDivisionError)
    assert numbers(database) == [1, 2, 3]
    assert len(commits) == 2, "even a bug did not cost the others their transaction"


@pytest.mark.parametrize("by", ["orm", "core", "kept"])
def test_a_broken_constraint_harms_nobody_else(database: Database, by: str) -> None:
    def twice(session: Session) -> None:
        write_note(session, 60)
        if by == "orm":
            session.add_all([Note(number=61, text="a"), Note(number=1, text="b")])
            session.flush()
        elif by == "core":
            session.execute(insert(Note).values(number=1, text="c"))
        else:  # waits with the rows of the batch; the database sees it when they are written
            rows.add(session, NOTE, {"number": 1, "text": "d"})

    database.do(lambda session: write_note(session, 1))
    gate = Gate(database)
    answers = [database.write(partial(write_note, number=n)) for n in (2, 3)]
    broken = database.write(twice)
    answers += [database.write(partial(write_note, number=n)) for n in (4, 5)]
    gate.open()
    assert [answer.result(WAIT_SECONDS) for answer in answers] == [2, 3, 4, 5]
    refusal = broken.exception(WAIT_SECONDS)
    assert "unique" in str(refusal).lower(), "the driver's own words, or SQLAlchemy's around them"
    assert numbers(database) == [1, 2, 3, 4, 5]


def test_what_follows_happens_in_the_same_transaction(database: Database) -> None:
    def command(session: Session) -> None:
        write_note(session, 7)
        events.record(session, NoteWritten(7))

    database.do(command)
    assert numbers(database) == [7, 107], "and the copy's own event ended the chain"


def test_a_reaction_that_refuses_undoes_its_cause(database: Database) -> None:
    def command(session: Session) -> None:
        write_note(session, 13)
        events.record(session, NoteWritten(13))

    with pytest.raises(BadInput):
        database.do(command)
    assert numbers(database) == []


def test_events_of_what_was_undone_are_forgotten(database: Database) -> None:
    def command(session: Session) -> None:
        events.record(session, NoteWritten(1))
        with suppress(BadInput), savepoint(session):
            write_note(session, 2)
            events.record(session, NoteWritten(2))
            raise BadInput(field="note", problem="no")

    database.do(command)
    assert numbers(database) == [101]


def test_many_events_of_one_command_are_no_loop(database: Database) -> None:
    def sweep(session: Session) -> None:
        for _ in range(20 * CASCADE_MAX):
            events.record(session, NoteWritten(1_000))
        events.record(session, NoteWritten(7))

    database.do(sweep)
    assert numbers(database) == [107], "the last of them was heard too"


def test_a_loop_of_reactions_is_stopped(database: Database) -> None:
    with pytest.raises(AssertionError, match=str(CASCADE_MAX)):
        database.do(lambda session: events.record(session, Loop()))
    database.do(lambda session: write_note(session, 1))
    assert numbers(database) == [1]


def test_a_read_never_sees_half(database: Database) -> None:
    gate_entered, gate_open = threading.Event(), threading.Event()

    def slow(session: Session) -> None:
        write_note(session, 1)
        gate_entered.set()
        assert gate_open.wait(WAIT_SECONDS)
        write_note(session, 2)

    answer = database.write(slow)
    assert gate_entered.wait(WAIT_SECONDS)
    assert numbers(database) == [], "and it did not wait for the writer"
    with database.read() as session:
        assert list(session.scalars(select(Note.number))) == []
        gate_open.set()
        answer.result(WAIT_SECONDS)
        assert list(session.scalars(select(Note.number))) == [], "one read, one moment"
    assert numbers(database) == [1, 2]


def test_a_read_cannot_write(database: Database) -> None:
    with database.read() as session:
        session.add(Note(number=1, text="x"))
        with pytest.raises(DBAPIError):
            session.commit()
    assert numbers(database) == []


def test_a_command_cannot_end_the_transaction_of_the_others(database: Database) -> None:
    def commit(session: Session) -> None:
        write_note(session, 1)
        session.commit()
        raise BadInput(field="note", problem="no")

    def roll_back(session: Session) -> None:
        session.rollback()

    gate = Gate(database)
    answers: list[Future[Any]] = [
        database.write(lambda session: write_note(session, 2)),
        database.write(commit),
        database.write(roll_back),
        database.write(lambda session: write_note(session, 3)),
    ]
    gate.open()
    wait(answers, WAIT_SECONDS)
    assert numbers(database) == [2, 3]


def test_a_full_queue_says_so(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(db, "QUEUE_MAX", 5)
    gate = Gate(database)
    answers = [database.write(partial(write_note, number=n)) for n in range(6)]
    with pytest.raises(Busy, match="5 writes waiting"):
        answers[5].result(WAIT_SECONDS)
    gate.open()
    wait(answers, WAIT_SECONDS)
    assert numbers(database) == [0, 1, 2, 3, 4]


def test_a_caller_that_went_away_does_not_stop_the_writer(database: Database) -> None:
    """A browser that closes its connection cancels the task that waits for the answer."""

    async def go_away() -> None:
        gate = Gate(database)
        task = asyncio.create_task(database.run(lambda session: write_note(session, 1)))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.sleep(0.01)
        gate.open()

    asyncio.run(go_away())
    assert database.do(lambda session: write_note(session, 2)) == 2
    assert numbers(database) == [2], "nobody waited for the first any more, so it was not begun"


def test_a_caller_that_goes_while_it_runs_does_not_stop_the_writer(database: Database) -> None:
    async def go_away() -> None:
        entered, leave = threading.Event(), threading.Event()

        def slow(session: Session) -> None:
            entered.set()
            assert leave.wait(WAIT_SECONDS)
            write_note(session, 1)

        task = asyncio.create_task(database.run(slow))
        await asyncio.to_thread(entered.wait, WAIT_SECONDS)
        task.cancel()
        await asyncio.sleep(0.01)
        leave.set()

    asyncio.run(go_away())
    assert database.do(lambda session: write_note(session, 2)) == 2
    assert numbers(database) == [1, 2]


def test_a_listener_hears_each_commit_and_cannot_stop_the_writer(database: Database) -> None:
    heard: list[list[int]] = []

    def fall(*_arguments: object) -> None:
        raise RuntimeError("Event loop is closed")

    database.on_commit(fall)
    database.on_commit(lambda: heard.append(numbers(database)))
    database.do(lambda session: write_note(session, 1))
    database.do(lambda session: write_note(session, 2))
    database.do(lambda _session: None)
    assert heard[:2] == [[1], [1, 2]]


def test_closing_finishes_what_waits_and_refuses_what_comes(database: Database) -> None:
    gate = Gate(database)
    waiting = database.write(lambda session: write_note(session, 1))
    gate.open()
    database.close()
    assert waiting.result(WAIT_SECONDS) == 1
    with pytest.raises(DatabaseClosed):
        database.do(lambda session: write_note(session, 2))


def test_a_server_that_was_restarted_is_found_again(database: Database) -> None:
    """Its connections are cut; the writes and reads that come after open new ones."""
    if database.url.startswith("sqlite"):
        return  # a file has no server
    database.do(lambda session: write_note(session, 1))
    others = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE pid <> pg_backend_pid() AND datname = current_database()"
    )
    engine = open_engine(database.url)
    with engine.connect() as connection:
        connection.exec_driver_sql(others)
    engine.dispose()
    assert database.do(lambda session: write_note(session, 2)) == 2
    assert numbers(database) == [1, 2]


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////nowhere/at/all/node.sqlite",
        "mysql://127.0.0.1/x",
        "nonsense",
        "postgresql+psycopg://linli:secret@127.0.0.1:1/nothing",
    ],
)
def test_an_unusable_database_is_said_in_one_sentence(url: str) -> None:
    with pytest.raises(DatabaseUnusable) as refused:
        open_engine(url)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)
