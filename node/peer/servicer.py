"""Inbound: check who calls and what they signed, apply each item with its answer, answer all."""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple
from uuid import UUID

import grpc
import structlog
from sqlalchemy.orm import Session

from node.exchange import evidence
from node.kernel.db import Database, savepoint
from node.kernel.errors import DomainError, IdReused
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Envelope, Refusal, Sealed, Sealer
from node.kernel.ports import Clock
from node.outbox import service as outbox
from node.outbox.relay import ITEMS_MAX, NO_ANSWER
from node.peer import wire
from node.peer.admission import CallLimit, ClockAhead, check_time
from node.peer.book import PeerBook
from node.peer.seal import open_sealed
from node.peer.tls import caller_community
from protos import peer_pb2 as pb
from protos.peer_pb2_grpc import PeerServicer

log = structlog.get_logger()

Answer = Callable[[Session, Envelope], Body]
"""What a question causes here and how it is answered; raises DomainError to refuse for good."""

Prepare = Callable[[Session, Sequence[Envelope]], None]
"""Reads in a few statements what answering these questions will look at."""

ANSWERS_BYTES_MAX = 3 * 1024 * 1024  # in one response; gRPC itself takes 4 MiB (peer/client.py)


class WrongRecipient(DomainError):
    code = "peer.wrong_recipient"
    message = "This message is for {recipient}."


class _Opened(NamedTuple):
    item: Sealed
    question: Envelope | None
    refusal: DomainError | None


