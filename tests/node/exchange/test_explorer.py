"""Every interleaving of one exchange between two communities, on the real functions.

Method: a community is its database and nothing else, so each step begins from what is stored, as
after a crash: nothing in memory is carried from one step to the next. The way between the two is
the set of all messages ever sent, of which any may arrive at any time, any number of times, or
never: losses, repeats, delays and reorderings need no bound. People act at any time. `Community`
runs a step of one side once, on the real code, and remembers what came of it; the explorer walks
all pairs of states breadth first, and lets each of them heal.

Bounds: one pass of two minutes; one exchange with one or two minutes used, or two that race for
the same pass; one leap in time, after every promise has run out. The numbers of states are in
docs/protocol.md, section "Explored", and compared with it.
"""

import asyncio
import hashlib
import sqlite3
import zlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from node.exchange import home, host
from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.errors import DomainError
from node.kernel.ids import derived_id
from node.kernel.messages import Sealed
from node.ledger.audit import audit_ledger
from node.outbox import service as outbox
from node.outbox.service import Outgoing
from node.peer import wire
from node.peer.answers import Answers
from node.peer.book import PeerBook
from node.peer.seal import Ed25519Sealer, open_sealed
from node.peer.servicer import Inbox
from node.settlement.service import audit_receipts
from simulation.founding import keys_of, known_peer, resident_id, town_file

HOME, HOST = "plum-court", "jade-garden"
MINUTES = 2
PASS = derived_id("explored pass")
CODE = "ABCD2345"
PAGE = Path(__file__).parents[3] / "docs" / "protocol.md"
TIMES = {"answered_at", "next_attempt_at", "attempts"}  # when to send again decides nothing else
UNREAD = {"departure", "alembic_version"}  # counts what left; nothing reads it

Say = tuple[str, str, bytes]
"""A message on its way: to whom, in reply to which question ("" for a question), its bytes."""


class Act(NamedTuple):
    """Something that a person does at one side, or the sweep that ends what is overdue."""

    side: str
    name: str
    command: Callable[[Session, "Community"], object]


class View(NamedTuple):
    """What the invariants need to know of one side."""

    passes: dict[str, str]  # exchange id -> state of the pass that is bound to it
    visits: dict[str, tuple[str, str | None]]  # exchange id -> its state and its hold's
    receipts: dict[str, tuple[bool, int]]  # exchange id -> is it a debt, minutes
    clearing: int
    waiting: frozenset[str]  # ids of questions without an answer


class State(NamedTuple):
    """The whole: two databases, whether time has passed, and all that was ever said."""

    home: str
    host: str
    is_late: bool
    said: frozenset[Say]


