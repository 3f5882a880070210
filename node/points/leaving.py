"""What points forget of a resident who is erased; awards stay in the books under the bare id."""

from typing import Protocol, cast
from uuid import UUID

from sqlalchemy import delete, or_, update
from sqlalchemy.orm import Session

from node.kernel.events import Event
from node.kernel.ports import Clock
from node.points.model import Claim, CodeTries, RankingChoice
from node.points.rules import ClaimState, Shown


class Erased(Protocol):
    """Somebody who is to be forgotten."""

    resident_id: UUID


def forget(session: Session, clock: Clock, event: Event) -> None:
    """A reaction: out of the ranking, nothing left to sign for them or by them."""
    resident_id = cast(Erased, event).resident_id
    session.execute(delete(CodeTries).where(CodeTries.resident_id == resident_id))
    session.merge(
        RankingChoice(resident_id=resident_id, shown=Shown.NOT.value, changed_at=clock.now())
    )
    session.execute(
        update(Claim)
        .where(or_(Claim.resident_id == resident_id, Claim.cosigner_id == resident_id))
        .where(Claim.state == ClaimState.ASKED)
        .values(state=ClaimState.REFUSED, answered_at=clock.now())
    )
