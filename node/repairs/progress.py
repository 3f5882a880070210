"""What anybody may see of the community's repairs: where things stand, never whose they are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from node.kernel.ports import Clock
from node.repairs import service
from node.repairs.model import ServiceRequest
from node.repairs.rules import Status
from node.web.paging import Page, page_of

RECENT_DAYS = 30
ROWS = 20
OPEN = text("service_request.status <> 'completed'")  # literal: the partial index needs to see it


@dataclass(frozen=True)
class Standing:
    """The community's repairs in figures. What was merged counts once, as what it goes on as."""

    totals: dict[Status, int]
    overdue: int
    recent: int
    recent_completed: int
    recent_in_time: int
    merged: int


@dataclass(frozen=True)
class Public:
    """A request without its words, its reporter and, unless the place is shared, its place."""

    id: int
    category: str
    building: str | None
    status: Status
    created_at: datetime
    due_at: datetime
    completed_at: datetime | None
    level: int
    is_merged: bool


def standing(session: Session, clock: Clock) -> Standing:
    """How many stand where, and how the last month went."""
    since = clock.now() - timedelta(days=RECENT_DAYS)
    recent = select(
        func.count(),
        func.count(ServiceRequest.completed_at),
        func.count().filter(ServiceRequest.completed_at <= ServiceRequest.due_at),
    ).where(ServiceRequest.created_at >= since, ServiceRequest.merged_into.is_(None))
    reported, completed, in_time = session.execute(recent).one()
    merged = session.scalars(
        select(func.count()).where(ServiceRequest.merged_into.is_not(None))
    ).one()
    totals = service.totals(session)
    totals[Status.COMPLETED] -= merged
    return Standing(totals, overdue(session, clock), reported, completed, in_time, merged)


def overdue(session: Session, clock: Clock, teams: Sequence[str] = ()) -> int:
    """How many open requests are past their time; of these teams, if any are named."""
    query = select(func.count()).select_from(ServiceRequest)
    query = query.where(OPEN, ServiceRequest.due_at < clock.now())
    if teams:
        query = query.where(ServiceRequest.team.in_(teams))
    return session.scalars(query).one()


def latest(session: Session, *, after: str | None) -> Page[Public]:
    """The newest requests first, a page at a time."""
    key = [ServiceRequest.id]
    found = page_of(
        session, select(ServiceRequest), key, limit=ROWS, after=after, is_newest_first=True
    )
    return Page([public(one) for one in found.rows], found.next)


def public(one: ServiceRequest) -> Public:
    """What is public of a request."""
    return Public(
        one.id,
        one.category,
        one.building if one.is_shared else None,
        Status(one.status),
        one.created_at,
        one.due_at,
        one.completed_at,
        one.level,
        one.merged_into is not None,
    )


def work(session: Session, *, teams: Sequence[str], after: str | None) -> Page[ServiceRequest]:
    """Open requests, the most overdue first; of these teams, if any are named."""
    query = select(ServiceRequest).where(OPEN)
    if teams:
        query = query.where(ServiceRequest.team.in_(teams))
    key = [ServiceRequest.due_at, ServiceRequest.id]
    return page_of(session, query, key, limit=ROWS, after=after)
