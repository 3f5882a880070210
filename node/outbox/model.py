"""Messages on their way out, answers given to what came in, and the list of all that left."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import cast
from uuid import UUID

from sqlalchemy import BigInteger, Index, LargeBinary, Table
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel.db import Base
from node.kernel.rows import Rows


class OutboxState(StrEnum):
    """A message waits until it is answered; it is never given up by itself."""

    WAITING = "waiting"
    ANSWERED = "answered"


class OutboxMessage(Base):
    """A signed message, written in the transaction that caused it, sent until answered."""

    __tablename__ = "outbox_message"
    __table_args__ = (Index("outbox_due", "state", "recipient", "next_attempt_at"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    recipient: Mapped[str]
    kind: Mapped[str]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    state: Mapped[str] = mapped_column(default=OutboxState.WAITING)
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    next_attempt_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]
    answer_payload: Mapped[bytes | None] = mapped_column(LargeBinary)
    answer_signature: Mapped[bytes | None] = mapped_column(LargeBinary)


class InboxMessage(Base):
    """An answer once given: a repeat of the same bytes gets it again, for ever."""

    __tablename__ = "inbox_message"
    sender: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    payload_hash: Mapped[bytes] = mapped_column(LargeBinary)
    answer_payload: Mapped[bytes] = mapped_column(LargeBinary)
    answer_signature: Mapped[bytes] = mapped_column(LargeBinary)
    received_at: Mapped[datetime]


class Departure(Base):
    """How much of what kind ever left this house, and for whom."""

    __tablename__ = "departure"
    kind: Mapped[str] = mapped_column(primary_key=True)
    recipient: Mapped[str] = mapped_column(primary_key=True)
    messages: Mapped[int] = mapped_column(BigInteger)
    bytes: Mapped[int] = mapped_column(BigInteger)
    last_at: Mapped[datetime]


@dataclass(slots=True)
class MessageRow:
    """A message inside a transaction, as an answer to it is taken."""

    id: UUID
    state: str
    attempts: int


@dataclass(slots=True)
class DepartureRow:
    """A line of the list of all that left, inside a transaction."""

    kind: str
    recipient: str
    messages: int
    bytes: int
    last_at: datetime


OUTBOX = cast(Table, OutboxMessage.__table__)
INBOX = cast(Table, InboxMessage.__table__)
DEPARTURE = cast(Table, Departure.__table__)
MESSAGES = Rows(OUTBOX, MessageRow)
DEPARTURES = Rows(DEPARTURE, DepartureRow, stays=True)
