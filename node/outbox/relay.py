"""Send what waits, at least once, until it is answered: one call at a time for each peer.

While a call to a peer is under way, what is enqueued for it gathers and goes in the next one: many
items, one RPC, one commit on each side. A crash anywhere only repeats a call, and a repeat gets the
same answer. Each answer is its own command: one that cannot be taken holds up no other.
"""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import structlog
from sqlalchemy.orm import Session

from node.kernel.db import Database
from node.kernel.errors import DomainError
from node.kernel.messages import Envelope, Sealed
from node.kernel.ports import Clock
from node.outbox import service
from node.outbox.service import Outgoing

ITEMS_MAX = 256  # in one call
BYTES_MAX = 1_048_576  # in one call; the answers may be larger and have to pass as well
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
    ) -> None:
        self._database = database
        self._clock = clock
        self._peers = peers
        self._open_question = open_question
        self._apply_answer = apply_answer
        self._awake = asyncio.Event()
        self._busy: dict[str, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Send until cancelled."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            loop.call_soon_threadsafe(self._awake.set)

        self._database.on_commit(wake)
        try:
            while True:
                self._awake.clear()
                self._start_due()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._awake.wait(), self._idle_seconds())
        finally:
            for task in self._busy.values():
                task.cancel()

    async def drain_once(self) -> int:
        """One pass over all that is due, for tests and simulation; returns how many were sent."""
        sent = 0
        with self._database.read() as session:
            recipients = service.recipients_due(session, self._clock.now())
        for recipient in recipients:
            sent += await self._send_some(recipient)
        return sent

    def _start_due(self) -> None:
        with self._database.read() as session:
            recipients = service.recipients_due(session, self._clock.now())
        for recipient in recipients:
            if recipient not in self._busy:
                task = asyncio.create_task(self._drain(recipient))
                self._busy[recipient] = task
                task.add_done_callback(partial(self._finished, recipient))

    def _finished(self, recipient: str, task: asyncio.Task[None]) -> None:
        del self._busy[recipient]
        self._awake.set()

    def _idle_seconds(self) -> float:
        with self._database.read() as session:
            next_at = service.next_due_at(session)
        if next_at is None:
            return IDLE_SECONDS_MAX
        seconds = (next_at - self._clock.now()).total_seconds()
        return min(IDLE_SECONDS_MAX, max(0.05, seconds))

    async def _drain(self, recipient: str) -> None:
        try:
            while await self._send_some(recipient):
                pass
        except Exception as failure:  # our bug: say so, and do not hammer the peer with it
            log.error("relay_failed", peer=recipient, error=type(failure).__name__)
            await asyncio.sleep(IDLE_SECONDS_MAX)

    async def _send_some(self, recipient: str) -> int:
        """One call with what is due; returns how many were answered."""
        now = self._clock.now()
        with self._database.read() as session:
            sent = service.due(
                session, recipient=recipient, now=now, items_max=ITEMS_MAX, bytes_max=BYTES_MAX
            )
        if not sent:
            return 0
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
            await self._postpone(recipient, unanswered)
        return len(sent) - len(unanswered)

    async def _take_answers(
        self, recipient: str, answered: Sequence[tuple[Outgoing, Sealed]]
    ) -> list[Outgoing]:
        """Let each answer change what it must; returns the messages whose answer cannot be one."""
        outcomes = await asyncio.gather(
            *(self._take_answer(recipient, message, sealed) for message, sealed in answered),
            return_exceptions=True,
        )
        unanswered = []
        for (message, _), failure in zip(answered, outcomes, strict=True):
            if failure is not None:
                code = failure.code if isinstance(failure, DomainError) else type(failure).__name__
                log.error("answer_not_taken", peer=recipient, message=str(message.id), why=code)
                unanswered.append(message)
        return unanswered

    async def _take_answer(self, recipient: str, message: Outgoing, sealed: Sealed) -> None:
        answer = self._peers.open_answer(recipient, sealed)
        if answer.in_reply_to != message.id:
            raise BadAnswer(peer=recipient, problem="an answer to another question")
        question = self._open_question(message.sealed)

        def take(session: Session) -> None:
            is_new = service.answered(
                session, self._clock, message=message, recipient=recipient, answer=sealed
            )
            if is_new:
                self._apply_answer(session, question, answer, sealed)

        await self._database.run(take)

    async def _postpone(self, recipient: str, messages: Sequence[Outgoing]) -> None:
        def postpone(session: Session) -> None:
            service.postpone(session, self._clock, sent=messages, recipient=recipient)

        await self._database.run(postpone)
