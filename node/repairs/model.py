"""Service requests, their steps, photos and followers, the plan they go by, and kept totals."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel.db import Base

_IS_OPEN = text("status <> 'completed'")


class ServiceRequest(Base):
    """Something to be put right. Its number is short, because people say it on the telephone."""

    __tablename__ = "service_request"
    __table_args__ = (
        CheckConstraint("rating BETWEEN 1 AND 5", name="service_request_rating"),
        CheckConstraint("level BETWEEN 0 AND 3", name="service_request_level"),
        CheckConstraint(
            "merged_into IS NULL OR (merged_into <> id AND status = 'completed')",
            name="service_request_merged",
        ),
        Index(
            "service_request_by_merged",
            "merged_into",
            sqlite_where=text("merged_into IS NOT NULL"),
            postgresql_where=text("merged_into IS NOT NULL"),
        ),
        Index("service_request_by_status", "status", "id"),
        Index("service_request_by_reporter", "reporter_id", "id"),
        Index("service_request_by_day", "created_at", "id"),
        Index(
            "service_request_open",
            "due_at",
            "id",
            sqlite_where=_IS_OPEN,
            postgresql_where=_IS_OPEN,
        ),
        Index(
            "service_request_to_hand_up",
            "escalate_at",
            sqlite_where=text("escalate_at IS NOT NULL"),
            postgresql_where=text("escalate_at IS NOT NULL"),
        ),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # RepairCounter "number"
    key: Mapped[UUID] = mapped_column(unique=True)  # chosen by whoever reported it
    reporter_id: Mapped[UUID | None] = mapped_column(ForeignKey("resident.id"))
    recorded_by: Mapped[str]  # who really typed it: the reporter, a relative, a clerk's token
    title: Mapped[str]
    description: Mapped[str]
    location: Mapped[str]
    building: Mapped[str | None]  # what is routed by, and all of the place that the public sees
    is_shared: Mapped[bool] = mapped_column(default=False)  # stairs, lift, yard: not a home
    contact: Mapped[str | None]
    category: Mapped[str]
    status: Mapped[str]
    team: Mapped[str | None]  # a team's code in the plan
    assignee: Mapped[str | None]
    notes: Mapped[str | None]
    rating: Mapped[int | None]
    comment: Mapped[str | None]
    closings: Mapped[int] = mapped_column(default=0)
    reopenings: Mapped[int] = mapped_column(default=0)
    level: Mapped[int] = mapped_column(default=0)  # how far up it was handed, rules.Level
    escalate_at: Mapped[datetime | None]  # when it goes one level up; None: not any more
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    due_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]
    merged_into: Mapped[int | None] = mapped_column(ForeignKey("service_request.id"))  # goes on as


class StatusChange(Base):
    """One step of a request: from where to where, by whom, when, and what was said."""

    __tablename__ = "status_change"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("service_request.id"), index=True)
    before: Mapped[str]
    after: Mapped[str]
    changed_by: Mapped[str]
    changed_at: Mapped[datetime]
    notes: Mapped[str | None]
    reply_zh: Mapped[str | None]  # the template as it read then, whatever the plan says later
    reply_en: Mapped[str | None]


class Escalation(Base):
    """An overdue request was handed up: once for each level and each turn (reopening)."""

    __tablename__ = "repair_escalation"
    __table_args__ = (UniqueConstraint("request_id", "turn", "level"),)
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    request_id: Mapped[int] = mapped_column(ForeignKey("service_request.id"))
    turn: Mapped[int]
    level: Mapped[int]
    team: Mapped[str | None]
    due_at: Mapped[datetime]  # what was missed
    escalated_at: Mapped[datetime] = mapped_column(index=True)


class Follower(Base):
    """A neighbour who said "me too" instead of reporting the same again."""

    __tablename__ = "repair_follower"
    request_id: Mapped[int] = mapped_column(ForeignKey("service_request.id"), primary_key=True)
    resident_id: Mapped[UUID] = mapped_column(
        ForeignKey("resident.id"), primary_key=True, index=True
    )
    recorded_by: Mapped[str]
    followed_at: Mapped[datetime]


class Photo(Base):
    """A picture as it was made here from what was sent: no place, no camera, no name in it.

    In the database, so that it is as durable as the request and in the same backup.
    """

    __tablename__ = "repair_photo"
    id: Mapped[UUID] = mapped_column(primary_key=True)  # the caller's, or made of request and bytes
    request_id: Mapped[int] = mapped_column(ForeignKey("service_request.id"), index=True)
    sent_sha256: Mapped[str]  # of the bytes that were sent: the same id with others is refused
    content: Mapped[bytes]  # JPEG, as are previews
    preview: Mapped[bytes]
    width: Mapped[int]
    height: Mapped[int]
    added_by: Mapped[str]
    added_at: Mapped[datetime]


class OutsideReport(Base):
    """What Open311 knows of a request beyond our own words."""

    __tablename__ = "repair_outside_report"
    request_id: Mapped[int] = mapped_column(ForeignKey("service_request.id"), primary_key=True)
    token: Mapped[UUID] = mapped_column(unique=True)
    latitude: Mapped[str | None]
    longitude: Mapped[str | None]
    address_id: Mapped[str | None]
    attributes: Mapped[str]  # JSON: the answers to the service's definition
    media_url: Mapped[str | None]


class RepairPlan(Base):
    """One version of who does what by when (plan.py), as JSON. Old versions stay to be read."""

    __tablename__ = "repair_plan"
    version: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    content: Mapped[str] = mapped_column(Text)
    changed_by: Mapped[str]
    changed_at: Mapped[datetime]


class RepairCounter(Base):
    """The last request's `number`, and the version of the `plan` in force."""

    __tablename__ = "repair_counter"
    name: Mapped[str] = mapped_column(primary_key=True)
    value: Mapped[int]


class RequestTotal(Base):
    """How many requests stand at a status, kept current so that no page counts 200,000 rows."""

    __tablename__ = "request_total"
    status: Mapped[str] = mapped_column(primary_key=True)
    total: Mapped[int]
