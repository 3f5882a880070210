"""Send what waits, at least once, until it is answered: a call or two at a time for each peer.

While calls to a peer are under way, what is enqueued for it gathers and goes in the next one: many
items, one RPC, one commit on each side. A crash anywhere only repeats a call, and a repeat gets the
same answer. What gets no answer, or one that cannot be taken, holds up no other.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple, Protocol
from uuid import UUID

import structlog
from sqlalchemy.orm import Session

from node.kernel.db import Database
from node.kernel.errors import DomainError
from node.kernel.glance import glance
from node.kernel.messages import Envelope, Sealed
from node.kernel.ports import Clock
from node.outbox import service
from node.outbox.model import OUTBOX
from node.outbox.service import Outgoing

ITEMS_MAX = 256  # in one call
CALLS_MAX = 2  # under way to one peer: one is worked on there while we see to the other here
BYTES_MAX = 1_048_576  # in one call; how many bytes of answers come back is the peer's limit
NO_ANSWER = Sealed(b"", b"")  # in an answer's place: it failed there or did not fit; ask again
IDLE_SECONDS_MAX = 5.0  # how long the relay sleeps when nothing wakes it

log = structlog.get_logger()


class PeerUnreachable(Exception):
    """The world failed: no answer now, try again later."""


class BadAnswer(DomainError):
    code = "peer.bad_answer"
    message = "{peer} answered something that cannot be its answer: {problem}"


class Peers(Protocol):
    """The way to the other communities."""

    async def deliver(self, community: str, items: Sequence[Sealed]) -> list[Sealed]:
        """Their answers, one for each item; raises PeerUnreachable."""
        ...

    def open_answer(self, community: str, answer: Sealed) -> Envelope:
        """The answer, its signature checked; raises BadAnswer."""
        ...


ApplyAnswer = Callable[[Session, Envelope, Envelope, Sealed], None]
"""What an answer changes here, in its transaction: (session, question, answer, answer's bytes)."""


Prepare = Callable[[Session, Sequence[tuple[Envelope, Envelope]]], None]
"""Reads in a few statements what applying these (question, answer) pairs will look at."""


class _Answer(NamedTuple):
    message: Outgoing
    question: Envelope
    answer: Envelope
    sealed: Sealed


class Relay:
    """Drains the outbox for as long as it runs."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        peers: Peers,
        *,
        open_question: Callable[[Sealed], Envelope],
        apply_answer: ApplyAnswer,
        prepare: Prepare | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._peers = peers
        self._open_question = open_question
        self._apply_answer = apply_answer
        self._prepare = prepare
        self._awake = asyncio.Event()
        self._calls: dict[str, set[asyncio.Task[None]]] = {}
        self._on_their_way: set[UUID] = set()

    async def run(self) -> None:
        """Send until cancelled."""
        self._database.pass_on(self._awake.set, of=OUTBOX, loop=asyncio.get_running_loop())
        try:
            while True:
                self._awake.clear()
                idle_seconds = self._start_due()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(idle_seconds):
                        await self._awake.wait()
        finally:
            for tasks in self._calls.values():
                for task in tasks:
                    task.cancel()

    async def drain_once(self) -> int:
        """One pass over all that is due, for tests and simulation; returns how many were sent."""
        sent = 0
        now = self._clock.now()
        for recipient, at in self._next_attempts().items():
            if at <= now and (messages := self._due(recipient)):
                sent += await self._send(recipient, messages)
        return sent

    def _start_due(self) -> float:
        """Start a call wherever one may help; returns how long nothing else is due, in seconds."""
        now, idle_seconds = self._clock.now(), IDLE_SECONDS_MAX
        for recipient, at in self._next_attempts().items():
            if at > now:
                idle_seconds = min(idle_seconds, max(0.05, (at - now).total_seconds()))
                continue
            calls = self._calls.setdefault(recipient, set())
            if len(calls) < CALLS_MAX and (messages := self._due(recipient)):
                task = asyncio.create_task(self._drain(recipient, messages))
                calls.add(task)
                task.add_done_callback(partial(self._finished, recipient))
        return idle_seconds

    def _finished(self, recipient: str, task: asyncio.Task[None]) -> None:
        self._calls[recipient].discard(task)
        self._awake.set()

    async def _drain(self, recipient: str, messages: list[Outgoing]) -> None:
        try:
            while messages and await self._send(recipient, messages):
                messages = self._due(recipient)
        except Exception as failure:  # our bug: say so, and do not hammer the peer with it
            log.error("relay_failed", peer=recipient, error=type(failure).__name__)
            await asyncio.sleep(IDLE_SECONDS_MAX)

    def _due(self, recipient: str) -> list[Outgoing]:
        """What may be tried now and is in no call yet."""
        found = glance(
            self._database,
            service.DUE,
            peer=recipient,
            now=self._clock.now(),
            rows_max=ITEMS_MAX + len(self._on_their_way),
        )
        return service.first_of(
            found, items_max=ITEMS_MAX, bytes_max=BYTES_MAX, but_not=self._on_their_way
        )

    def _next_attempts(self) -> dict[str, datetime]:
        return dict(glance(self._database, service.NEXT_ATTEMPTS))

    async def _send(self, recipient: str, sent: Sequence[Outgoing]) -> int:
        """One call with these messages; returns how many were answered."""
        ids = {message.id for message in sent}
        self._on_their_way |= ids
        try:
            return await self._call(recipient, sent)
        finally:
            self._on_their_way -= ids

    async def _call(self, recipient: str, sent: Sequence[Outgoing]) -> int:
        try:
            answers = await self._peers.deliver(recipient, [item.sealed for item in sent])
            if len(answers) != len(sent):
                raise BadAnswer(peer=recipient, problem=f"{len(answers)} answers to {len(sent)}")
        except (PeerUnreachable, BadAnswer) as failure:
            log.info("peer_unreachable", peer=recipient, waiting=len(sent), why=str(failure))
            await self._postpone(recipient, sent)
            return 0
        unanswered = await self._take_answers(recipient, list(zip(sent, answers, strict=True)))
        if unanswered:
            log.info("asked_again_later", peer=recipient, messages=len(unanswered))
            await self._postpone(recipient, unanswered)
        return len(sent) - len(unanswered)

    async def _take_answers(
        self, recipient: str, answered: Sequence[tuple[Outgoing, Sealed]]
    ) -> list[Outgoing]:
        """Let each answer change what it must; returns the messages whose answer cannot be one.

        All in one command; if that fails, each in its own, so that one holds up no other.
        """
        readable, unanswered = [], []
        for message, sealed in answered:
            if sealed == NO_ANSWER:
                unanswered.append(message)
                continue
            try:
                readable.append(self._read(recipient, message, sealed))
            except DomainError as failure:
                _log_not_taken(recipient, message, failure)
                unanswered.append(message)
        if not readable:
            return unanswered
        try:
            await self._database.run(partial(self._apply_all, recipient, readable))
        except Exception:
            return unanswered + await self._take_one_by_one(recipient, readable)
        return unanswered

    async def _take_one_by_one(
        self, recipient: str, answers: Sequence["_Answer"]
    ) -> list[Outgoing]:
        outcomes = await asyncio.gather(
            *(self._database.run(partial(self._apply_all, recipient, [one])) for one in answers),
            return_exceptions=True,
        )
        unanswered = []
        for answer, failure in zip(answers, outcomes, strict=True):
            if failure is not None:
                _log_not_taken(recipient, answer.message, failure)
                unanswered.append(answer.message)
        return unanswered

    def _read(self, recipient: str, message: Outgoing, sealed: Sealed) -> "_Answer":
        answer = self._peers.open_answer(recipient, sealed)
        if answer.in_reply_to != message.id:
            raise BadAnswer(peer=recipient, problem="an answer to another question")
        return _Answer(message, self._open_question(message.sealed), answer, sealed)

    def _apply_all(self, recipient: str, answers: Sequence["_Answer"], session: Session) -> None:
        given = {one.message: one.sealed for one in answers}
        new = service.take_answers(session, self._clock, given=given, recipient=recipient)
        fresh = [one for one in answers if one.message.id in new]
        if self._prepare is not None:
            self._prepare(session, [(one.question, one.answer) for one in fresh])
        for one in fresh:
            self._apply_answer(session, one.question, one.answer, one.sealed)

    async def _postpone(self, recipient: str, messages: Sequence[Outgoing]) -> None:
        def postpone(session: Session) -> None:
            service.postpone(session, self._clock, sent=messages, recipient=recipient)

        await self._database.run(postpone)


def _log_not_taken(recipient: str, message: Outgoing, failure: BaseException) -> None:
    code = failure.code if isinstance(failure, DomainError) else type(failure).__name__
    log.error("answer_not_taken", peer=recipient, message=str(message.id), why=code)
