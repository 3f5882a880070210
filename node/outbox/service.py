"""Put a message on its way in the transaction that caused it; remember every answer."""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

from sqlalchemy import bindparam, func, select, update
from sqlalchemy.orm import Session

from node.kernel import rows
from node.kernel.db import AnyRow, Moment
from node.kernel.errors import IdReused
from node.kernel.messages import Body, Envelope, Sealed, Sealer
from node.kernel.ports import Clock
from node.kernel.statements import Found, Lookup, Prepared
from node.outbox.model import DEPARTURE, DEPARTURES, INBOX, MESSAGES, OUTBOX, OutboxState

BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 60.0

_KNOWN_ANSWERS = Lookup(
    select(
        INBOX.c.id, INBOX.c.payload_hash, INBOX.c.answer_payload, INBOX.c.answer_signature
    ).where(INBOX.c.sender == bindparam("sender_key")),
    INBOX.c.id,
)
NEXT_ATTEMPTS = Prepared(
    select(OUTBOX.c.recipient, func.min(OUTBOX.c.next_attempt_at, type_=Moment()))
    .where(OUTBOX.c.state == OutboxState.WAITING)
    .group_by(OUTBOX.c.recipient)
)
DUE = Prepared(
    select(OUTBOX.c.id, OUTBOX.c.kind, OUTBOX.c.payload, OUTBOX.c.signature)
    .where(
        OUTBOX.c.state == OutboxState.WAITING,
        OUTBOX.c.recipient == bindparam("peer"),
        OUTBOX.c.next_attempt_at <= bindparam("now"),
    )
    .order_by(OUTBOX.c.created_at, OUTBOX.c.id)
    .limit(bindparam("rows_max"))
)


@dataclass(frozen=True)
class Outgoing:
    """One waiting message, as the relay sends it."""

    id: UUID
    kind: str
    sealed: Sealed

    @property
    def size(self) -> int:
        """Bytes that leave the house with it."""
        return len(self.sealed.payload) + len(self.sealed.signature)


def enqueue(
    session: Session, clock: Clock, sealer: Sealer, *, message_id: UUID, recipient: str, body: Body
) -> None:
    """Sign `body` and leave it for the relay; the caller's commit sends it."""
    now = clock.now()
    payload = sealer.encode(Envelope(message_id, sealer.community, recipient, now, body))
    row: dict[str, Any] = {
        "id": message_id,
        "recipient": recipient,
        "kind": kind_of(body),
        "attempts": 0,
    }
    row |= {"payload": payload, "signature": b""}
    row |= {"state": OutboxState.WAITING, "created_at": now, "next_attempt_at": now}
    rows.add(session, OUTBOX, row, complete=partial(_sign, sealer))


def _sign(sealer: Sealer, messages: list[dict[str, Any]]) -> None:
    """What one transaction sends is signed together, just before it is written."""
    signatures = sealer.sign_many([message["payload"] for message in messages])
    for message, signature in zip(messages, signatures, strict=True):
        message["signature"] = signature


def kind_of(body: Body) -> str:
    """The name under which this kind of message is counted, such as `RequestCapture`."""
    return type(body).__name__


def due(
    session: Session,
    *,
    recipient: str,
    now: datetime,
    items_max: int,
    bytes_max: int,
    but_not: Collection[UUID] = (),
) -> list[Outgoing]:
    """The oldest messages for `recipient` that may be tried now: within the limits, or one.

    Those in `but_not` are on their way already.
    """
    rows_max = items_max + len(but_not)
    found = rows.ask(session, DUE, peer=recipient, now=now, rows_max=rows_max)
    return first_of(found, items_max=items_max, bytes_max=bytes_max, but_not=but_not)


def first_of(
    found: Found, *, items_max: int, bytes_max: int, but_not: Collection[UUID] = ()
) -> list[Outgoing]:
    """As many of the messages that DUE found as fit, or one."""
    taken: list[Outgoing] = []
    size = 0
    for message_id, kind, payload, signature in found:
        if message_id in but_not:
            continue
        message = Outgoing(message_id, kind, Sealed(payload, signature))
        size += message.size
        if taken and (size > bytes_max or len(taken) == items_max):
            break
        taken.append(message)
    return taken


def waiting_count(session: Session) -> int:
    """Messages not yet answered."""
    waiting = select(func.count()).where(OUTBOX.c.state == OutboxState.WAITING)
    return int(session.scalar(waiting.select_from(OUTBOX)) or 0)


