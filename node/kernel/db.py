"""The one write path of a node (group commit) and its snapshot reads.

Callers hand over commands `(session) -> result`. One thread runs all that are queued inside one
transaction and answers only after the commit: nothing acknowledged is ever lost, and one fsync
serves many callers. A command that fails undoes itself alone: a batch runs without savepoints at
first, and if one of its commands is refused it is undone and run again, carefully, each command
behind a savepoint. SQLite runs in WAL mode with synchronous=FULL; PostgreSQL runs the same commands
in the same thread, because the ledger's hash chain makes writers take turns anyway
(docs/architecture.md, decision 4). One lock for the whole database keeps other processes' writers
out until the commit: what a transaction has read stays true.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import structlog
from sqlalchemy import Connection, DateTime, Engine, Row, Table, Uuid
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from node.kernel import rows
from node.kernel.answering import Heard, Job, Listener, Need, Outcome, tell
from node.kernel.engine import DatabaseUnusable as DatabaseUnusable
from node.kernel.engine import open_engine as open_engine
from node.kernel.engine import shown as shown
from node.kernel.errors import Busy, DomainError
from node.kernel.events import Reactions, forget_after, pending_count, react
from node.kernel.gathering import Waiting
from node.kernel.ports import Clock
from node.kernel.statements import is_under_way
from node.kernel.witness import witnessed

T = TypeVar("T")
Command = Callable[[Session], T]
AnyRow = Row[*tuple[Any, ...]]

BATCH_MAX = 256  # commands in one transaction
QUEUE_MAX = 10_000  # commands waiting; more are refused as kernel.busy
STOP_TIMEOUT_SECONDS = 30

_MOMENT_LENGTH = len("2026-11-24 09:00:00.000000")
_SECOND_LENGTH = len("2026-11-24 09:00:00")

log = structlog.get_logger()


class Moment(TypeDecorator[datetime]):
    """A point in time: aware UTC in Python, on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        assert value.tzinfo is not None, "a moment needs its time zone"
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value if value is None or value.tzinfo else value.replace(tzinfo=UTC)

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        return _as_text if dialect.name == "sqlite" else super().bind_processor(dialect)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        if dialect.name == "sqlite":
            return _from_text
        return super().result_processor(dialect, coltype)


def _as_text(value: datetime | None) -> str | None:
    """As SQLAlchemy writes it, at a third of the price: every row of the books has a moment."""
    if value is None:
        return None
    assert value.tzinfo is not None, "a moment needs its time zone"
    utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    text = str(utc)  # half of what isoformat takes with its arguments; it leaves out a zero
    return text[:_MOMENT_LENGTH] if utc.microsecond else text[:_SECOND_LENGTH] + ".000000"


def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value).replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """Parent of every table of a node."""

    type_annotation_map = {datetime: Moment(), UUID: Uuid()}  # noqa: RUF012 (SQLAlchemy's own form)


class DatabaseClosed(DomainError):
    code = "kernel.database_closed"
    message = "The node is stopping and takes no more writes."
    retryable = True


class _TryCarefully(BaseException):
    """A part of an optimistic batch was refused: no `except Exception` may take it for its own."""


