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
from node.outbox.relay import ITEMS_MAX
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


NO_ANSWER = Sealed(b"", b"")


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
        self, database: Database, clock: Clock, sealer: Sealer, book: PeerBook, *, answer: Answer
    ) -> None:
        self._database = database
        self._clock = clock
        self._sealer = sealer
        self._book = book
        self._answer = answer

    async def take(self, sender: str, items: Sequence[Sealed]) -> list[Sealed]:
        """Signed answers to `items`, in order; group commit makes them one transaction.

        Each is a command of its own, so that a bug met by one spoils no other: that one gets
        NO_ANSWER, which its sender cannot take for an answer, and asks again later.
        """
        opened = [self._open(sender, item) for item in items]
        commands = [partial(self._settle, sender=sender, opened=one) for one in opened]
        outcomes = await asyncio.gather(
            *(self._database.run(command) for command in commands), return_exceptions=True
        )
        answers = []
        for outcome in outcomes:
            if isinstance(outcome, DomainError):
                raise outcome  # not about this item: the node is busy, or stopping
            if isinstance(outcome, BaseException):
                log.error("question_failed", peer=sender, error=type(outcome).__name__)
            answers.append(NO_ANSWER if isinstance(outcome, BaseException) else outcome)
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

    def _settle(self, session: Session, *, sender: str, opened: _Opened) -> Sealed:
        question = opened.question
        if question is None:
            assert opened.refusal is not None
            return self._refuse_unopened(session, sender, opened.item, opened.refusal)
        payload, message_id = opened.item.payload, question.message_id
        try:
            known = outbox.known_answer(
                session, sender=sender, message_id=message_id, payload=payload
            )
        except IdReused as refusal:  # the first answer stands; this one is not kept
            self._keep_evidence(session, sender, opened.item, refusal)
            return self._seal(session, sender, message_id, _refusal(refusal))
        if known:
            return known
        try:
            check_time(sent_at=question.sent_at, now=self._clock.now())
            with savepoint(session):
                body = self._answer(session, question)
        except ClockAhead as refusal:  # decides nothing, so it is not kept as the answer
            self._keep_evidence(session, sender, opened.item, refusal)
            return self._seal(session, sender, message_id, _refusal(refusal))
        except DomainError as refusal:
            log.info("question_refused", peer=sender, code=refusal.code)
            self._keep_evidence(session, sender, opened.item, refusal, question.body)
            body = _refusal(refusal)
        answer = self._seal(session, sender, message_id, body)
        outbox.remember_answer(
            session,
            self._clock,
            sender=sender,
            message_id=message_id,
            payload=payload,
            answer=answer,
        )
        return answer

    def _refuse_unopened(
        self, session: Session, sender: str, item: Sealed, refusal: DomainError
    ) -> Sealed:
        """What cannot be read or trusted is refused, but leaves no trace that could be repeated."""
        self._keep_evidence(session, sender, item, refusal)
        digest = hashlib.sha256(item.payload).hexdigest()
        message_id = derived_id("unopened", digest)
        return self._seal(session, sender, message_id, _refusal(refusal))

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

    def _seal(self, session: Session, sender: str, message_id: UUID, body: Body) -> Sealed:
        envelope = Envelope(
            message_id=derived_id("answer", sender, message_id),
            sender=self._sealer.community,
            recipient=sender,
            sent_at=self._clock.now(),
            body=body,
            in_reply_to=message_id,
        )
        sealed = self._sealer.seal(envelope)
        outbox.record_departure(
            session,
            self._clock,
            kind=outbox.kind_of(body),
            recipient=sender,
            messages=1,
            size=len(sealed.payload) + len(sealed.signature),
        )
        return sealed


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
