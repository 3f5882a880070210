"""Duplicates: which requests may mean the same, and "me too" instead of a second ticket."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.kernel.events import record
from node.kernel.ports import Clock
from node.repairs import rules, service
from node.repairs.events import RepairFollowed
from node.repairs.model import Follower, ServiceRequest
from node.repairs.rules import Status


def similar(
    session: Session,
    clock: Clock,
    *,
    category: str,
    building: str | None,
    words: str,
) -> Sequence[ServiceRequest]:
    """Open requests about shared places that may mean the same, the likeliest first.

    A home is nobody else's business: its requests are never shown here.
    """
    query = (
        select(ServiceRequest)
        .where(
            ServiceRequest.status != Status.COMPLETED.value,
            ServiceRequest.created_at >= clock.now() - timedelta(days=rules.SIMILAR_DAYS),
            ServiceRequest.category == category,
            ServiceRequest.is_shared.is_(True),
        )
        .order_by(ServiceRequest.created_at.desc())
        .limit(rules.SIMILAR_READ_MAX)
    )
    if building is not None:
        here = (ServiceRequest.building == building) | ServiceRequest.building.is_(None)
        query = query.where(here)
    likely = [
        (rules.likeness(words, f"{one.title} {one.location}"), one)
        for one in session.scalars(query)
    ]
    likely = [pair for pair in likely if pair[0] >= rules.LIKENESS_MIN]
    likely.sort(key=lambda pair: (-pair[0], pair[1].id))
    return [one for _, one in likely[: rules.SIMILAR_SHOWN_MAX]]


def follow(
    session: Session, clock: Clock, *, request_id: int, resident_id: UUID, recorded_by: str
) -> ServiceRequest:
    """ "Me too": be told when it moves. Following twice, or one's own request, is once."""
    request = service.find(session, request_id)
    if request.reporter_id == resident_id or is_following(session, request_id, resident_id):
        return request
    if not request.is_shared:
        raise rules.NotShared
    if request.status == Status.COMPLETED:
        needed = Status.PENDING.value
        raise rules.RepairWrongState(what=f"#{request_id}", state=request.status, needed=needed)
    if count(session, request_id) >= rules.FOLLOWERS_MAX:
        raise rules.TooManyFollowers(most=rules.FOLLOWERS_MAX)
    session.add(
        Follower(
            request_id=request_id,
            resident_id=resident_id,
            recorded_by=recorded_by,
            followed_at=clock.now(),
        )
    )
    session.flush()
    record(
        session,
        RepairFollowed(request.id, request.key, request.reporter_id, resident_id, request.category),
    )
    return request


def unfollow(session: Session, *, request_id: int, resident_id: UUID) -> None:
    """No longer be told. Ending it twice is once."""
    row = session.get(Follower, (request_id, resident_id))
    if row is not None:
        session.delete(row)


def is_following(session: Session, request_id: int, resident_id: UUID | None) -> bool:
    """Did this resident say "me too"?"""
    return resident_id is not None and session.get(Follower, (request_id, resident_id)) is not None


def count(session: Session, request_id: int) -> int:
    """How many said "me too"."""
    query = select(func.count()).where(Follower.request_id == request_id)
    return session.scalars(query).one()


def followed_by(session: Session, resident_id: UUID, *, limit: int) -> Sequence[ServiceRequest]:
    """What somebody follows, the newest first."""
    query = (
        select(ServiceRequest)
        .join(Follower, Follower.request_id == ServiceRequest.id)
        .where(Follower.resident_id == resident_id)
        .order_by(ServiceRequest.id.desc())
        .limit(limit)
    )
    return session.scalars(query).all()
