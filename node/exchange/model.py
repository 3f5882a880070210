"""Passes we issued, visits we hosted, gifts, the receipts on both sides and what came of them."""

from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary, Table, text
from sqlalchemy.orm import Mapped, mapped_column

from node.exchange.rules import Consent, ReceiptKind
from node.kernel.db import Base
from node.kernel.rows import Rows

REVERSAL_IS_OFFERED = "state = 'offered' AND gives_back"  # as the index has it: word for word
VISIT_IS_OPEN = "state IN ('accepted', 'delivered')"  # as the index has it: word for word


class Pass(Base):
    """Home's side: minutes of a resident promised for help in another community."""

    __tablename__ = "pass"
    __table_args__ = (
        CheckConstraint("minutes_up_to > 0", name="pass_minutes_positive"),
        Index("pass_open", "state", "expires_at"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)  # also the id of its hold
    resident_id: Mapped[UUID] = mapped_column(index=True)
    issued_by: Mapped[UUID | None]  # the clerk or relative who acted, if it was not the resident
    consent: Mapped[str] = mapped_column(default=Consent.SELF)  # how the resident was heard
    host: Mapped[str]
    minutes_up_to: Mapped[int] = mapped_column(BigInteger)
    code: Mapped[str] = mapped_column(unique=True)
    state: Mapped[str]
    exchange_id: Mapped[UUID | None] = mapped_column(unique=True)
    minutes: Mapped[int | None] = mapped_column(BigInteger)
    issued_at: Mapped[datetime]
    expires_at: Mapped[datetime]  # the last moment of the current state
    slip: Mapped[bytes] = mapped_column(LargeBinary)  # the signed pass, as the QR code carries it


class Visit(Base):
    """Host's side: help given on another community's pass."""

    __tablename__ = "visit"
    __table_args__ = (
        Index(
            "visit_open",
            "capture_until",
            sqlite_where=text(VISIT_IS_OPEN),
            postgresql_where=text(VISIT_IS_OPEN),
        ),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)  # the exchange id; also of our own hold
    home: Mapped[str]
    code: Mapped[str]
    provider_id: Mapped[UUID] = mapped_column(index=True)
    presented_by: Mapped[UUID | None]
    state: Mapped[str]
    pass_id: Mapped[UUID | None]
    minutes_up_to: Mapped[int | None] = mapped_column(BigInteger)
    minutes: Mapped[int | None] = mapped_column(BigInteger)
    confirmed_by_elder: Mapped[bool] = mapped_column(default=False)
    confirmed_by_provider: Mapped[bool] = mapped_column(default=False)
    capture_until: Mapped[datetime | None]
    refusal: Mapped[str | None]
    presented_at: Mapped[datetime]


class GiftCode(Base):
    """Where gifts for one of our residents may be sent: opaque, handed out by themselves."""

    __tablename__ = "gift_code"
    code: Mapped[str] = mapped_column(primary_key=True)
    resident_id: Mapped[UUID] = mapped_column(index=True)
    made_by: Mapped[UUID | None]  # the clerk or relative who acted, if it was not the resident
    made_at: Mapped[datetime]
    withdrawn_at: Mapped[datetime | None]


class Gift(Base):
    """Minutes given from here to another community, or received from there."""

    __tablename__ = "gift"
    __table_args__ = (
        CheckConstraint("minutes > 0", name="gift_minutes_positive"),
        Index("gift_open", "state"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)  # also of the hold, and of the receipt
    peer: Mapped[str]
    resident_id: Mapped[UUID] = mapped_column(index=True)  # ours: who gives, or who receives
    recorded_by: Mapped[UUID | None]
    consent: Mapped[str] = mapped_column(default=Consent.SELF)
    code: Mapped[str]
    minutes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    refusal: Mapped[str | None]
    made_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]


class ReceiptRecord(Base):
    """Minutes one side owes the other, on either side, until and after they are settled."""

    __tablename__ = "receipt"
    __table_args__ = (
        Index("receipt_unstated", "peer", "is_debt", "statement_id"),
        Index("receipt_by_time", "peer", "captured_at"),
    )
    exchange_id: Mapped[UUID] = mapped_column(primary_key=True)  # of the visit, gift or reversal
    kind: Mapped[str] = mapped_column(default=ReceiptKind.CAPTURE)
    refers_to: Mapped[UUID | None]  # the exchange that a reversal turns back
    peer: Mapped[str]
    is_debt: Mapped[bool]  # we owe the peer these minutes; else it owes them to us
    minutes: Mapped[int] = mapped_column(BigInteger)
    captured_at: Mapped[datetime]
    payload: Mapped[bytes | None] = mapped_column(LargeBinary)  # the other side's signed words
    signature: Mapped[bytes | None] = mapped_column(LargeBinary)
    statement_id: Mapped[UUID | None]
    settled_at: Mapped[datetime | None]


class Reversal(Base):
    """Minutes of a captured exchange on their way back, on either side."""

    __tablename__ = "reversal"
    __table_args__ = (
        CheckConstraint("minutes > 0", name="reversal_minutes_positive"),
        Index("reversal_by_exchange", "exchange_id"),
        Index(
            "reversal_offered",
            "peer",
            sqlite_where=text(REVERSAL_IS_OFFERED),
            postgresql_where=text(REVERSAL_IS_OFFERED),
        ),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)  # also of the holds, and of the receipt
    exchange_id: Mapped[UUID]
    peer: Mapped[str]
    gives_back: Mapped[bool]  # our resident was paid and gives back; else ours gets back
    resident_id: Mapped[UUID | None]  # None: the house, for a receipt that was judged
    minutes: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str]
    dispute_id: Mapped[UUID | None]  # None: by consent
    decided_by: Mapped[UUID | None]  # who asked or agreed here, if it was not the resident
    consent: Mapped[str | None]  # how the resident was heard; None: not yet, or by a verdict
    refusal: Mapped[str | None]
    made_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class Dispute(Base):
    """A disagreement about one exchange, on either side. What people wrote stays here."""

    __tablename__ = "dispute"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    exchange_id: Mapped[UUID] = mapped_column(index=True)
    peer: Mapped[str]
    is_ours: Mapped[bool]  # we opened it
    gives_back: Mapped[bool | None]  # whether a verdict takes from ours; None: no receipt here
    state: Mapped[str] = mapped_column(index=True)
    our_code: Mapped[str | None]
    our_minutes: Mapped[int | None]
    their_code: Mapped[str | None]
    their_minutes: Mapped[int | None]
    words: Mapped[str] = mapped_column(default="")  # evidence in words: never leaves
    recorded_by: Mapped[UUID | None]
    our_verdict: Mapped[int | None]
    our_arbiter: Mapped[UUID | None]
    their_verdict: Mapped[int | None]
    their_verdict_at: Mapped[datetime | None]  # when it was sent: an older one may arrive later
    verdict_minutes: Mapped[int | None]  # what both arbiters said
    refusal: Mapped[str | None]  # why an agreed verdict could not be carried out yet
    opened_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class Claim(Base):
    """What the other side says its books have of a disputed exchange: it is held to it."""

    __tablename__ = "dispute_claim"
    dispute_id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    is_debt: Mapped[bool]  # by its receipt we owe these minutes; else it owes them to us
    minutes: Mapped[int]
    captured_at: Mapped[datetime]