class Inbox:
    """Answers questions of other communities, each once and the same for ever."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        sealer: Sealer,
        book: PeerBook,
        *,
        answer: Answer,
        prepare: Prepare | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._book = book
        self._answer = answer
        self._prepare = prepare

    async def take(self, sender: str, items: Sequence[Sealed]) -> list[Sealed]:
        """Signed answers to `items`, in order, from one command.

        If that fails, each item gets a command of its own, so that a bug met by one spoils no
        other: that one gets NO_ANSWER, and its sender asks again. So does what does not fit.
        """
        opened = [self._open(sender, item) for item in items]
        try:
            given = await self._database.run(partial(self._settle, sender=sender, items=opened))
        except DomainError:  # not about an item: the node is busy, or stopping
            raise
        except Exception:
            given = await self._take_one_by_one(sender, opened)
        return _fitting(given)

    async def _take_one_by_one(self, sender: str, opened: Sequence["_Opened"]) -> list[Sealed]:
        commands = [partial(self._settle, sender=sender, items=[one]) for one in opened]
        outcomes = await asyncio.gather(
            *(self._database.run(command) for command in commands), return_exceptions=True
        )
        answers = []
        for outcome in outcomes:
            if isinstance(outcome, DomainError):
                raise outcome
            if isinstance(outcome, BaseException):
                log.error("question_failed", peer=sender, error=type(outcome).__name__)
            answers.append(NO_ANSWER if isinstance(outcome, BaseException) else outcome[0])
        return answers

    def _open(self, sender: str, item: Sealed) -> _Opened:
        try:
            question = open_sealed(self._book, item, sender=sender)
            if question.recipient != self._sealer.community:
                raise WrongRecipient(recipient=question.recipient)
            return _Opened(item, question, None)
        except DomainError as refusal:
            log.warning("message_refused", peer=sender, code=refusal.code)
            return _Opened(item, None, refusal)

    def _settle(self, session: Session, *, sender: str, items: Sequence["_Opened"]) -> list[Sealed]:
        questions = [one.question for one in items if one.question is not None]
        asked = [question.message_id for question in questions]
        known = outbox.known_answers(session, sender=sender, message_ids=asked)
        if self._prepare is not None:
            self._prepare(session, [one for one in questions if one.message_id not in known])
        answers = _Answers(self._clock, self._sealer, sender)
        places = [self._settle_one(session, answers, one, known) for one in items]
        given = answers.seal(session)
        return [given[place] if isinstance(place, int) else place for place in places]

    def _settle_one(
        self,
        session: Session,
        answers: "_Answers",
        opened: "_Opened",
        known: dict[UUID, outbox.Answered],
    ) -> Sealed | int:
        """The answer given before, or the place that the new one has among `answers`."""
        payload, question = opened.item.payload, opened.question
        if question is None:  # leaves no trace that could be repeated
            assert opened.refusal is not None
            self._keep_evidence(session, answers.to, opened.item, opened.refusal)
            unopened = derived_id("unopened", hashlib.sha256(payload).hexdigest())
            return answers.add(unopened, _refusal(opened.refusal))
        message_id = question.message_id
        try:
            if (place := answers.places.get(message_id)) is not None:  # twice in one call
                answers.check_same(place, message_id, payload)
                return place
            if message_id in known:
                return known[message_id].to(message_id, payload)
        except IdReused as refusal:  # the first answer stands; this one is not kept
            self._keep_evidence(session, answers.to, opened.item, refusal)
            return answers.add(message_id, _refusal(refusal))
        try:
            check_time(sent_at=question.sent_at, now=self._clock.now())
            with savepoint(session):
                body = self._answer(session, question)
        except ClockAhead as refusal:  # decides nothing, so it is not kept as the answer
            self._keep_evidence(session, answers.to, opened.item, refusal)
            return answers.add(message_id, _refusal(refusal))
        except DomainError as refusal:
            log.info("question_refused", peer=answers.to, code=refusal.code)
            self._keep_evidence(session, answers.to, opened.item, refusal, question.body)
            body = _refusal(refusal)
        return answers.add(message_id, body, question=payload)

    def _keep_evidence(
        self,
        session: Session,
        sender: str,
        item: Sealed,
        refusal: DomainError,
        asked: Body | None = None,
    ) -> None:
        if evidence.is_evidence(refusal, asked):
            evidence.note(session, self._clock, peer=sender, kind=refusal.code, sealed=item)


class _Given(NamedTuple):
    envelope: Envelope
    question: bytes | None  # None: the answer is not kept


class _Answers:
    """The answers of one call: signed, kept and counted together."""

    def __init__(self, clock: Clock, sealer: Sealer, to: str) -> None:
        self.to = to
        self.places: dict[UUID, int] = {}
        self._clock = clock
        self._sealer = sealer
        self._given: list[_Given] = []

    def add(self, message_id: UUID, body: Body, *, question: bytes | None = None) -> int:
        """The place of this answer among all; kept for ever if the question is handed in."""
        envelope = Envelope(
            message_id=derived_id("answer", self.to, message_id),
            sender=self._sealer.community,
            recipient=self.to,
            sent_at=self._clock.now(),
            body=body,
            in_reply_to=message_id,
        )
        self._given.append(_Given(envelope, question))
        place = len(self._given) - 1
        if question is not None:
            self.places[message_id] = place
        return place

    def check_same(self, place: int, message_id: UUID, question: bytes) -> None:
        """Raises IdReused where the question at that place was another one."""
        if self._given[place].question != question:
            raise IdReused(id=str(message_id))

    def seal(self, session: Session) -> list[Sealed]:
        """Sign all, keep what is to be kept, and add them to the list of all that left."""
        if not self._given:
            return []
        payloads = [self._sealer.encode(one.envelope) for one in self._given]
        signatures = self._sealer.sign_many(payloads)
        sealed = [Sealed(*pair) for pair in zip(payloads, signatures, strict=True)]
        sizes: dict[str, list[int]] = {}
        for (envelope, question), answer in zip(self._given, sealed, strict=True):
            size = len(answer.payload) + len(answer.signature)
            sizes.setdefault(outbox.kind_of(envelope.body), []).append(size)
            if question is not None:
                assert envelope.in_reply_to is not None
                outbox.remember_answer(
                    session,
                    self._clock,
                    sender=self.to,
                    message_id=envelope.in_reply_to,
                    payload=question,
                    answer=answer,
                )
        for kind, ones in sizes.items():
            outbox.record_departure(
                session,
                self._clock,
                kind=kind,
                recipient=self.to,
                messages=len(ones),
                size=sum(ones),
            )
        return sealed


def _fitting(answers: list[Sealed]) -> list[Sealed]:
    """The answers that one response carries, the first always; NO_ANSWER for each of the others.

    What they answer is done and the answer kept, so asking again brings the same one. A small one
    behind a large one that does not fit goes at once.
    """
    sizes = [len(answer.payload) + len(answer.signature) for answer in answers]
    if sum(sizes) <= ANSWERS_BYTES_MAX:
        return answers
    fitting, room = answers[:1], ANSWERS_BYTES_MAX - sizes[0]
    for answer, size in zip(answers[1:], sizes[1:], strict=True):
        does_fit = size <= room
        room -= size if does_fit else 0
        fitting.append(answer if does_fit else NO_ANSWER)
    return fitting


def _refusal(refusal: DomainError) -> Refusal:
    return Refusal(refusal.code, str(refusal))


class GrpcPeerServicer(PeerServicer):
    """Translates between gRPC and the inbox; who is calling comes from the certificate."""

    def __init__(self, inbox: Inbox, limit: CallLimit | None = None) -> None:
        self._inbox = inbox
        self._limit = limit or CallLimit()

    async def Deliver(  # noqa: N802 (gRPC's name)
        self,
        request: pb.DeliverRequest,
        context: grpc.aio.ServicerContext[pb.DeliverRequest, pb.DeliverResponse],
    ) -> pb.DeliverResponse:
        """Answer every item, in order."""
        sender = caller_community(context)
        if sender is None:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "peer.no_community_certificate")
            raise AssertionError("abort does not return")
        if not self._limit.admits(sender):
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "peer.too_many_calls")
        if len(request.items) > ITEMS_MAX:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "peer.too_many_items")
        try:
            answers = await self._inbox.take(sender, [wire.sealed(item) for item in request.items])
        except DomainError as refusal:  # not a word about the items: ask again later
            await context.abort(grpc.StatusCode.UNAVAILABLE, refusal.code)
            raise AssertionError("abort does not return") from refusal
        return pb.DeliverResponse(answers=[wire.signed(answer) for answer in answers])