@dataclass
class Community:
    """One side. A state's name is the hash of all that its database holds."""

    name: str
    peer: str
    folder: Path
    days_later: int
    files: dict[str, bytes] = field(default_factory=dict)
    views: dict[str, View] = field(default_factory=dict)
    outboxes: dict[str, frozenset[Say]] = field(default_factory=dict)
    steps: dict[tuple[str, str, bool], tuple[str, frozenset[Say]] | None] = field(
        default_factory=dict
    )

    def __post_init__(self) -> None:
        self.clock = VirtualClock()
        self.keys = keys_of(0, self.name)
        self.sealer = Ed25519Sealer(self.name, self.keys.signing)
        self.book = PeerBook([known_peer(self.peer, keys_of(0, self.peer))])
        self.answers = Answers(self.clock, self.sealer, self.book)
        file = self.folder / f"{self.name}.sqlite"
        limits = {"credit_limit_minutes": 10, "peer_limit_minutes": 10}
        file.write_bytes(town_file(self.name, (self.peer,), residents_count=1, **limits))
        self.database = Database(f"sqlite:///{file}", clock=self.clock, has_thread=False)
        self.reader = sqlite3.connect(file, isolation_level=None)
        self.reader.row_factory = sqlite3.Row
        names = self.reader.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        self.tables = sorted({row[0] for row in names} - UNREAD)
        self.first = self.loaded = self._keep()

    def close(self) -> None:
        """Let go of the file."""
        self.reader.close()
        self.database.close()

    def act(self, state: str, act: Act, *, is_late: bool) -> tuple[str, frozenset[Say]] | None:
        """The state after somebody acted; None where a rule says no."""
        run = lambda database: database.do(lambda session: act.command(session, self))  # noqa: E731
        return self._step(state, act.name, is_late, run)

    def hear(self, state: str, said: Say, *, is_late: bool) -> tuple[str, frozenset[Say]] | None:
        """The state after a question or an answer arrived, and the answer given."""
        _, in_reply_to, payload = said
        sealed = Sealed(payload[64:], payload[:64])
        key = hashlib.sha256(payload).hexdigest()
        if in_reply_to:
            take = lambda database: self._take_answer(database, sealed)  # noqa: E731
            return self._step(state, key, is_late, take)

        def answer(database: Database) -> frozenset[Say]:
            inbox = Inbox(database, self.clock, self.sealer, self.book, answer=self.answers.answer)
            [given] = asyncio.run(inbox.take(self.peer, [sealed]))
            question = str(wire.decode(sealed.payload).message_id)
            return frozenset({(self.peer, question, given.signature + given.payload)})

        return self._step(state, key, is_late, answer)

    def _take_answer(self, database: Database, sealed: Sealed) -> None:
        """What the relay does with an answer, in one transaction."""
        answer = open_sealed(self.book, sealed, sender=self.peer)

        def take(session: Session) -> None:
            due = {"items_max": 9, "bytes_max": 10**6, "now": self.clock.now() + timedelta(days=1)}
            waiting = outbox.due(session, recipient=self.peer, **due)  # type: ignore[arg-type]
            message = next((one for one in waiting if one.id == answer.in_reply_to), None)
            if message is not None:
                self._apply(session, message, sealed)

        database.do(take)

    def _apply(self, session: Session, message: Outgoing, sealed: Sealed) -> None:
        question = wire.decode(message.sealed.payload)
        answer = open_sealed(self.book, sealed, sender=self.peer)
        given = {message: sealed}
        assert outbox.take_answers(session, self.clock, given=given, recipient=self.peer)
        self.answers.apply(session, question, answer, sealed)

    def _step(
        self, state: str, name: str, is_late: bool, run: Callable[[Database], Any]
    ) -> tuple[str, frozenset[Say]] | None:
        key = (state, name, is_late)
        if key not in self.steps:
            self.steps[key] = self._run(state, is_late, run)
        return self.steps[key]

    def _run(
        self, state: str, is_late: bool, run: Callable[[Database], Any]
    ) -> tuple[str, frozenset[Say]] | None:
        if state != self.loaded:  # what a rule refused has changed nothing
            kept = sqlite3.connect(":memory:")
            kept.deserialize(zlib.decompress(self.files[state]))
            kept.backup(self.reader)
            kept.close()
        self.clock.moment = VirtualClock().moment + timedelta(days=self.days_later * is_late)
        try:
            said = run(self.database)
        except DomainError:
            self.loaded = state
            return None
        answers = said if isinstance(said, frozenset) else frozenset()
        after = self.loaded = self._keep()
        return after, answers | self.outboxes[after]

    def _keep(self) -> str:
        digest = hashlib.sha256()
        for table in self.tables:
            rows = [
                repr({name: row[name] for name in row.keys() if name not in TIMES})  # noqa: SIM118
                for row in self.reader.execute(f"SELECT * FROM {table}")  # noqa: S608 (our tables)
            ]
            digest.update(repr((table, sorted(rows))).encode())
        state = digest.hexdigest()
        if state not in self.files:
            self._audit()
            self.views[state] = _view(self.reader)
            self.outboxes[state] = frozenset(
                (self.peer, "", row["signature"] + row["payload"])
                for row in self.reader.execute("SELECT payload, signature FROM outbox_message")
            )
            self.files[state] = self._bytes()
        return state

    def _bytes(self) -> bytes:
        """The database as it stands, in a form that can be opened in memory."""
        copy = sqlite3.connect(":memory:")
        self.reader.backup(copy)
        content = bytearray(copy.serialize())
        copy.close()
        content[18:20] = b"\1\1"  # says that it needs no write-ahead log beside it
        return zlib.compress(content, 1)

    def _audit(self) -> None:
        with self.database.read() as session:
            audit, problem = audit_ledger(session), audit_receipts(session)
        assert audit.ok, audit.problem
        assert problem == ""


def _view(reader: sqlite3.Connection) -> View:
    bound = "SELECT exchange_id, state FROM pass WHERE exchange_id IS NOT NULL"
    visits = (
        "SELECT visit.id, visit.state, hold.state FROM visit LEFT JOIN hold ON hold.id = visit.id"
    )
    clearing = "SELECT SUM(balance) FROM account WHERE kind = 'clearing'"
    receipts = "SELECT exchange_id, is_debt, minutes FROM receipt"
    waiting = "SELECT id FROM outbox_message WHERE state = 'waiting'"
    return View(
        passes={row[0]: row[1] for row in reader.execute(bound)},
        visits={row[0]: (row[1], row[2]) for row in reader.execute(visits)},
        receipts={row[0]: (bool(row[1]), row[2]) for row in reader.execute(receipts)},
        clearing=reader.execute(clearing).fetchone()[0],
        waiting=frozenset(str(UUID(row[0])) for row in reader.execute(waiting)),
    )


