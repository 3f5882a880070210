"""Two requests that mean the same become one: the duplicate is closed and says where it goes on.

Its reporter and followers follow the original from then on. So that nobody comes to see another
home's trouble, only requests about shared places, or of one reporter, are merged, and never a
shared one into one about a home: the neighbours who follow it would come along.
"""

from collections.abc import Sequence
from typing import cast
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.kernel.events import Event, record
from node.kernel.ports import Clock
from node.repairs import following, kept, rules, service
from node.repairs.events import RepairClosed, RepairFollowed, RepairMerged, RepairReopened
from node.repairs.model import Follower, ServiceRequest, StatusChange
from node.repairs.rules import Status

CANDIDATES_OWN_MAX = 5  # of the same reporter's open requests
MERGED_SHOWN_MAX = 100


def merge(
    session: Session, clock: Clock, *, request_id: int, kept_id: int, merged_by: str
) -> ServiceRequest:
    """Close a request because another one means the same. Doing it twice is once."""
    duplicate, original = service.find(session, request_id), service.find(session, kept_id)
    if duplicate.merged_into == kept_id:
        return duplicate
    check(duplicate, original)
    was_followed_by = service.followers(session, duplicate.id)
    _hand_over(session, clock, duplicate, original, was_followed_by, merged_by)
    _close(session, clock, duplicate, original, merged_by)
    record(
        session,
        RepairMerged(
            duplicate.id,
            duplicate.key,
            duplicate.reporter_id,
            was_followed_by,
            duplicate.category,
            kept_id=original.id,
        ),
    )
    return duplicate


def check(duplicate: ServiceRequest, original: ServiceRequest) -> None:
    """Refuse what cannot be one: itself, merged or completed ones, another home's trouble."""
    if duplicate.id == original.id:
        raise rules.MergedIntoItself(id=duplicate.id)
    for one in (duplicate, original):
        service.check_goes_on_here(one)
        if one.status == Status.COMPLETED:
            raise rules.MergeCompleted(id=one.id)
    reporters = {duplicate.reporter_id, original.reporter_id}
    is_one_reporter = len(reporters) == 1 and None not in reporters
    if not (original.is_shared if duplicate.is_shared else is_one_reporter):
        raise rules.MergeNotShared


def merged_into(session: Session, request_id: int) -> Sequence[ServiceRequest]:
    """The requests that go on as this one, oldest first."""
    query = select(ServiceRequest).where(ServiceRequest.merged_into == request_id)
    return session.scalars(query.order_by(ServiceRequest.id).limit(MERGED_SHOWN_MAX)).all()


def candidates(session: Session, clock: Clock, request: ServiceRequest) -> Sequence[ServiceRequest]:
    """Open requests that this one may be merged into: the likely ones, then its reporter's own."""
    found = list(
        following.similar(
            session,
            clock,
            category=request.category,
            building=request.building,
            words=f"{request.title} {request.location}",
        )
    )
    if request.reporter_id is not None:
        own = (
            select(ServiceRequest)
            .where(
                ServiceRequest.reporter_id == request.reporter_id,
                ServiceRequest.status != Status.COMPLETED.value,
            )
            .order_by(ServiceRequest.id.desc())
            .limit(CANDIDATES_OWN_MAX)
        )
        found += session.scalars(own)
    unique = {one.id: one for one in found}
    return [one for one in unique.values() if _may_merge(request, one)]


def close_merged(session: Session, _clock: Clock, event: Event) -> None:
    """A reaction: with the original's work that on its duplicates is done, for who waits for it."""
    closed = cast(RepairClosed, event)
    for one in merged_into(session, closed.request_id):
        record(
            session,
            RepairClosed(
                one.id,
                one.key,
                one.reporter_id,
                one.category,
                closing=closed.closing,
                was_in_time=closed.was_in_time,
            ),
        )


def reopen_merged(session: Session, _clock: Clock, event: Event) -> None:
    """A reaction: what was not fixed after all is not fixed for the duplicates either."""
    reopened = cast(RepairReopened, event)
    for one in merged_into(session, reopened.request_id):
        record(
            session,
            RepairReopened(one.id, one.key, one.reporter_id, (), one.category, reopened.turn),
        )


def _may_merge(duplicate: ServiceRequest, original: ServiceRequest) -> bool:
    try:
        check(duplicate, original)
    except DomainError:
        return False
    return True


def _hand_over(
    session: Session,
    clock: Clock,
    duplicate: ServiceRequest,
    original: ServiceRequest,
    was_followed_by: tuple[UUID, ...],
    merged_by: str,
) -> None:
    """Let all who waited for the duplicate follow the original; its reporter hears of it once."""
    waiting = dict.fromkeys((duplicate.reporter_id, *was_followed_by))
    known = {None, original.reporter_id, *service.followers(session, original.id)}
    new = [one for one in waiting if one is not None and one not in known]
    if following.count(session, original.id) + len(new) > rules.FOLLOWERS_MAX:
        raise rules.TooManyFollowers(most=rules.FOLLOWERS_MAX)
    session.add_all(
        Follower(
            request_id=original.id,
            resident_id=resident_id,
            recorded_by=merged_by,
            followed_at=clock.now(),
        )
        for resident_id in new
    )
    if new:
        told = RepairFollowed(
            original.id, original.key, original.reporter_id, new[0], original.category
        )
        record(session, told)


def _close(
    session: Session,
    clock: Clock,
    duplicate: ServiceRequest,
    original: ServiceRequest,
    merged_by: str,
) -> None:
    """What was merged into the duplicate before goes on as the original too: no chains."""
    before = duplicate.status
    session.add(
        StatusChange(
            request_id=duplicate.id,
            before=before,
            after=Status.COMPLETED.value,
            changed_by=merged_by,
            changed_at=clock.now(),
        )
    )
    duplicate.status, duplicate.merged_into = Status.COMPLETED.value, original.id
    duplicate.completed_at = duplicate.updated_at = clock.now()
    duplicate.escalate_at = None
    session.flush()
    earlier = ServiceRequest.merged_into == duplicate.id
    session.execute(update(ServiceRequest).where(earlier).values(merged_into=original.id))
    kept.count(session, before, -1)
    kept.count(session, Status.COMPLETED.value, 1)
