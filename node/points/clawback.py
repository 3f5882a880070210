"""Take back points of an act that did not take place, spent or not: by reversal, never by edit.

What the resident still has is taken first. Where it is promised for something put aside, that goes
back on the shelf. Where it is spent, the balance falls below zero, down to DEBT_POINTS_MAX; nothing
can be put aside until new points have covered it. What would fall deeper is refused, so that no
mistake of the desk can bury somebody.
"""

from typing import cast
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.errors import NotFound
from node.kernel.events import Event, record
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.points import shelf
from node.points.events import AwardReversed
from node.points.model import PointsAward
from node.points.refusals import OwnAward, TakenTooDeep
from node.points.rules import DEBT_POINTS_MAX, EvidenceKind, ReversalReason
from node.points.service import ConfirmedExchange, own_points, thank_for_exchange

_REVERSAL, _CORRECTED = "award_reversal", "corrected"
_USUAL_FLOOR = 0  # of a resident's points


def take_back(
    session: Session,
    clock: Clock,
    *,
    award_id: UUID,
    reason: ReversalReason,
    reversed_by: UUID | None,
) -> PointsAward:
    """Reverse an award. Reversing twice is once; the first reason stays."""
    row = session.get(PointsAward, award_id)
    if row is None:
        raise NotFound(what="award", id=str(award_id))
    if row.reversed_at is not None:
        return row
    if reversed_by == row.resident_id:
        raise OwnAward
    _free_what_is_promised(session, clock, row, by=reversed_by)
    balance, _available = own_points(session, row.resident_id)
    if balance - row.points < -DEBT_POINTS_MAX:
        raise TakenTooDeep(below=row.points - balance, limit=DEBT_POINTS_MAX)
    account_id = ledger.resident_account(row.resident_id, Unit.POINTS)
    # Only this one entry may pass zero: what stands below the floor afterwards can only rise.
    ledger.set_floor(session, account_id=account_id, floor=-DEBT_POINTS_MAX)
    entry_id = derived_id(_REVERSAL, award_id)
    ledger.reverse(session, clock, entry_id=entry_id, reverses=award_id, reason=_REVERSAL)
    ledger.set_floor(session, account_id=account_id, floor=_USUAL_FLOOR)
    row.reversed_at, row.reversed_by, row.reversal_reason = clock.now(), reversed_by, reason.value
    after = balance - row.points
    record(session, AwardReversed(row.id, row.resident_id, row.points, after))
    return row


def correct_for_exchange(session: Session, clock: Clock, event: Event) -> None:
    """Minutes were corrected: take the thanks for them back, and thank for what really was given.

    A verdict stands even where the points cannot be had back (they are spent, and more): then the
    award stays, and the clerk sees it in the journal.
    """
    exchange = cast(ConfirmedExchange, event)
    query = select(PointsAward.id).where(
        PointsAward.resident_id == exchange.provider_id,
        PointsAward.evidence_kind == EvidenceKind.EXCHANGE,
        PointsAward.evidence_id.in_(
            (exchange.exchange_id, derived_id(_CORRECTED, exchange.exchange_id))
        ),
        PointsAward.reversed_at.is_(None),
    )
    for award_id in session.scalars(query).all():
        try:
            take_back(
                session,
                clock,
                award_id=award_id,
                reason=ReversalReason.CORRECTED,
                reversed_by=None,
            )
        except TakenTooDeep:
            return
    if exchange.minutes:
        reference = derived_id(_CORRECTED, exchange.exchange_id)
        thank_for_exchange(session, clock, exchange, reference)


def _free_what_is_promised(
    session: Session, clock: Clock, row: PointsAward, *, by: UUID | None
) -> None:
    for waiting in shelf.open_of(session, row.resident_id):
        _balance, available = own_points(session, row.resident_id)
        if available >= row.points:
            return
        shelf.release(session, clock, redemption_id=waiting.id, released_by=by)