@dataclass
class Explorer:
    """Walks every state that can be reached, and looks at each."""

    home: Community
    host: Community
    acts: tuple[Act, ...]
    days_later: int  # that may pass, once; 0: no time passes
    transitions: int = 0
    cameFrom: dict[State, tuple[State, str]] = field(default_factory=dict)  # noqa: N815

    def explore(self) -> set[State]:
        """All reachable states; fails with the shortest way to the first bad one."""
        first = State(self.home.first, self.host.first, False, frozenset())
        known, waiting = {first}, deque([first])
        while waiting:
            state = waiting.popleft()
            for name, after in self.next_states(state):
                self.transitions += 1
                if after not in known:
                    known.add(after)
                    self.cameFrom[after] = (state, name)
                    self.check(after)
                    waiting.append(after)
        return known

    def next_states(self, state: State) -> Iterator[tuple[str, State]]:
        """Everything that can happen next."""
        for act in self.acts:
            side = self.home if act.side == HOME else self.host
            at = state.home if act.side == HOME else state.host
            done = side.act(at, act, is_late=state.is_late)
            if done is not None:
                yield act.name, self._moved(state, act.side, done)
        for said in state.said:
            yield f"{_words(said)} arrives", self._arrive(state, said)
        if self.days_later and not state.is_late:
            yield f"{self.days_later} days pass", state._replace(is_late=True)

    def check(self, state: State) -> None:
        """What must hold in every state, whatever is lost or still under way."""
        at_home, away = self.home.views[state.home], self.host.views[state.host]
        for exchange, (is_debt, minutes) in away.receipts.items():
            paid = at_home.receipts.get(exchange)
            self.require(not is_debt and paid == (True, minutes), state, "credit before debt")
        assert len(at_home.receipts) <= 1, "a pass serves once"
        for exchange in at_home.receipts.keys() - away.receipts.keys():
            doubt = away.visits.get(exchange)
            self.require(doubt == ("confirmed", "open"), state, "paid, and the promise given back")
        for exchange, (visit, _) in away.visits.items():
            bound = at_home.passes.get(exchange, "unbound")
            is_lost = visit in ("released", "refused") and bound == "captured"
            self.require(not is_lost, state, f"visit {visit}, pass {bound}")
        in_flight = sum(
            minutes
            for exchange, (_, minutes) in at_home.receipts.items()
            if exchange not in away.receipts
        )
        self.require(at_home.clearing + away.clearing == in_flight, state, "minutes conserved")

    def heals(self, state: State) -> None:
        """Nobody acts any more and every call arrives: all is answered, and the books mirror."""
        for _ in range(9):
            away = self.host.views[state.host]
            if not away.waiting:
                break
            for question in self.host.outboxes[state.host]:
                sealed = Sealed(question[2][64:], question[2][:64])
                if str(wire.decode(sealed.payload).message_id) in away.waiting:
                    state = self._arrive(state, question)
                    name = str(wire.decode(sealed.payload).message_id)
                    [answer] = [one for one in state.said if one[:2] == (HOST, name)]
                    state = self._arrive(state, answer)
        at_home, away = self.home.views[state.home], self.host.views[state.host]
        self.require(not away.waiting, state, "a question waits for ever")
        self.require(at_home.clearing == -away.clearing, state, "positions mirror")
        states = {visit for visit, _ in away.visits.values()}
        self.require(not states & {"presented", "confirmed"}, state, f"in doubt for ever: {states}")

    def require(self, is_right: bool, state: State, words: str) -> None:
        if not is_right:
            steps: list[str] = []
            while state in self.cameFrom:
                state, step = self.cameFrom[state]
                steps.append(step)
            pytest.fail(f"{words}, after: " + "; ".join(reversed(steps)))

    def _arrive(self, state: State, said: Say) -> State:
        side, at = (self.home, state.home) if said[0] == HOME else (self.host, state.host)
        done = side.hear(at, said, is_late=state.is_late)
        assert done is not None, "what arrives is answered or taken, never an error"
        return self._moved(state, said[0], done)

    def _moved(self, state: State, side: str, done: tuple[str, frozenset[Say]]) -> State:
        after, said = done
        both = {"home" if side == HOME else "host": after}
        return state._replace(said=state.said | said, **both)  # type: ignore[arg-type]


