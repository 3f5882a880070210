"""What the time bank forgets of a resident who is erased; minutes stay in the books."""

from typing import Protocol, cast
from uuid import UUID

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from node.kernel.events import Event
from node.kernel.ports import Clock
from node.timebank import lapsing
from node.timebank.calls import HelpPromise
from node.timebank.model import DisputeWords, Exchange, HelperTraining, Listing
from node.timebank.rules import ExchangeState

FORGOTTEN_WORDS = "—"


class Erased(Protocol):
    """Somebody who is to be forgotten."""

    resident_id: UUID


def forget(session: Session, clock: Clock, event: Event) -> None:
    """A reaction: listings go, words go, questions run out. (Nothing is held: that is refused.)"""
    resident_id, now = cast(Erased, event).resident_id, clock.now()
    for table in (HelpPromise, HelperTraining):
        session.execute(delete(table).where(table.resident_id == resident_id))
    session.execute(update(Listing).where(Listing.resident_id == resident_id).values(note=None))
    session.execute(
        update(Listing)
        .where(Listing.resident_id == resident_id, Listing.closed_at.is_(None))
        .values(closed_at=now)
    )
    session.execute(
        update(DisputeWords)
        .where(DisputeWords.resident_id == resident_id)
        .values(words=FORGOTTEN_WORDS)
    )
    unanswered = (ExchangeState.REQUESTED, ExchangeState.OFFERED)
    mine = or_(Exchange.provider_id == resident_id, Exchange.receiver_id == resident_id)
    waiting = select(Exchange).where(mine, Exchange.state.in_(unanswered))
    for exchange in session.scalars(waiting).all():
        lapsing.lapse(session, clock, exchange)
