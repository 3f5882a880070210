"""Report, dispatch, work, complete, rate, reopen: always inside the caller's transaction."""

from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, IdReused, NotFound
from node.kernel.events import record
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.repairs import kept, plan, rules
from node.repairs.events import (
    RepairClosed,
    RepairMoved,
    RepairRated,
    RepairReopened,
    RepairReported,
    RepairReportedFromOutside,
)
from node.repairs.model import Follower, RequestTotal, ServiceRequest, StatusChange
from node.repairs.rules import Status

NUMBER_COUNTER = "number"


class Page(NamedTuple):
    """One page of requests, and how many there are in all."""

    total: int
    requests: Sequence[ServiceRequest]


def report(
    session: Session,
    clock: Clock,
    *,
    key: UUID,
    reporter_id: UUID | None,
    recorded_by: str,
    title: str,
    description: str,
    location: str,
    contact: str | None = None,
    category: str | None = None,
    building: str | None = None,
    is_shared: bool = False,
) -> kept.Request:
    """Write a request down and send it to its team. The same key and content finds the first one.

    Without a building it is the reporter's own. No reporter: it came from outside.
    """
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
        "is_shared": is_shared,
    }
    place = rules.check_building(building)
    if place is not None:
        content["building"] = place
    known = kept.REQUESTS.get(session, key)
    if known is None:
        return _write_down(session, clock, key, recorded_by, content)
    if any(getattr(known, name) != value for name, value in content.items()):
        raise IdReused(id=str(key))
    return known


def _write_down(
    session: Session, clock: Clock, key: UUID, recorded_by: str, content: dict[str, object]
) -> kept.Request:
    now, category = clock.now(), str(content["category"])
    reporter_id = content["reporter_id"]
    home = kept.HOMES.get(session, reporter_id) if reporter_id else None
    if reporter_id is not None and home is None:
        raise NotFound(what="resident", id=str(reporter_id))
    content.setdefault("building", home.building if home else None)
    _, current = plan.current(session)
    due = plan.due_at(current, category, now)
    building = content["building"]
    values: dict[str, object] = dict.fromkeys(_EMPTY) | {
        "id": kept.next_value(session, NUMBER_COUNTER),
        "key": key,
        "recorded_by": recorded_by,
        "status": Status.PENDING.value,
        "team": plan.team_for(
            current, category=category, building=str(building) if building else None
        ),
        "closings": 0,
        "reopenings": 0,
        "level": 0,
        "created_at": now,
        "updated_at": now,
        "due_at": due,
        "escalate_at": plan.escalate_at(current, due=due, level=0),
        **content,
    }
    kept.REQUESTS.add(session, **values)
    kept.count(session, Status.PENDING.value, 1)
    request = kept.REQUESTS.get(session, key)
    assert request is not None, "it was added a line above"
    if request.reporter_id is not None:
        happened = RepairReported(request.id, key, request.reporter_id, category, now)
        record(session, happened)
    else:
        nobody = derived_id("outside report", key)
        record(session, RepairReportedFromOutside(request.id, key, nobody, category, now))
    return request


_EMPTY = ("assignee", "notes", "rating", "comment", "completed_at", "merged_into")


def update(
    session: Session,
    clock: Clock,
    *,
    request_id: int,
    changed_by: str,
    status: Status | None = None,
    notes: str | None = None,
    assignee: str | None = None,
    team: str | None = None,
    reply: str | None = None,
) -> ServiceRequest:
    """Move a request one step on, note something, name who does it. Repeating changes nothing."""
    request = find(session, request_id)
    notes = rules.check_text("notes", notes, most=rules.TEXT_LENGTH_MAX)
    assignee = rules.check_text("assignee", assignee, most=rules.ASSIGNEE_LENGTH_MAX)
    _, current = plan.current(session)
    said = _reply(current, reply)
    if team and plan.team(current, team) is None:
        raise BadInput(field="team", problem="there is no such team")
    before = Status(request.status)
    if status is not None and status != before:
        rules.check_step(request_id, now=before, to=status)
        _move(session, clock, request, to=status, changed_by=changed_by, notes=notes, said=said)
        record(session, _moved(session, request, before))
        if status == Status.COMPLETED:
            _close(session, clock, request)
    elif said is not None:
        raise BadInput(field="reply", problem="a reply goes with a step")
    request.notes = notes or (said.zh if said else None) or request.notes
    request.assignee = assignee or request.assignee
    request.team = team or request.team
    request.updated_at = clock.now()
    return request


