"""Passes we issued, visits we hosted, and the receipts on both sides."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel.db import Base


class Pass(Base):
    """Home's side: minutes of a resident promised for help in another community."""

    __tablename__ = "pass"
    __table_args__ = (CheckConstraint("minutes_up_to > 0", name="pass_minutes_positive"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)  # also the id of its hold
    resident_id: Mapped[UUID] = mapped_column(index=True)
    issued_by: Mapped[UUID | None]  # the clerk or relative who acted, if it was not the resident
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


class ReceiptRecord(Base):
    """One captured exchange, on either side, until and after it is settled. Signed by home."""

    __tablename__ = "receipt"
    __table_args__ = (Index("receipt_unstated", "peer", "is_debt", "statement_id"),)
    exchange_id: Mapped[UUID] = mapped_column(primary_key=True)
    peer: Mapped[str]
    is_debt: Mapped[bool]  # we are home: we owe the peer these minutes
    minutes: Mapped[int] = mapped_column(BigInteger)
    captured_at: Mapped[datetime]
    payload: Mapped[bytes | None] = mapped_column(LargeBinary)  # the host's proof: home's words
    signature: Mapped[bytes | None] = mapped_column(LargeBinary)
    statement_id: Mapped[UUID | None]
    settled_at: Mapped[datetime | None]
