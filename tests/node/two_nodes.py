"""Two communities in one process, on real files, over a network that fails when told to.

Everything is real but the clock and the way between them: Database, ledger, signatures, outbox,
relay, inbox. `Network` hands a call over, loses it, repeats it, lets it come late or lets one side
die around it; `reopen` starts a side again over the same file, as after a crash.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import home, host
from node.exchange.home import SETTLED
from node.exchange.host import PARTIES
from node.exchange.model import Pass, Visit, VisitRow
from node.kernel.clock import VirtualClock
from node.kernel.db import Base, Database, open_engine
from node.kernel.events import Reactions
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Envelope, Sealed
from node.kernel.signing import BadSignature
from node.ledger import service as ledger
from node.ledger.audit import audit_ledger
from node.ledger.model import ACCOUNT, Unit
from node.outbox import service as outbox
from node.outbox.relay import BadAnswer, PeerUnreachable, Relay
from node.peer import wire
from node.peer.answers import Answers
from node.peer.book import KnownPeer, PeerBook
from node.peer.seal import Ed25519Sealer, open_sealed
from node.peer.servicer import Inbox
from node.peer.wire import Unreadable
from node.peer.witnessed import WitnessedPeers
from node.settlement.service import audit_receipts

T = TypeVar("T")

HOME, HOST = "plum-court", "jade-garden"
ELDER, VOLUNTEER = derived_id("test", "elder"), derived_id("test", "volunteer")
CREDIT_LIMIT_MINUTES, PEER_LIMIT_MINUTES, DEBT_LIMIT_MINUTES = 500, 400, 450
RETRY = timedelta(seconds=61)  # longer than any backoff
ROUNDS_MAX = 60  # of draining; more means that something never ends


class Fault(StrEnum):
    """What can happen to one call between two communities."""

    NONE = "none"
    REQUEST_LOST = "request_lost"
    ANSWER_LOST = "answer_lost"
    TWICE = "twice"  # the request arrives a second time, at once
    LATE = "late"  # the request arrives only after the next call
    REORDERED = "reordered"  # the items arrive one by one, the last one first
    SENDER_DIES_FIRST = "sender_dies_first"  # before anything has left
    SENDER_DIES_LAST = "sender_dies_last"  # with the answer in hand, not yet written down
    RECEIVER_DIES = "receiver_dies"  # having written its answer down


class Died(Exception):
    """The process that was calling is no more; only its file is left."""


@dataclass
class Side:
    """One community: its file, and the objects that a running node has over it."""

    community: str
    url: str
    clock: VirtualClock
    key: Ed25519PrivateKey
    book: PeerBook
    network: "Network"
    reactions: Reactions = field(default_factory=dict)  # what follows here; none unless a test asks

    def __post_init__(self) -> None:
        self.sealer = Ed25519Sealer(self.community, self.key)
        self.open()

    def open(self) -> None:
        """Start over the file as it stands."""
        self.database = Database(self.url, clock=self.clock, reactions=self.reactions)
        self.answers = Answers(self.clock, self.sealer, self.book)
        self.inbox = Inbox(
            self.database, self.clock, self.sealer, self.book, answer=self.answers.answer
        )
        self.relay = Relay(
            self.database,
            self.clock,
            WitnessedPeers(
                Wire(self.community, self.book, self.network), self.database, self.clock
            ),
            open_question=lambda sealed: wire.decode(sealed.payload),
            apply_answer=self.answers.apply,
        )

    def reopen(self) -> None:
        """Die and start again: nothing but the file survives."""
        self.database.close()
        self.open()

    def say(self, body: Body, *, to: str, message_id: UUID, sender: str = "") -> Sealed:
        """A sealed message of this side, outside its outbox: what a liar would send."""
        sent_at = self.clock.now()
        return self.sealer.seal(Envelope(message_id, sender or self.community, to, sent_at, body))

    def hear(self, item: Sealed, *, caller: str) -> Sealed:
        """This side's answer to `item`, which arrived under the certificate of `caller`."""
        [answer] = asyncio.run(self.inbox.take(caller, [item]))
        return answer

    def read_answer(self, answer: Sealed, *, sender: str) -> Body:
        """What `sender` answered, its signature checked."""
        return open_sealed(self.book, answer, sender=sender).body

    def do(self, command: Callable[[Session], T]) -> T:
        return self.database.do(command)

    def ask(self, question: Callable[[Session], T]) -> T:
        with self.database.read() as session:
            return question(session)

    def minutes(self, resident_id: UUID) -> int:
        account = ledger.resident_account(resident_id, Unit.MINUTES)
        return self.ask(lambda session: ledger.balance(session, account))

    def clearing(self, peer: str) -> int:
        account = ledger.clearing_account(peer)
        return self.ask(lambda session: ledger.balance(session, account))

    def held(self) -> int:
        """Minutes that promises keep back, over all accounts."""
        return sum(self.ask(lambda session: session.scalars(select(ACCOUNT.c.held)).all()))