def _reply(current: plan.Plan, code: str | None) -> plan.Reply | None:
    if not code:
        return None
    found = next((one for one in current.replies if one.code == code), None)
    if found is None:
        raise BadInput(field="reply", problem="there is no such reply")
    return found


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
    check_goes_on_here(request)
    if request.rating is not None:
        if (request.rating, request.comment) != (rating, comment):
            raise rules.AlreadyRated(rating=request.rating)
        return request
    if request.status != Status.COMPLETED:
        raise rules.NotCompleted
    request.rating, request.comment, request.updated_at = rating, comment, clock.now()
    assert request.reporter_id is not None, "nobody but a resident rates"
    record(session, RepairRated(request.id, request.key, request.reporter_id, rating))
    return request


def reopen(
    session: Session, clock: Clock, *, request_id: int, changed_by: str, notes: str | None = None
) -> ServiceRequest:
    """It is not fixed after all: the request goes back to be dispatched, with a new due time."""
    request = find(session, request_id)
    check_goes_on_here(request)
    if request.status != Status.COMPLETED or request.completed_at is None:
        needed = Status.COMPLETED.value
        raise rules.RepairWrongState(what=f"#{request_id}", state=request.status, needed=needed)
    if clock.now() > request.completed_at + rules.REOPEN_TIME:
        raise rules.TooLateToReopen(days=rules.REOPEN_TIME.days)
    if request.reopenings >= rules.REOPENINGS_MAX:
        raise rules.ReopenedTooOften(times=request.reopenings)
    notes = rules.check_text("notes", notes, most=rules.TEXT_LENGTH_MAX)
    _move(session, clock, request, to=rules.REOPENED, changed_by=changed_by, notes=notes)
    _, current = plan.current(session)
    request.completed_at, request.updated_at = None, clock.now()
    request.due_at = plan.due_at(current, request.category, clock.now())
    request.reopenings, request.level = request.reopenings + 1, 0
    request.escalate_at = plan.escalate_at(current, due=request.due_at, level=0)
    record(
        session,
        RepairReopened(
            request.id,
            request.key,
            request.reporter_id,
            followers(session, request.id),
            request.category,
            request.reopenings,
        ),
    )
    return request


def check_goes_on_here(request: ServiceRequest) -> None:
    """Refuse to act on a request that was merged: it goes on as another one."""
    if request.merged_into is not None:
        raise rules.AlreadyMerged(id=request.id, kept=request.merged_into)


def find(session: Session, request_id: int) -> ServiceRequest:
    """The request with this number; refuses an unknown one."""
    is_possible = 0 < request_id <= rules.NUMBER_MAX
    request = session.get(ServiceRequest, request_id) if is_possible else None
    if request is None:
        raise rules.UnknownRepair(id=request_id)
    return request


def followers(session: Session, request_id: int) -> tuple[UUID, ...]:
    """The neighbours who said "me too"."""
    query = select(Follower.resident_id).where(Follower.request_id == request_id)
    return tuple(session.scalars(query.order_by(Follower.followed_at, Follower.resident_id)))


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
    said: plan.Reply | None = None,
) -> None:
    session.add(
        StatusChange(
            request_id=request.id,
            before=request.status,
            after=to.value,
            changed_by=changed_by,
            changed_at=clock.now(),
            notes=notes,
            reply_zh=said.zh if said else None,
            reply_en=said.en if said else None,
        )
    )
    before, request.status = request.status, to.value
    session.flush()
    kept.count(session, before, -1)
    kept.count(session, to.value, 1)


def _close(session: Session, clock: Clock, request: ServiceRequest) -> None:
    now = clock.now()
    request.completed_at, request.closings = now, request.closings + 1
    request.escalate_at = None
    record(
        session,
        RepairClosed(
            request.id,
            request.key,
            request.reporter_id,
            request.category,
            closing=request.closings,
            was_in_time=now <= request.due_at,
            follower_ids=followers(session, request.id),
        ),
    )


def _moved(session: Session, request: ServiceRequest, before: Status) -> RepairMoved:
    return RepairMoved(
        request.id,
        request.key,
        request.reporter_id,
        followers(session, request.id),
        request.category,
        before.value,
        request.status,
    )
