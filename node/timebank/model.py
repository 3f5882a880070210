"""Offers and needs, exchanges and who did what to each, disputes, training, the pool."""

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
        Index("exchange_by_state", "state", "changed_at"),
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
    planned_at: Mapped[datetime | None]  # when the help is to be given, if they agreed on it
    lapses_at: Mapped[datetime | None] = mapped_column(index=True)  # if nobody acts before
    listing_id: Mapped[UUID | None]  # the offer or need that brought the two together


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


class Dispute(Base):
    """What is said to be wrong with an exchange, and what a social worker decided; one each."""

    __tablename__ = "exchange_dispute"
    exchange_id: Mapped[UUID] = mapped_column(ForeignKey("exchange.id"), primary_key=True)
    reason: Mapped[str]
    opened_by: Mapped[str]  # a side, or the house
    opened_at: Mapped[datetime]
    paid_before: Mapped[int | None]  # minutes that had changed hands already
    decided_at: Mapped[datetime | None]
    decided_by: Mapped[UUID | None]
    minutes: Mapped[int | None]  # that count; 0: none
    verdict: Mapped[str | None]  # why, in the social worker's words


class DisputeWords(Base):
    """What one side says of it. Never leaves the house; forgotten with who said it."""

    __tablename__ = "dispute_words"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    exchange_id: Mapped[UUID] = mapped_column(ForeignKey("exchange.id"), index=True)
    resident_id: Mapped[UUID] = mapped_column(index=True)  # whose words these are
    side: Mapped[str]
    words: Mapped[str]
    recorded_by: Mapped[UUID | None]
    said_at: Mapped[datetime]


class Listing(Base):
    """What a resident offers, or needs, at which times of the week."""

    __tablename__ = "listing"
    __table_args__ = (
        CheckConstraint("minutes > 0", name="listing_minutes_positive"),
        CheckConstraint("times > 0", name="listing_has_times"),
        Index("listing_by_service", "service", "kind", "opened_at"),
        Index("listing_by_resident", "resident_id", "opened_at"),
        Index("listing_in_time", "opened_at", "id"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    kind: Mapped[str]
    resident_id: Mapped[UUID]
    service: Mapped[str]
    times: Mapped[int]  # bits: node/timebank/matching.py
    minutes: Mapped[int]  # needed, or given at most at one time
    note: Mapped[str | None]
    recorded_by: Mapped[UUID | None]
    opened_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    closed_at: Mapped[datetime | None]


class HelperTraining(Base):
    """That a resident was shown how, or has a certificate, and who has seen it."""

    __tablename__ = "helper_training"
    resident_id: Mapped[UUID] = mapped_column(primary_key=True)
    service: Mapped[str] = mapped_column(primary_key=True)
    seen_by: Mapped[UUID | None]
    seen_at: Mapped[datetime]
    ends_at: Mapped[datetime]


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
