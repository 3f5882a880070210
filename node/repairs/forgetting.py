"""When a resident is erased: their requests stay countable, and say nothing of them any more."""

from typing import Protocol, cast
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from node.kernel.events import Event
from node.kernel.ports import Clock
from node.repairs.model import Follower, OutsideReport, Photo, ServiceRequest, StatusChange

GONE = "—"  # what stood here was somebody's


class Erased(Protocol):
    """What we need of an event such as ResidentErased."""

    resident_id: UUID


def forget_reporter(session: Session, _clock: Clock, event: Event) -> None:
    """A reaction: words, photos and places go; number, kind, dates and rating stay.

    Of a request about a shared place the title and the place stay too: they are about the lift,
    and neighbours may be following it.
    """
    resident_id = cast(Erased, event).resident_id
    theirs = select(ServiceRequest.id).where(ServiceRequest.reporter_id == resident_id)
    for table in (Photo, OutsideReport):
        session.execute(delete(table).where(table.request_id.in_(theirs)))
    session.execute(
        update(StatusChange).where(StatusChange.request_id.in_(theirs)).values(notes=None)
    )
    session.execute(delete(Follower).where(Follower.resident_id == resident_id))
    mine = ServiceRequest.reporter_id == resident_id
    session.execute(
        update(ServiceRequest)
        .where(mine)
        .values(description=GONE, contact=None, comment=None, notes=None)
    )
    place = func.coalesce(ServiceRequest.building, GONE)
    session.execute(
        update(ServiceRequest)
        .where(mine, ServiceRequest.is_shared.is_(False))
        .values(title=GONE, location=place)
    )