class Database:
    """One database with a single writer thread and any number of readers.

    Without `has_thread` each command runs and commits at once, in the caller's thread: a simulation
    then decides alone what happens when.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        reactions: Reactions | None = None,
        has_thread: bool = True,
    ) -> None:
        self.url = url
        self._clock = clock
        self._reactions: Reactions = reactions or {}
        self._waiting: Waiting[Job] = Waiting(most=BATCH_MAX, refuse=self._refuse)
        self._is_open = True
        self._heard: list[Heard] = []
        self._passed_on: set[Table] = set()
        self._grown: set[Table] = set()  # got new rows in the last transaction
        self._writer_engine = open_engine(url)
        self._reader_engine = open_engine(url, read_only=True)
        self._connection: Connection | None = None
        self._thread: threading.Thread | None = None
        if has_thread:
            self._thread = threading.Thread(target=self._write_loop, name="writer", daemon=True)
            self._thread.start()

    def write(self, command: Command[T]) -> "Future[T]":
        """Queue a command; the future answers after its commit, or carries its refusal."""
        answer: Future[T] = Future()
        self._hand_in(Job(witnessed(command), answer))
        return answer

    async def run(self, command: Command[T], *, needs: Sequence[Need] = ()) -> T:
        """`write` for async code.

        `needs` names rows that the command will look at: those of a whole batch are read together.
        """
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._hand_in(Job(witnessed(command), answer, loop if self._thread else None, needs))
        return await answer

    def do(self, command: Command[T]) -> T:
        """`write` and wait, for commands of the terminal and tests."""
        return self.write(command).result()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A snapshot of what is committed; never waits for the writer, cannot write."""
        with Session(self._reader_engine) as session:
            yield session

    @property
    def reader_engine(self) -> Engine:
        """For kernel/glance.py: connections that only read."""
        return self._reader_engine

    def on_commit(
        self,
        listener: Listener,
        *,
        of: Table | None = None,
        loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Call `listener` after each commit: in the writer's thread, or in `loop`, just before
        the answers that are awaited there.

        With `of`, only after those that may have brought this table new rows (kernel/rows.py).
        """
        self._heard.append(Heard(listener, loop, of))

    def pass_on(self, listener: Listener, *, of: Table, loop: asyncio.AbstractEventLoop) -> None:
        """`on_commit` for a listener who passes new rows on to others.

        While there are such rows, batches are kept smaller, so that the others have work early.
        """
        self._passed_on.add(of)
        self.on_commit(listener, of=of, loop=loop)

    def close(self) -> None:
        """Finish what is queued and let go of the file."""
        self._is_open = False
        self._waiting.end()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT_SECONDS)
        self._waiting.refuse_rest()  # came in while we said stop
        if self._connection is not None:
            self._connection.close()
        self._writer_engine.dispose()
        self._reader_engine.dispose()

    def _hand_in(self, job: Job) -> None:
        waiting = len(self._waiting)
        if not self._is_open:
            job.answer.set_exception(DatabaseClosed())
        elif waiting >= QUEUE_MAX:
            job.answer.set_exception(Busy(waiting=waiting))
        elif self._thread is None:
            self._run_batch([job])
        elif job.loop is not None:
            self._waiting.gather(job, job.loop)
        else:
            self._waiting.add(job)

    def _write_loop(self) -> None:
        for batch in self._waiting.batches():
            self._run_batch(batch)

    def _refuse(self, jobs: Sequence[Job]) -> None:
        tell(jobs, [(None, DatabaseClosed())] * len(jobs))

    def _run_batch(self, batch: list[Job]) -> None:
        try:
            outcomes = self._outcomes(batch)
        except Exception as failure:
            if len(batch) > 1:  # one command spoiled the transaction: give each its own
                for job in batch:
                    self._run_batch([job])
            else:
                tell(batch, [(None, failure)])
            return
        if not self._passed_on.isdisjoint(self._grown):
            self._waiting.share()
        heard = [one for one in self._heard if one.of is None or one.of in self._grown]
        tell(batch, outcomes, heard)

    def _outcomes(self, batch: list[Job]) -> list[Outcome]:
        """All commands in one transaction: at once, or, if one is refused, again and carefully."""
        try:
            with self._transaction() as connection:
                return self._run_at_once(connection, batch)
        except (_TryCarefully, Exception) as failure:  # all of it is undone
            if len(batch) == 1 and isinstance(failure, DomainError):
                return [(None, failure)]
            with self._transaction() as connection:
                return [self._run_one(connection, job.command) for job in batch]

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        """On the one connection that the writer keeps: to borrow one costs as much as a command."""
        connection = self._connection or self._writer_engine.connect()
        self._connection, self._grown = connection, set()
        try:
            with connection.begin():
                yield connection
            self._grown = rows.committed(connection)
        except (_TryCarefully, DomainError):  # undone, and the connection is as good as before
            raise
        except BaseException:  # the server may have gone: the next transaction starts afresh
            self._connection = None
            connection.close()
            raise

    def _run_at_once(self, connection: Connection, batch: list[Job]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        with writing_session(connection) as session:
            session.info[rows.IS_OPTIMISTIC] = True
            rows.load_all(session, [need for job in batch for need in job.needs])
            try:
                for job in batch:
                    result = job.command(session)
                    react(session, self._clock, self._reactions)
                    if session.new or session.identity_map:  # else nothing went through the ORM
                        session.flush()
                        session.expunge_all()
                    outcomes.append((result, None))
            except DomainError as refusal:
                if rows.has_assumed(session):
                    raise _TryCarefully from refusal
                raise
        return outcomes

    def _run_one(self, connection: Connection, command: Command[T]) -> Outcome:
        """The command's result or its refusal; raises only when the transaction is lost."""
        try:
            with writing_session(connection) as session, savepoint(session):
                result = command(session)
                react(session, self._clock, self._reactions)
            if not _is_active(connection):
                raise rows.TransactionLost
            return result, None
        except DomainError as refusal:
            if not _is_active(connection):
                raise rows.TransactionLost from refusal
            return None, refusal
        except Exception as failure:
            if not _is_active(connection):
                raise
            log.error("command_failed", error=type(failure).__name__)
            return None, failure


def _is_active(connection: Connection) -> bool:
    """Whether what comes next still belongs to the transaction that was begun."""
    transaction = connection.get_transaction()
    return transaction is not None and transaction.is_active and is_under_way(connection)


@contextmanager
def writing_session(connection: Connection) -> Iterator[Session]:
    """A session inside the caller's transaction, which it can neither commit nor end."""
    session = Session(
        connection, join_transaction_mode="rollback_only", expire_on_commit=False, autoflush=True
    )
    rows.attach(session, connection)
    try:
        yield session
    finally:
        session.expunge_all()
        session.close()


@contextmanager
def savepoint(session: Session) -> Iterator[None]:
    """All inside happens or none of it; sent as plain SQL, three times cheaper than begin_nested.

    A failed flush (IntegrityError) rolls the whole transaction back, as SQLAlchemy does; the writer
    then runs each command of that transaction on its own. Rules therefore check before they write.
    In an optimistic batch there are none: what fails undoes the batch, which runs again carefully.
    """
    if session.info.get(rows.IS_OPTIMISTIC):
        try:
            yield
        except Exception as refusal:
            raise _TryCarefully from refusal
        return
    session.flush()
    connection = session.connection()
    recorded = pending_count(session)
    connection.exec_driver_sql("SAVEPOINT command")
    try:
        yield
        rows.write_all(session)
    except BaseException:
        if _is_active(connection):
            connection.exec_driver_sql("ROLLBACK TO SAVEPOINT command")
            connection.exec_driver_sql("RELEASE SAVEPOINT command")
            session.expunge_all()
            forget_after(session, recorded)
        raise
    connection.exec_driver_sql("RELEASE SAVEPOINT command")
