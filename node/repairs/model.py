"""Service requests, each step they took, and how many stand where."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from node.kernel.db import Base


class ServiceRequest(Base):
    """Something to be put right. Its number is short, because people say it on the telephone."""

    __tablename__ = "service_request"
    __table_args__ = (
        CheckConstraint("rating BETWEEN 1 AND 5", name="service_request_rating"),
        Index("service_request_by_status", "status", "id"),
        Index("service_request_by_reporter", "reporter_id", "id"),
    )
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    key: Mapped[UUID] = mapped_column(unique=True)  # chosen by whoever reported it
    reporter_id: Mapped[UUID] = mapped_column(ForeignKey("resident.id"))
    recorded_by: Mapped[str]  # who really typed it: the reporter, a relative, a clerk's token
    title: Mapped[str]
    description: Mapped[str]
    location: Mapped[str]
    contact: Mapped[str | None]
    category: Mapped[str]
    status: Mapped[str]
    assignee: Mapped[str | None]
    notes: Mapped[str | None]
    rating: Mapped[int | None]
    comment: Mapped[str | None]
    closings: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    due_at: Mapped[datetime]
    completed_at: Mapped[datetime | None]


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


class RequestTotal(Base):
    """How many requests stand at a status, kept current so that no page counts 200,000 rows."""

    __tablename__ = "request_total"
    status: Mapped[str] = mapped_column(primary_key=True)
    total: Mapped[int]