@dataclass(frozen=True)
class Wire:
    """Peers in memory, as one side sees them."""

    caller: str
    book: PeerBook
    network: "Network"

    async def deliver(self, community: str, items: Sequence[Sealed]) -> list[Sealed]:
        return await self.network.carry(self.caller, community, items)

    def open_answer(self, community: str, answer: Sealed) -> Envelope:
        try:
            return open_sealed(self.book, answer, sender=community)
        except (BadSignature, Unreadable) as problem:
            raise BadAnswer(peer=community, problem=problem.code) from problem


@dataclass
class Network:
    """Carries calls; `plan` says what happens to each, from its number."""

    plan: Callable[[int], Fault] = lambda _number: Fault.NONE
    sides: dict[str, Side] = field(default_factory=dict)
    calls: int = 0
    late: list[tuple[str, str, list[Sealed]]] = field(default_factory=list)

    async def carry(self, caller: str, community: str, items: Sequence[Sealed]) -> list[Sealed]:
        fault = self.plan(self.calls)
        self.calls += 1
        receiver = self.sides[community]
        match fault:
            case Fault.REQUEST_LOST:
                raise PeerUnreachable("lost on the way there")
            case Fault.LATE:
                self.late.append((caller, community, list(items)))
                raise PeerUnreachable("not here yet")
            case Fault.SENDER_DIES_FIRST:
                raise Died
            case Fault.REORDERED:
                one_by_one = [await receiver.inbox.take(caller, [one]) for one in reversed(items)]
                answers = [answer for [answer] in reversed(one_by_one)]
            case _:
                answers = await receiver.inbox.take(caller, items)
        await self._bring_late()
        match fault:
            case Fault.TWICE:
                again = await receiver.inbox.take(caller, items)
                assert again == answers, "a repeat gets the same bytes"
            case Fault.ANSWER_LOST:
                raise PeerUnreachable("lost on the way back")
            case Fault.SENDER_DIES_LAST:
                raise Died
            case Fault.RECEIVER_DIES:
                receiver.reopen()
                raise PeerUnreachable("gone")
        return answers

    async def _bring_late(self) -> None:
        waiting, self.late = self.late, []
        for caller, community, items in waiting:
            await self.sides[community].inbox.take(caller, items)


