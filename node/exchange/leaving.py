"""What help next door does when a resident is erased: refuse while minutes may still come, forget.

What is promised in their own name is a hold on their account and refused before this. A visit's
hold stands on the other community's account, and minutes on their way back are held there too, so
these are looked for here: they would be credited to nobody.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Protocol, TypeVar, cast
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from node.exchange.model import Dispute, Gift, GiftCode, Pass, Reversal, Visit
from node.exchange.refusals import StillExpected
from node.exchange.rules import REVERSAL_STEPS, VISIT_STEPS
from node.kernel.events import Event
from node.kernel.ports import Clock

State = TypeVar("State", bound=StrEnum)
FORGOTTEN_WORDS = "—"


class Erased(Protocol):
    """Somebody who is to be forgotten."""

    resident_id: UUID


def forget(session: Session, clock: Clock, event: Event) -> None:
    """A reaction: no more gifts under their codes, no words of their disputes.

    Raises StillExpected, which undoes the erasure, while a visit or a reversal is open.
    """
    resident_id = cast(Erased, event).resident_id
    if (count := _expected_count(session, resident_id)) > 0:
        raise StillExpected(count=count)
    session.execute(
        update(GiftCode)
        .where(GiftCode.resident_id == resident_id, GiftCode.withdrawn_at.is_(None))
        .values(withdrawn_at=clock.now())
    )
    session.execute(
        update(Dispute)
        .where(_is_about(resident_id), Dispute.words != "")
        .values(words=FORGOTTEN_WORDS)
    )


def _expected_count(session: Session, resident_id: UUID) -> int:
    """How many visits and reversals may still credit this resident."""
    visits = select(func.count()).where(
        Visit.provider_id == resident_id, Visit.state.in_(_unfinished(VISIT_STEPS))
    )
    reversals = select(func.count()).where(
        Reversal.resident_id == resident_id, Reversal.state.in_(_unfinished(REVERSAL_STEPS))
    )
    return (session.scalar(visits) or 0) + (session.scalar(reversals) or 0)


def _unfinished(steps: Mapping[State, frozenset[State]]) -> list[State]:
    return [state for state, following in steps.items() if following]


def _is_about(resident_id: UUID) -> ColumnElement[bool]:
    mine = (
        select(Visit.id).where(Visit.provider_id == resident_id),
        select(Pass.exchange_id).where(Pass.resident_id == resident_id),
        select(Gift.id).where(Gift.resident_id == resident_id),
    )
    return or_(*(Dispute.exchange_id.in_(ids) for ids in mine))