def _words(said: Say) -> str:
    return type(wire.decode(said[2][64:]).body).__name__


def acts(exchanges: int) -> tuple[Act, ...]:
    """Everything that anybody can do about one pass and this many visits on it."""
    at_home = (
        Act(HOME, "home issues the pass", _issue),
        Act(
            HOME, "home takes the pass back", lambda s, c: home.void_pass(s, c.clock, pass_id=PASS)
        ),
        Act(HOME, "home sweeps what is overdue", lambda s, c: home.expire_passes(s, c.clock)),
    )
    swept = Act(
        HOST,
        "the host sweeps what is overdue",
        lambda s, c: host.release_overdue(s, c.clock, c.sealer),
    )
    visits = _race_acts if exchanges > 1 else _visit_acts
    others = (act for number in range(exchanges) for act in visits(number))
    return (*at_home, swept, *others)


def _visit_acts(number: int) -> Iterator[Act]:
    """Every step of a visit on its own."""
    exchange = derived_id("explored exchange", number)
    yield from _begin_and_end(number, exchange)
    for minutes in (1, MINUTES):
        yield Act(
            HOST,
            f"visit {number} took {minutes} min",
            lambda s, c, minutes=minutes: host.deliver(  # type: ignore[misc]
                s, exchange_id=exchange, minutes=minutes, now=c.clock.now()
            ),
        )
    for party in host.PARTIES:
        yield Act(
            HOST,
            f"the {party} confirms visit {number}",
            lambda s, c, party=party: host.confirm(  # type: ignore[misc]
                s, c.clock, c.sealer, exchange_id=exchange, party=party
            ),
        )


def _race_acts(number: int) -> Iterator[Act]:
    """A visit whose help is noted and confirmed at once: the race is about the pass."""
    exchange = derived_id("explored exchange", number)

    def help_given(session: Session, community: Community) -> None:
        now = community.clock.now()
        host.deliver(session, exchange_id=exchange, minutes=MINUTES, now=now)
        for party in host.PARTIES:
            host.confirm(
                session, community.clock, community.sealer, exchange_id=exchange, party=party
            )

    yield from _begin_and_end(number, exchange)
    yield Act(HOST, f"the help of visit {number} is given and confirmed", help_given)


def _begin_and_end(number: int, exchange: UUID) -> Iterator[Act]:
    yield Act(
        HOST,
        f"visit {number} is presented",
        lambda s, c: host.present_pass(
            s,
            c.clock,
            c.sealer,
            exchange_id=exchange,
            code=f"{HOME}-{CODE}",
            provider_id=resident_id(HOST, 0),
            presented_by=None,
        ),
    )
    yield Act(
        HOST,
        f"visit {number} is called off",
        lambda s, c: host.call_off(s, c.clock, c.sealer, exchange_id=exchange),
    )


def _issue(session: Session, community: Community) -> object:
    return home.issue_pass(
        session,
        community.clock,
        community.sealer,
        pass_id=PASS,
        resident_id=resident_id(HOME, 0),
        issued_by=None,
        host=HOST,
        minutes=MINUTES,
        code=CODE,
        debt_limit_minutes=10,
    )


@pytest.mark.parametrize(
    ("exchanges", "days_later"),
    [
        (1, 45),  # every promise has run out
        (1, 61),  # and every question has become too old to be taken
        (2, 0),
        pytest.param(2, 45, marks=pytest.mark.processes),  # takes a minute or two
    ],
)
def test_no_interleaving_loses_or_doubles_a_minute(
    exchanges: int,
    days_later: bool,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    sides = (
        Community(HOME, HOST, tmp_path, days_later),
        Community(HOST, HOME, tmp_path, days_later),
    )
    explorer = Explorer(*sides, acts(exchanges), days_later)
    states = explorer.explore()
    for state in states:
        explorer.heals(state)
    for side in sides:
        side.close()
    real_steps = len(explorer.home.steps) + len(explorer.host.steps)
    row = (
        f"| {exchanges} | {days_later} | {len(states):,} | {explorer.transitions:,} "
        f"| {len(explorer.home.files):,} | {len(explorer.host.files):,} | {real_steps:,} |"
    )
    record_property("explored", row)
    assert any(explorer.host.views[state.host].receipts for state in states)
    assert row in PAGE.read_text(encoding="utf-8"), f"docs/protocol.md, Explored: {row}"
