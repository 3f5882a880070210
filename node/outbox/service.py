"""Put a message on its way in the transaction that caused it; remember every answer."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.orm import Session

from node.kernel.db import AnyRow
from node.kernel.errors import IdReused
from node.kernel.messages import Body, Envelope, Sealed, Sealer
from node.kernel.ports import Clock
from node.outbox.model import DEPARTURE, INBOX, OUTBOX, OutboxState

BACKOFF_FIRST_SECONDS = 0.5
BACKOFF_MAX_SECONDS = 60.0

_KNOWN_ANSWER = select(INBOX).where(
    INBOX.c.sender == bindparam("sender_key"), INBOX.c.id == bindparam("id_key")
)
_SET_ANSWER = (
    update(OUTBOX)
    .where(OUTBOX.c.id == bindparam("key"), OUTBOX.c.state == OutboxState.WAITING)
    .values(
        state=OutboxState.ANSWERED,
        attempts=OUTBOX.c.attempts + 1,
        answered_at=bindparam("new_moment"),
        answer_payload=bindparam("new_payload"),
        answer_signature=bindparam("new_signature"),
    )
    .returning(OUTBOX.c.attempts)
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
    sealed = sealer.seal(Envelope(message_id, sealer.community, recipient, now, body))
    row = {"id": message_id, "recipient": recipient, "kind": kind_of(body), "attempts": 0}
    row |= {"payload": sealed.payload, "signature": sealed.signature}
    row |= {"state": OutboxState.WAITING, "created_at": now, "next_attempt_at": now}
    session.execute(insert(OUTBOX), row)


def kind_of(body: Body) -> str:
    """The name under which this kind of message is counted, such as `RequestCapture`."""
    return type(body).__name__


def recipients_due(session: Session, now: datetime) -> list[str]:
    """Communities for which something waits that may be tried now."""
    due = select(OUTBOX.c.recipient).where(
        OUTBOX.c.state == OutboxState.WAITING, OUTBOX.c.next_attempt_at <= now
    )
    return list(session.scalars(due.distinct()))


def due(
    session: Session, *, recipient: str, now: datetime, items_max: int, bytes_max: int
) -> list[Outgoing]:
    """The oldest messages for `recipient` that may be tried now: within the limits, or one."""
    rows = session.execute(
        select(OUTBOX.c.id, OUTBOX.c.kind, OUTBOX.c.payload, OUTBOX.c.signature)
        .where(
            OUTBOX.c.state == OutboxState.WAITING,
            OUTBOX.c.recipient == recipient,
            OUTBOX.c.next_attempt_at <= now,
        )
        .order_by(OUTBOX.c.created_at, OUTBOX.c.id)
        .limit(items_max)
    )
    taken: list[Outgoing] = []
    size = 0
    for row in rows:
        message = Outgoing(row.id, row.kind, Sealed(row.payload, row.signature))
        size += message.size
        if taken and size > bytes_max:
            break
        taken.append(message)
    return taken


def next_due_at(session: Session) -> datetime | None:
    """When the relay has to look again; None while nothing waits."""
    waiting = select(func.min(OUTBOX.c.next_attempt_at))
    moment: datetime | None = session.scalar(waiting.where(OUTBOX.c.state == OutboxState.WAITING))
    return moment


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
            _record_first_try(session, clock, message=message, recipient=recipient)
        seconds = min(BACKOFF_MAX_SECONDS, BACKOFF_FIRST_SECONDS * 2 ** min(attempts, 16))
        session.execute(
            update(OUTBOX)
            .where(OUTBOX.c.id == message.id)
            .values(attempts=attempts + 1, next_attempt_at=now + timedelta(seconds=seconds))
        )


def answered(
    session: Session, clock: Clock, *, message: Outgoing, recipient: str, answer: Sealed
) -> bool:
    """Keep the answer to a message; False when it was answered before."""
    given = {"new_payload": answer.payload, "new_signature": answer.signature}
    given_at = {"new_moment": clock.now(), "key": message.id}
    done = session.connection().execute(_SET_ANSWER, given | given_at)
    attempts = done.scalar()
    if attempts == 1:  # sending the same bytes again tells nobody more
        _record_first_try(session, clock, message=message, recipient=recipient)
    return attempts is not None


def known_answer(
    session: Session, *, sender: str, message_id: UUID, payload: bytes
) -> Sealed | None:
    """The answer given when these bytes came first; raises IdReused for other bytes."""
    row = session.execute(_KNOWN_ANSWER, {"sender_key": sender, "id_key": message_id}).first()
    if row is None:
        return None
    if row.payload_hash != hashlib.sha256(payload).digest():
        raise IdReused(id=str(message_id))
    return Sealed(row.answer_payload, row.answer_signature)


def remember_answer(
    session: Session, clock: Clock, *, sender: str, message_id: UUID, payload: bytes, answer: Sealed
) -> None:
    """From now on these bytes get this answer."""
    row = {"sender": sender, "id": message_id, "received_at": clock.now()}
    row |= {"payload_hash": hashlib.sha256(payload).digest()}
    row |= {"answer_payload": answer.payload, "answer_signature": answer.signature}
    session.execute(insert(INBOX), row)


def record_departure(
    session: Session, clock: Clock, *, kind: str, recipient: str, messages: int, size: int
) -> None:
    """Add to the list of all that left the house. `size` in bytes."""
    same = (DEPARTURE.c.kind == kind, DEPARTURE.c.recipient == recipient)
    added = {"messages": DEPARTURE.c.messages + messages, "bytes": DEPARTURE.c.bytes + size}
    changed = session.connection().execute(
        update(DEPARTURE).where(*same).values(**added, last_at=clock.now())
    )
    if changed.rowcount == 0:
        row = {"kind": kind, "recipient": recipient, "messages": messages, "bytes": size}
        session.execute(insert(DEPARTURE), row | {"last_at": clock.now()})


def _record_first_try(session: Session, clock: Clock, *, message: Outgoing, recipient: str) -> None:
    record_departure(
        session, clock, kind=message.kind, recipient=recipient, messages=1, size=message.size
    )


def departures(session: Session) -> list[AnyRow]:
    """All that ever left, by kind and recipient."""
    ordered = select(DEPARTURE).order_by(DEPARTURE.c.recipient, DEPARTURE.c.kind)
    return list(session.execute(ordered))
