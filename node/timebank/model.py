"""Exchanges, and who did what to each of them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel.db import Base
from node.timebank.rules import ExchangeState


class Exchange(Base):
    """One piece of help between two residents, from the request to the paid minutes."""

    __tablename__ = "exchange"
    __table_args__ = (
        CheckConstraint("provider_id <> receiver_id", name="exchange_two_people"),
        CheckConstraint("minutes > 0", name="exchange_minutes_positive"),
        CheckConstraint("delivered_minutes <= minutes", name="exchange_not_above_agreed"),
        Index("exchange_by_provider", "provider_id", "requested_at"),
        Index("exchange_by_receiver", "receiver_id", "requested_at"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)  # also the hold's id
    provider_id: Mapped[UUID]
    receiver_id: Mapped[UUID]
    service: Mapped[str]
    minutes: Mapped[int]  # agreed, and held once accepted
    delivered_minutes: Mapped[int | None]  # really used, in whole steps
    state: Mapped[str] = mapped_column(default=ExchangeState.REQUESTED)
    provider_confirmed: Mapped[bool] = mapped_column(default=False)
    receiver_confirmed: Mapped[bool] = mapped_column(default=False)
    requested_at: Mapped[datetime]
    changed_at: Mapped[datetime]


class ExchangeStep(Base):
    """One act upon an exchange: by which side, and which clerk acted for them. Append-only."""

    __tablename__ = "exchange_step"
    id: Mapped[int] = mapped_column(primary_key=True)
    exchange_id: Mapped[UUID] = mapped_column(ForeignKey("exchange.id"), index=True)
    act: Mapped[str]
    side: Mapped[str]
    recorded_by: Mapped[UUID | None]  # who acted for that side; None: they did it themselves
    minutes: Mapped[int | None]
    done_at: Mapped[datetime]


class PoolMovement(Base):
    """Minutes given to the donation pool, or granted from it: by whom, and who wrote it down."""

    __tablename__ = "pool_movement"
    __table_args__ = (
        CheckConstraint("minutes > 0", name="pool_minutes_positive"),
        Index("pool_by_resident", "resident_id", "act", "done_at"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)  # also of the journal entry
    act: Mapped[str]
    resident_id: Mapped[UUID]
    minutes: Mapped[int]
    need: Mapped[str | None]  # why it was granted
    recorded_by: Mapped[UUID | None]  # who granted it, or acted for the giver
    done_at: Mapped[datetime] = mapped_column(index=True)
