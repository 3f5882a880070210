"""Report, dispatch, work, complete, rate, reopen: always inside the caller's transaction."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.kernel.errors import IdReused
from node.kernel.events import record
from node.kernel.ports import Clock
from node.repairs import rules
from node.repairs.events import RepairClosed, RepairRated, RepairReported
from node.repairs.model import RequestTotal, ServiceRequest, StatusChange
from node.repairs.rules import Status


class Page(NamedTuple):
    """One page of requests, and how many there are in all."""

    total: int
    requests: Sequence[ServiceRequest]


def report(
    session: Session,
    clock: Clock,
    *,
    key: UUID,
    reporter_id: UUID,
    recorded_by: str,
    title: str,
    description: str,
    location: str,
    contact: str | None = None,
    category: str | None = None,
) -> ServiceRequest:
    """Write a request down. The same key and content finds the first one."""
    words = {
        "title": rules.check_text("title", title, most=rules.TITLE_LENGTH_MAX),
        "description": rules.check_text("description", description, most=rules.TEXT_LENGTH_MAX),
        "location": rules.check_text("location", location, most=rules.LOCATION_LENGTH_MAX),
    }
    if missing := [field for field, text in words.items() if text is None]:
        raise rules.FieldsMissing(fields=", ".join(missing))
    content: dict[str, object] = {
        **words,
        "contact": rules.check_text("contact", contact, most=rules.CONTACT_LENGTH_MAX),
        "category": rules.check_category(category),
        "reporter_id": reporter_id,
    }
    known = session.scalar(select(ServiceRequest).where(ServiceRequest.key == key))
    if known is not None:
        if any(getattr(known, name) != value for name, value in content.items()):
            raise IdReused(id=str(key))
        return known
    now, code = clock.now(), str(content["category"])
    request = ServiceRequest(
        key=key,
        recorded_by=recorded_by,
        status=Status.PENDING.value,
        created_at=now,
        updated_at=now,
        due_at=rules.due_at(code, now),
        **content,
    )
    session.add(request)
    _count(session, Status.PENDING, 1)
    session.flush()
    record(session, RepairReported(request.id, key, reporter_id, code, now))
    return request


def update(
    session: Session,
    clock: Clock,
    *,
    request_id: int,
    changed_by: str,
    status: Status | None = None,
    notes: str | None = None,
    assignee: str | None = None,
) -> ServiceRequest:
    """Move a request one step on, note something, name who does it. Repeating changes nothing."""
    request = find(session, request_id)
    notes = rules.check_text("notes", notes, most=rules.TEXT_LENGTH_MAX)
    assignee = rules.check_text("assignee", assignee, most=rules.ASSIGNEE_LENGTH_MAX)
    if status is not None and status != request.status:
        rules.check_step(request_id, now=Status(request.status), to=status)
        _move(session, clock, request, to=status, changed_by=changed_by, notes=notes)
    request.notes = notes or request.notes
    request.assignee = assignee or request.assignee
    request.updated_at = clock.now()
    return request


def rate(
    session: Session,
    clock: Clock,
    *,
    request_id: int,
    rating: int,
    comment: str | None = None,
) -> ServiceRequest:
    """Say how the work was, once. Saying the same again finds it said."""
    rules.check_rating(rating)
    comment = rules.check_text("comment", comment, most=rules.TEXT_LENGTH_MAX)
    request = find(session, request_id)
    if request.rating is not None:
        if (request.rating, request.comment) != (rating, comment):
            raise rules.AlreadyRated(rating=request.rating)
        return request
    if request.status != Status.COMPLETED:
        raise rules.NotCompleted
    request.rating, request.comment, request.updated_at = rating, comment, clock.now()
    record(session, RepairRated(request.id, request.key, request.reporter_id, rating))
    return request


def reopen(
    session: Session, clock: Clock, *, request_id: int, changed_by: str, notes: str | None = None
) -> ServiceRequest:
    """It is not fixed after all: the request goes back to be dispatched, with a new due time."""
    request = find(session, request_id)
    if request.status != Status.COMPLETED or request.completed_at is None:
        needed = Status.COMPLETED.value
        raise rules.RepairWrongState(what=f"#{request_id}", state=request.status, needed=needed)
    if clock.now() > request.completed_at + rules.REOPEN_TIME:
        raise rules.TooLateToReopen(days=rules.REOPEN_TIME.days)
    notes = rules.check_text("notes", notes, most=rules.TEXT_LENGTH_MAX)
    _move(session, clock, request, to=rules.REOPENED, changed_by=changed_by, notes=notes)
    request.completed_at, request.updated_at = None, clock.now()
    request.due_at = rules.due_at(request.category, clock.now())
    return request


def find(session: Session, request_id: int) -> ServiceRequest:
    """The request with this number; refuses an unknown one."""
    is_possible = 0 < request_id <= rules.NUMBER_MAX
    request = session.get(ServiceRequest, request_id) if is_possible else None
    if request is None:
        raise rules.UnknownRepair(id=request_id)
    return request


def steps_of(session: Session, request_id: int) -> Sequence[StatusChange]:
    """Every step this request took, oldest first."""
    query = select(StatusChange).where(StatusChange.request_id == request_id)
    return session.scalars(query.order_by(StatusChange.id)).all()


def requests(
    session: Session,
    *,
    page: int = 1,
    limit: int = rules.PAGE_SIZE_DEFAULT,
    status: Status | None = None,
    reporter_id: UUID | None = None,
    newest_first: bool = False,
) -> Page:
    """One page of all requests, or of those at a status, or of one reporter's.

    The page's ids come from an index alone; only then are its few rows read.
    """
    order = ServiceRequest.id.desc() if newest_first else ServiceRequest.id
    ids = select(ServiceRequest.id).order_by(order)
    if status is not None:
        ids = ids.where(ServiceRequest.status == status.value)
    if reporter_id is not None:
        ids = ids.where(ServiceRequest.reporter_id == reporter_id)
    wanted = ids.limit(limit).offset((page - 1) * limit).subquery()
    rows = select(ServiceRequest).join(wanted, wanted.c.id == ServiceRequest.id).order_by(order)
    return Page(_total(session, status, reporter_id), session.scalars(rows).all())


def totals(session: Session) -> dict[Status, int]:
    """How many requests stand at each status."""
    known = {row.status: row.total for row in session.scalars(select(RequestTotal))}
    return {status: known.get(status.value, 0) for status in Status}


def _total(session: Session, status: Status | None, reporter_id: UUID | None) -> int:
    if reporter_id is None:
        by_status = totals(session)
        return by_status[status] if status is not None else sum(by_status.values())
    count = select(func.count()).where(ServiceRequest.reporter_id == reporter_id)
    if status is not None:
        count = count.where(ServiceRequest.status == status.value)
    return session.scalars(count).one()


def _move(
    session: Session,
    clock: Clock,
    request: ServiceRequest,
    *,
    to: Status,
    changed_by: str,
    notes: str | None,
) -> None:
    now, before = clock.now(), Status(request.status)
    session.add(
        StatusChange(
            request_id=request.id,
            before=before.value,
            after=to.value,
            changed_by=changed_by,
            changed_at=now,
            notes=notes,
        )
    )
    _count(session, before, -1)
    _count(session, to, 1)
    request.status = to.value
    if to == Status.COMPLETED:
        request.completed_at, request.closings = now, request.closings + 1
        record(
            session,
            RepairClosed(
                request.id,
                request.key,
                request.reporter_id,
                request.category,
                closing=request.closings,
                was_in_time=now <= request.due_at,
            ),
        )


def _count(session: Session, status: Status, change: int) -> None:
    row = session.get(RequestTotal, status.value, with_for_update=True)
    if row is None:
        row = RequestTotal(status=status.value, total=0)
        session.add(row)
    row.total += change