@dataclass
class District:
    """Home and host, and what must be true of both together."""

    clock: VirtualClock
    network: Network
    home: Side
    host: Side

    @property
    def sides(self) -> tuple[Side, Side]:
        return self.home, self.host

    def drain(self) -> None:
        """Let all messages find their answer; whoever dies starts again."""
        for _ in range(ROUNDS_MAX):
            for side in self.sides:
                try:
                    asyncio.run(self._drain(side))
                except Died:
                    side.reopen()
            if not any(side.ask(outbox.waiting_count) for side in self.sides):
                return
            self.clock.advance(RETRY)
        raise AssertionError("messages still wait after all faults are over")

    async def _drain(self, side: Side) -> None:
        while await side.relay.drain_once():
            pass

    def check(self) -> None:
        """Both books are whole, and each says of the other what the other says of it."""
        for side in self.sides:
            audit = side.ask(audit_ledger)
            assert audit.ok, audit.problem
            assert side.ask(audit_receipts) == ""
        assert self.home.clearing(HOST) == -self.host.clearing(HOME), "clearing accounts mirror"
        assert self.home.minutes(ELDER) + self.host.minutes(VOLUNTEER) == 0, "minutes conserved"

    def issue(self, number: int = 0, *, minutes: int = 120) -> Pass:
        """Home promises `minutes` of the elder's; `number` tells passes apart."""
        return self.home.do(
            lambda session: home.issue_pass(
                session,
                self.clock,
                self.home.sealer,
                pass_id=derived_id("test pass", number),
                resident_id=ELDER,
                issued_by=None,
                host=HOST,
                minutes=minutes,
                code=f"ABCD{2222 + number}",
                debt_limit_minutes=DEBT_LIMIT_MINUTES,
            )
        )

    def present(self, number: int = 0, *, code: str = "") -> Visit:
        """The host's desk takes the pass that the elder shows."""
        return self.host.do(
            lambda session: host.present_pass(
                session,
                self.clock,
                self.host.sealer,
                exchange_id=exchange_id(number),
                code=code or f"{HOME}-ABCD{2222 + number}",
                provider_id=VOLUNTEER,
                presented_by=None,
            )
        )

    def deliver(self, number: int = 0, *, minutes: int = 90) -> Visit:
        return self.host.do(
            lambda session: host.deliver(
                session,
                exchange_id=exchange_id(number),
                minutes=minutes,
                now=self.clock.now(),
            )
        )

    def confirm(self, number: int = 0, *, parties: Sequence[str] = PARTIES) -> None:
        for party in parties:
            self.host.do(partial(self._confirm, exchange_id=exchange_id(number), party=party))

    def _confirm(self, session: Session, *, exchange_id: UUID, party: str) -> VisitRow:
        return host.confirm(
            session, self.clock, self.host.sealer, exchange_id=exchange_id, party=party
        )

    def call_off(self, number: int = 0) -> Visit:
        return self.host.do(
            lambda session: host.call_off(
                session, self.clock, self.host.sealer, exchange_id=exchange_id(number)
            )
        )

    def void(self, number: int = 0) -> Pass:
        pass_id = derived_id("test pass", number)
        return self.home.do(lambda session: home.void_pass(session, self.clock, pass_id=pass_id))

    def expire(self) -> int:
        """Both sides end what is overdue; how many of home's passes were."""
        self.host.do(lambda session: host.release_overdue(session, self.clock, self.host.sealer))
        return self.home.do(lambda session: home.expire_passes(session, self.clock))

    def help_guest(self, number: int = 0, *, minutes: int = 90) -> None:
        """One whole exchange, from pass to credit."""
        self.issue(number, minutes=minutes)
        self.present(number)
        self.drain()
        self.deliver(number, minutes=minutes)
        self.confirm(number)
        self.drain()

    def pass_state(self, number: int = 0) -> str:
        return self.home.ask(lambda s: s.get_one(Pass, derived_id("test pass", number)).state)

    def visit(self, number: int = 0) -> Visit:
        return self.host.ask(lambda session: session.get_one(Visit, exchange_id(number)))

    def close(self) -> None:
        for side in self.sides:
            side.database.close()


def exchange_id(number: int = 0) -> UUID:
    """The id that the host gives to exchange `number`."""
    return derived_id("test exchange", number)


@contextmanager
def two_nodes(folder: Path, plan: Callable[[int], Fault] | None = None) -> Iterator[District]:
    """An elder at home, a volunteer at the host, and nothing said between them yet."""
    clock = VirtualClock()
    network = Network(plan) if plan else Network()
    keys = {name: Ed25519PrivateKey.generate() for name in (HOME, HOST)}
    for name, peer in ((HOME, HOST), (HOST, HOME)):
        known = KnownPeer(
            community=peer,
            name=peer,
            address="127.0.0.1:1",
            certificate_name=peer,
            signing_public_key=keys[peer].public_key().public_bytes_raw(),
        )
        file = folder / f"{name}.sqlite"
        file.write_bytes(_prepared(peer))
        side = Side(name, f"sqlite:///{file}", clock, keys[name], PeerBook([known]), network)
        network.sides[name] = side
    district = District(clock, network, network.sides[HOME], network.sides[HOST])
    try:
        yield district
    finally:
        district.close()


@cache
def _prepared(peer: str) -> bytes:
    """A database file with residents and the accounts that a node opens for a peer."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "template.sqlite"
        _prepare(f"sqlite:///{file}", peer)
        return file.read_bytes()


def _prepare(url: str, peer: str) -> None:
    engine = open_engine(url)
    with engine.begin() as connection, Session(connection) as session:
        Base.metadata.create_all(connection)
        for account_id, kind, owner, limit in (
            (
                ledger.resident_account(ELDER, Unit.MINUTES),
                "resident",
                "elder",
                CREDIT_LIMIT_MINUTES,
            ),
            (ledger.resident_account(VOLUNTEER, Unit.MINUTES), "resident", "volunteer", 0),
            (ledger.house_account(SETTLED, Unit.MINUTES), "house", SETTLED, 1_000_000_000),
            (ledger.clearing_account(peer), ledger.CLEARING, peer, PEER_LIMIT_MINUTES),
        ):
            ledger.open_account(
                session,
                account_id=account_id,
                unit=Unit.MINUTES,
                kind=kind,
                owner=owner,
                floor=-limit,
            )
        session.flush()
    engine.dispose()
