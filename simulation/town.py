"""One community of a simulated district: the real node's parts over one file that survives it.

`die` is kill -9 at any moment: what was not committed is gone, all objects are gone, and after a
while `rise` starts again over the file as it stands.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Engine
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import Session

from contracts.terms import ChainRefused, ChainUnavailable
from node.enrolment.directory import Directory
from node.enrolment.rounds import BatchProposal
from node.exchange import compare, home, host
from node.kernel.clock import VirtualClock
from node.kernel.db import Command, Database
from node.kernel.errors import DomainError
from node.kernel.events import Reactions
from node.kernel.messages import Sealed
from node.ledger import service as ledger
from node.outbox.relay import Relay
from node.peer import wire
from node.peer.answers import Answers
from node.peer.book import KnownPeer, PeerBook
from node.peer.seal import Ed25519Sealer
from node.peer.servicer import Inbox
from node.peer.witnessed import WitnessedPeers
from node.reactions import REACTIONS
from node.settlement.rounds import SettlementRounds
from node.settlement.watch import ChainWatch
from simulation.faults import Dice, Died
from simulation.founding import TownKeys
from simulation.history import History
from simulation.network import Network, Wire
from simulation.settlement_chain import SimulatedChain
from simulation.virtual_time import VirtualLoop
from simulation.witness import Witness

T = TypeVar("T")

CONFIRMATIONS = 3  # deeper than any reorganisation that a chain fault makes
RETRY = timedelta(minutes=10)  # while a neighbour does not answer
GATHER = timedelta(hours=3)
LOOK_AGAIN_SECONDS = 1_800.0
DOWN_SECONDS_MIN, DOWN_SECONDS_MAX = 5.0, 10_800.0


@dataclass(frozen=True)
class District:
    """What all places of one simulation share."""

    clock: VirtualClock
    loop: VirtualLoop
    dice: Dice
    history: History


class MortalDatabase(Database):
    """The real database, in the caller's thread, whose process can die around any commit."""

    def __init__(
        self, url: str, place: "Place", *, clock: VirtualClock, reactions: Reactions | None = None
    ) -> None:
        super().__init__(url, clock=clock, reactions=reactions, has_thread=False)
        for engine in (self._writer_engine, self._reader_engine):
            _compile_once(engine)
        self._place = place

    def write(self, command: Command[T]) -> "Future[T]":
        place = self._place
        place.must_live(self)
        if place.stumbles("before a commit"):
            super().write(lambda session: _never_committed(command, session))
        answer = super().write(command)
        place.committed(answer.exception())
        if place.stumbles("after a commit"):
            raise Died
        return answer

    async def run(self, command: Command[T], *, needs: Sequence[Any] = ()) -> T:
        """`write` for async code: what it does has happened when it returns.

        What it `needs` is read when it is looked at: there is no batch to read it for.
        """
        return self.write(command).result()


def _compile_once(engine: Engine) -> None:
    """Let all databases of this process share what statements were compiled to.

    A place that starts again would compile each anew, a quarter of a simulation's time. What was
    compiled is kept by dialect, so they share that too: all are the same SQLite.
    """
    if not _DIALECTS:
        _DIALECTS.append(engine.dialect)
    engine.dialect = _DIALECTS[0]
    engine.update_execution_options(compiled_cache=_COMPILED)


_DIALECTS: list[Dialect] = []
_COMPILED: dict[Any, Any] = {}


def _never_committed(command: Command[Any], session: Session) -> None:
    """All of a command, and then the power is gone: nothing of it may be found later."""
    try:
        command(session)
    finally:
        raise Died


