"""The tasks of a resolution: who sees to what until when, in the caller's transaction."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple, Protocol, cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.council import motions, rules
from node.council.events import WorkItemAdded, WorkTicketAsked
from node.council.model import WorkItem, WorkTicket
from node.council.rules import Step
from node.kernel.errors import BadInput, IdReused, NotFound, WrongState
from node.kernel.events import Event, record
from node.kernel.ports import Clock

PERCENT = 100
CATEGORY = "other"  # what a ticket from the office is, until the repairs desk says more


class Moved(Protocol):
    """What we need of an event such as RepairClosed or RepairReopened."""

    key: UUID
    request_id: int


class Progress(NamedTuple):
    """How far a work item is, by its own word or by that of its tickets."""

    item: WorkItem
    tickets: Sequence[WorkTicket]

    @property
    def percent(self) -> int:
        """A task that is ticked off is done; until then its closed tickets say how far it is."""
        if self.item.done_at is not None:
            return PERCENT
        closed = sum(ticket.is_closed for ticket in self.tickets)
        return PERCENT * closed // len(self.tickets) if self.tickets else 0


def add_work_item(
    session: Session,
    clock: Clock,
    *,
    item_id: UUID,
    motion_id: UUID,
    title: str,
    owner: str,
    due_on: date,
) -> WorkItem:
    """Write down what a carried motion asks of whom until when."""
    title, owner = title.strip(), owner.strip()
    known = session.get(WorkItem, item_id)
    if known is not None:
        kept = (known.motion_id, known.title, known.owner, known.due_on)
        if kept != (motion_id, title, owner, due_on):
            raise IdReused(id=str(item_id))
        return known
    motion = motions.find(session, motion_id)
    if not motion.is_carried or motion.step not in (Step.RESOLVED, Step.EXECUTING):
        raise WrongState(what="motion", state=motion.step, needed=Step.RESOLVED.value)
    rules.check_length("title", title, rules.TITLE_LENGTH_MAX)
    rules.check_length("owner", owner, rules.OWNER_LENGTH_MAX)
    if due_on < clock.now().date():
        raise BadInput(field="due_on", problem="this day is over")
    if len(work_items(session, motion_id)) >= rules.WORK_ITEMS_MAX:
        raise BadInput(field="title", problem="this resolution has too many tasks")
    item = WorkItem(
        id=item_id,
        motion_id=motion_id,
        title=title,
        owner=owner,
        due_on=due_on,
        added_at=clock.now(),
    )
    session.add(item)
    record(session, WorkItemAdded(motion_id, item_id, due_on))
    return item


def finish_work_item(
    session: Session, clock: Clock, *, item_id: UUID, done_by: UUID | None = None
) -> WorkItem:
    """Tick a task off. Ticking twice is once."""
    item = find(session, item_id)
    if item.done_at is None:
        item.done_at, item.done_by = clock.now(), done_by
    return item


def work_items(session: Session, motion_id: UUID) -> Sequence[WorkItem]:
    """The tasks of a resolution, the nearest first."""
    query = select(WorkItem).where(WorkItem.motion_id == motion_id)
    return session.scalars(query.order_by(WorkItem.due_on, WorkItem.id)).all()


def find(session: Session, item_id: UUID) -> WorkItem:
    """The work item with this id; refuses an unknown one."""
    item = session.get(WorkItem, item_id)
    if item is None:
        raise NotFound(what="work item", id=str(item_id))
    return item


def open_ticket(
    session: Session,
    clock: Clock,
    *,
    ticket_id: UUID,
    item_id: UUID,
    category: str,
    location: str,
    opened_by: UUID,
) -> WorkTicket:
    """Ask the repairs desk to carry a task out: a ticket there, whose state shows here."""
    location = location.strip()
    known = session.get(WorkTicket, ticket_id)
    if known is not None:
        if (known.item_id, known.category, known.location) != (item_id, category, location):
            raise IdReused(id=str(ticket_id))
        return known
    item = find(session, item_id)
    if item.done_at is not None:
        raise WrongState(what="work item", state="done", needed="open")
    rules.check_length("location", location, rules.OWNER_LENGTH_MAX)
    ticket = WorkTicket(
        id=ticket_id,
        item_id=item_id,
        category=category,
        location=location,
        opened_by=opened_by,
        opened_at=clock.now(),
        changed_at=clock.now(),
    )
    session.add(ticket)
    session.flush()
    asked = WorkTicketAsked(ticket_id, item_id, item.motion_id, opened_by, category)
    record(session, asked)
    return ticket


def ticket_of(session: Session, ticket_id: UUID) -> tuple[WorkTicket, WorkItem]:
    """A ticket and the task it carries out, for whoever reports it."""
    ticket = session.get_one(WorkTicket, ticket_id)
    return ticket, session.get_one(WorkItem, ticket.item_id)


def number_ticket(clock: Clock, ticket: WorkTicket, *, number: int) -> None:
    """The repairs desk gave one of our tickets its number."""
    ticket.number, ticket.is_closed, ticket.changed_at = number, False, clock.now()


def hear_reopened(session: Session, clock: Clock, event: Event) -> None:
    """A reaction: the work on one of our tickets is not done after all."""
    _hear(session, clock, cast(Moved, event), is_closed=False)


def hear_closed(session: Session, clock: Clock, event: Event) -> None:
    """A reaction: the work on one of our tickets is done."""
    _hear(session, clock, cast(Moved, event), is_closed=True)


def progress(session: Session, motion_id: UUID) -> list[Progress]:
    """Every task of a resolution, and how far it is."""
    items = work_items(session, motion_id)
    query = (
        select(WorkTicket)
        .join(WorkItem, WorkItem.id == WorkTicket.item_id)
        .where(WorkItem.motion_id == motion_id)
        .order_by(WorkTicket.opened_at, WorkTicket.id)
    )
    tickets = session.scalars(query).all()
    return [Progress(item, [one for one in tickets if one.item_id == item.id]) for item in items]


def _hear(session: Session, clock: Clock, moved: Moved, *, is_closed: bool) -> None:
    ticket = session.get(WorkTicket, moved.key)
    if ticket is not None:
        ticket.number, ticket.is_closed = moved.request_id, is_closed
        ticket.changed_at = clock.now()


def opener(resident_id: UUID | None) -> UUID:
    """In whose name a ticket is opened; refuses a program that is nobody."""
    if resident_id is None:
        raise BadInput(field="opened_by", problem="a ticket is reported by a resident")
    return resident_id