class Verdict(Base):
    """Each verdict our arbiters ever gave in a dispute: signed and sent, so it can be held to."""

    __tablename__ = "dispute_verdict"
    dispute_id: Mapped[UUID] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    minutes: Mapped[int]
    arbiter: Mapped[UUID | None]
    given_at: Mapped[datetime]


class PeerLimit(Base):
    """Each time the operator set what a peer, or all peers together, may owe us."""

    __tablename__ = "peer_limit"
    id: Mapped[int] = mapped_column(primary_key=True)
    peer: Mapped[str] = mapped_column(index=True)  # ALL_PEERS: all together
    minutes: Mapped[int] = mapped_column(BigInteger)
    set_by: Mapped[str]
    set_at: Mapped[datetime]


class ToldLimit(Base):
    """The last word of a peer, or of the chain, on how much more we may owe."""

    __tablename__ = "told_limit"
    source: Mapped[str] = mapped_column(primary_key=True)  # a community, or CHAIN
    minutes: Mapped[int] = mapped_column(BigInteger)
    told_at: Mapped[datetime]


class Comparison(Base):
    """One day's receipts with one peer, compared until they are the same."""

    __tablename__ = "comparison"
    __table_args__ = (Index("comparison_open", "state", "asked_at"),)
    peer: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # days since 1970
    state: Mapped[str]
    tries: Mapped[int] = mapped_column(default=0)
    missing_here: Mapped[int] = mapped_column(default=0)
    missing_there: Mapped[int] = mapped_column(default=0)
    differing: Mapped[int] = mapped_column(default=0)
    repaired: Mapped[int] = mapped_column(default=0)
    asked_at: Mapped[datetime]
    answered_at: Mapped[datetime | None]


class Evidence(Base):
    """What a peer signed and should not have: kept for whoever has to decide about it."""

    __tablename__ = "evidence"
    __table_args__ = (Index("evidence_by_peer", "peer", "kind", "at"),)
    digest: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)  # of peer, kind, bytes
    peer: Mapped[str]
    kind: Mapped[str]
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    at: Mapped[datetime]


@dataclass(slots=True)
class PassRow:
    """A pass inside a transaction, as the hot path sees it."""

    id: UUID
    host: str
    minutes_up_to: int
    state: str
    exchange_id: UUID | None
    minutes: int | None
    expires_at: datetime


@dataclass(slots=True)
class VisitRow:
    """A visit inside a transaction, as the hot path sees it."""

    id: UUID
    home: str
    provider_id: UUID
    state: str
    pass_id: UUID | None
    minutes: int | None
    presented_at: datetime
    capture_until: datetime | None
    confirmed_by_elder: bool
    confirmed_by_provider: bool


RECEIPT = cast(Table, ReceiptRecord.__table__)
PASSES = Rows(cast(Table, Pass.__table__), PassRow)
VISITS = Rows(cast(Table, Visit.__table__), VisitRow)