def postpone(session: Session, clock: Clock, *, sent: Sequence[Outgoing], recipient: str) -> None:
    """Nobody answered: try these again later, each time twice as late up to a limit.

    From its first try on a message counts as having left the house: it may have arrived.
    """
    now = clock.now()
    for message in sent:
        attempts = session.scalars(select(OUTBOX.c.attempts).where(OUTBOX.c.id == message.id)).one()
        if attempts == 0:
            _record_first_try(session, clock, messages=[message], recipient=recipient)
        seconds = min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** min(attempts, 16))
        session.execute(
            update(OUTBOX)
            .where(OUTBOX.c.id == message.id)
            .values(attempts=attempts + 1, next_attempt_at=now + timedelta(seconds=seconds))
        )


def bring_forward(session: Session, clock: Clock) -> None:
    """Let nothing wait for a moment that a wrong clock has set: no pause is as long."""
    now = clock.now()
    longest = now + timedelta(seconds=BACKOFF_MAX_SECONDS)
    session.execute(
        update(OUTBOX)
        .where(OUTBOX.c.state == OutboxState.WAITING, OUTBOX.c.next_attempt_at > longest)
        .values(next_attempt_at=now)
    )


def take_answers(
    session: Session, clock: Clock, *, given: Mapping[Outgoing, Sealed], recipient: str
) -> set[UUID]:
    """Keep the answers to messages; returns the ids of those that were not answered before."""
    MESSAGES.load(session, [message.id for message in given])
    now, new, first = clock.now(), set(), []
    for message, answer in given.items():
        kept = MESSAGES.get(session, message.id)
        if kept is None or kept.state != OutboxState.WAITING:
            continue
        new.add(message.id)
        if kept.attempts == 0:
            first.append(message)
        MESSAGES.change(
            session,
            kept,
            state=OutboxState.ANSWERED,
            attempts=kept.attempts + 1,
            answered_at=now,
            answer_payload=answer.payload,
            answer_signature=answer.signature,
        )
    _record_first_try(session, clock, messages=first, recipient=recipient)
    return new


@dataclass(frozen=True, slots=True)
class Answered:
    """A question that came before: the hash of its bytes, and what it was answered."""

    payload_hash: bytes
    answer: Sealed

    def to(self, message_id: UUID, payload: bytes) -> Sealed:
        """The answer to these bytes; raises IdReused where others came first."""
        if self.payload_hash != hashlib.sha256(payload).digest():
            raise IdReused(id=str(message_id))
        return self.answer


def known_answers(
    session: Session, *, sender: str, message_ids: Sequence[UUID]
) -> dict[UUID, Answered]:
    """What this sender's questions were answered when they came first."""
    found = rows.ask_many(session, _KNOWN_ANSWERS, message_ids, sender_key=sender)
    return {
        message_id: Answered(payload_hash, Sealed(payload, signature))
        for message_id, payload_hash, payload, signature in found
    }


def remember_answer(
    session: Session, clock: Clock, *, sender: str, message_id: UUID, payload: bytes, answer: Sealed
) -> None:
    """From now on these bytes get this answer."""
    row: dict[str, Any] = {"sender": sender, "id": message_id, "received_at": clock.now()}
    row |= {"payload_hash": hashlib.sha256(payload).digest()}
    row |= {"answer_payload": answer.payload, "answer_signature": answer.signature}
    rows.add(session, INBOX, row)


def record_departure(
    session: Session, clock: Clock, *, kind: str, recipient: str, messages: int, size: int
) -> None:
    """Add to the list of all that left the house. `size` in bytes."""
    known, now = DEPARTURES.get(session, (kind, recipient)), clock.now()
    if known is None:
        new = {"kind": kind, "recipient": recipient, "messages": messages, "bytes": size}
        DEPARTURES.add(session, **new, last_at=now)
        return
    messages, size = known.messages + messages, known.bytes + size
    DEPARTURES.change(session, known, messages=messages, bytes=size, last_at=now)


def _record_first_try(
    session: Session, clock: Clock, *, messages: Iterable[Outgoing], recipient: str
) -> None:
    """Sending the same bytes again tells nobody more: only the first time counts."""
    by_kind: dict[str, list[int]] = {}
    for message in messages:
        by_kind.setdefault(message.kind, []).append(message.size)
    for kind, sizes in by_kind.items():
        record_departure(
            session, clock, kind=kind, recipient=recipient, messages=len(sizes), size=sum(sizes)
        )


def departures(session: Session) -> list[AnyRow]:
    """All that ever left, by kind and recipient."""
    ordered = select(DEPARTURE).order_by(DEPARTURE.c.recipient, DEPARTURE.c.kind)
    return list(session.execute(ordered))