class Place:
    """A process in the district that can die and start again: a node, or the office."""

    def __init__(self, name: str, district: District, file: Path) -> None:
        self.name = name
        self.district = district
        self.url = f"sqlite:///{file}"
        self.is_up = True
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writes: tuple[float, int] = (0.0, 0)  # how many at this very moment
        self.database = self.open_database()

    def open_database(self) -> MortalDatabase:
        """The database over the file as it stands."""
        return MortalDatabase(self.url, self, clock=self.district.clock)

    def start(self) -> None:
        """Build what a process builds when it starts."""
        raise NotImplementedError

    def tell(self, words: str) -> None:
        """Add to the district's history."""
        self.district.history.tell(self.name, words)

    def do(self, command: Callable[[Session], T]) -> T:
        """Run a command; raises its refusal, or Died."""
        return self.database.do(command)

    def spawn(self, work: Coroutine[Any, Any, T]) -> "asyncio.Task[T]":
        """Run `work` for as long as this process lives."""
        task = self.district.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def must_live(self, database: Database) -> None:
        """Raises Died for code of a process that is no more."""
        if not self.is_up or database is not self.database:
            raise Died

    def stumbles(self, point: str) -> bool:
        """Whether the process dies here; if so, it has."""
        now = self.district.loop.time()
        count = self._writes[1] + 1 if self._writes[0] == now else 0
        self._writes = (now, count)
        about = (self.name, point, f"{now:.3f}", count)
        if not self.district.dice.happens("crash", *about):
            return False
        self.die(point)
        return True

    def die(self, point: str) -> None:
        """The process is killed now, and started again later."""
        district, loop = self.district, self.district.loop
        self.tell(f"dies {point}")
        self.is_up = False
        for task in list(self._tasks):
            task.cancel()
        self._tasks.clear()
        seconds = district.dice.between(
            DOWN_SECONDS_MIN, DOWN_SECONDS_MAX, "down", self.name, loop.time()
        )
        loop.call_later(seconds, self.rise)

    def rise(self) -> None:
        """Start again over the file as it stands."""
        if self.is_up:
            return
        self.database.close()
        self.is_up = True
        self.database = self.open_database()
        self.tell("starts again")
        self.start()

    def committed(self, failure: BaseException | None) -> None:
        """A command was committed, or refused; anything else it raised is a bug."""
        self.district.history.steps += 1
        if failure is not None and not isinstance(failure, DomainError):
            words = f"a command failed at {self.name}: {type(failure).__name__}: {failure}"
            self.district.history.violated("command_failed", words)

    def _finished(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (failure := task.exception()) is None:
            return
        if not isinstance(failure, Died | DomainError):
            words = f"work failed at {self.name}: {type(failure).__name__}: {failure}"
            self.district.history.violated("work_failed", words)


class Town(Place):
    """A community's node: database, ledger, outbox, relay, inbox, statements, rounds, watch."""

    def __init__(
        self,
        name: str,
        district: District,
        file: Path,
        *,
        keys: TownKeys,
        peers: list[KnownPeer],
        directory: Directory,
        network: Network,
        chain: SimulatedChain,
        witness: Witness,
        fetch_batch: Callable[[str, bytes], Awaitable[BatchProposal]],
    ) -> None:
        self.keys = keys
        self.sealer = Ed25519Sealer(name, keys.signing)
        self.book = PeerBook(peers)
        self.directory = directory
        self.network = network
        self.chain = chain
        self.fetch_batch = fetch_batch
        self.witness = witness
        self._relay_at: datetime | None = None
        self._relay_timer: asyncio.TimerHandle | None = None
        super().__init__(name, district, file)
        self.start()

    def open_database(self) -> MortalDatabase:
        return MortalDatabase(self.url, self, clock=self.district.clock, reactions=REACTIONS)

    def start(self) -> None:
        clock, database = self.district.clock, self.database
        self.answers = self.make_answers()
        self.inbox = self.make_inbox()
        self.relay = self.make_relay()
        self.rounds = SettlementRounds(
            database,
            clock,
            self.sealer,
            chain=lambda: self.chain,
            verify=self.answers.has_signed,
            directory=lambda: self.directory,
            settlement_key=self.keys.settlement,
        )
        self.watch = ChainWatch(
            database,
            clock,
            self.chain,
            self.rounds,
            community=self.name,
            confirmations=CONFIRMATIONS,
            fetch_batch=lambda round_id: self.fetch_batch(self.name, round_id),
        )
        self._relay_at, self._is_relaying, self._looking = None, False, False
        self.witness.after_restart()
        self.wake_relay()

    def make_answers(self) -> Answers:
        """The table of what a message causes; a test may plant a bug in it."""
        return Answers(self.district.clock, self.sealer, self.book)

    def make_inbox(self) -> Inbox:
        """What answers the neighbours; a test may plant a bug in it."""
        return Inbox(
            self.database,
            self.district.clock,
            self.sealer,
            self.book,
            answer=self.answers.answer,
            prepare=self.answers.prepare,
        )

    def make_relay(self) -> Relay:
        """What sends the outbox; a test may plant a bug in it."""
        return Relay(
            self.database,
            self.district.clock,
            WitnessedPeers(
                Wire(self.name, self.book, self.network), self.database, self.district.clock
            ),
            open_question=lambda sealed: wire.decode(sealed.payload),
            apply_answer=self.answers.apply,
            prepare=self.answers.prepare_answers,
        )

    async def hear(self, caller: str, items: list[Sealed]) -> list[Sealed]:
        """This node's signed answers to what came under the certificate of `caller`."""
        return await self.inbox.take(caller, items)

    def committed(self, failure: BaseException | None) -> None:
        super().committed(failure)
        if self.witness.after_commit():
            self.wake_relay()

    def wake_relay(self) -> None:
        """See to it that the relay runs when something is due."""
        due = None if self._is_relaying else self.witness.next_due()
        if due is None or (self._relay_at is not None and due >= self._relay_at):
            return
        moment = max(due, self.district.clock.now())
        if self.district.dice.happens("reorder", "gathers", self.name, moment.isoformat()):
            moment += GATHER  # a busy node: what comes meanwhile goes in the same call
        self._plan_relay(moment)

    def sweep(self) -> None:
        """What serve.py does from time to time: free what is overdue, compare past days."""

        def expire(session: Session) -> int:
            ledger.expire_holds(session, self.district.clock)
            compare.compare_due(session, self.district.clock, self.sealer)
            host.release_overdue(session, self.district.clock, self.sealer)
            return home.expire_passes(session, self.district.clock)

        try:
            if self.is_up and (count := self.do(expire)):
                self.tell(f"gives back the minutes of {count} overdue passes")
        except Died:
            pass

    def look_at_chain(self) -> None:
        """Let the watch read what is new, once at a time, again later where that fails."""
        if self.is_up and not self._looking:
            self._looking = True
            self.spawn(self._look())

    async def _look(self) -> None:
        try:
            while await self.watch.look():
                pass
        except (ChainUnavailable, ChainRefused, DomainError):  # an outage, or the office is away
            self.district.loop.call_later(LOOK_AGAIN_SECONDS, self.look_at_chain)
        finally:
            self._looking = False

    def _plan_relay(self, moment: datetime) -> None:
        if self._relay_timer is not None:
            self._relay_timer.cancel()
        database = self.database

        def begin() -> None:
            if self.is_up and database is self.database:
                self._relay_at, self._is_relaying = None, True
                self.spawn(self._relay_pass())

        self._relay_at = moment
        self._relay_timer = self.district.loop.at(moment, begin)

    async def _relay_pass(self) -> None:
        clock = self.district.clock
        while True:
            sent = await self.relay.drain_once()
            due = self.witness.next_due()
            if due is None or due > clock.now():
                break
        self._is_relaying = False
        if due is not None:  # after a failure a neighbour is left in peace for a while
            self._plan_relay(max(due, clock.now() + RETRY) if sent == 0 else due)
