"""Notices, who has read them, the ways a resident chose, and the queue to the providers."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel.db import Base
from node.notices.rules import DeliveryState


class Notice(Base):
    """Something that a resident, or an audience, is told. Kept as a code and its figures."""

    __tablename__ = "notice"
    __table_args__ = (
        Index("notice_by_resident", "resident_id", "told_at"),
        Index("notice_by_audience", "audience", "told_at"),
        CheckConstraint("(resident_id IS NULL) <> (audience IS NULL)", name="notice_one_reader"),
    )
    id: Mapped[UUID] = mapped_column(primary_key=True)
    resident_id: Mapped[UUID | None] = mapped_column(ForeignKey("resident.id"))
    audience: Mapped[str | None]
    kind: Mapped[str]
    details: Mapped[str]  # JSON: what stands in the sentence's gaps
    link: Mapped[str]  # where to go on, on this site
    told_at: Mapped[datetime]
    starts_at: Mapped[datetime | None]  # what the notice is about takes place then
    ends_at: Mapped[datetime | None]
    spread_at: Mapped[datetime | None]  # an announcement's messages were put into the queue


class NoticeRead(Base):
    """A resident has seen this notice."""

    __tablename__ = "notice_read"
    notice_id: Mapped[UUID] = mapped_column(ForeignKey("notice.id"), primary_key=True)
    resident_id: Mapped[UUID] = mapped_column(
        ForeignKey("resident.id"), primary_key=True, index=True
    )
    read_at: Mapped[datetime]


class NoticeWay(Base):
    """A way out of the house that a resident chose, and in which language."""

    __tablename__ = "notice_way"
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"), primary_key=True)
    channel: Mapped[str] = mapped_column(primary_key=True)
    address: Mapped[str]
    language: Mapped[str]
    chosen_at: Mapped[datetime]


class NoticeDelivery(Base):
    """One message on its way to a provider; without its address once nothing is to be done."""

    __tablename__ = "notice_delivery"
    __table_args__ = (Index("notice_delivery_due", "state", "next_at"),)
    id: Mapped[UUID] = mapped_column(primary_key=True)
    notice_id: Mapped[UUID] = mapped_column(ForeignKey("notice.id"), index=True)
    resident_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"), index=True)
    channel: Mapped[str]
    address: Mapped[str]
    language: Mapped[str]
    state: Mapped[str] = mapped_column(default=DeliveryState.WAITING)
    tries: Mapped[int] = mapped_column(default=0)
    queued_at: Mapped[datetime]
    next_at: Mapped[datetime]
    problem: Mapped[str] = mapped_column(default="")  # a code, never the provider's text
