"""How many minutes of one exchange can still go back, and how many a verdict still wants back.

An exchange can go back in parts, one after the other, up to its receipt's minutes. The side that
was paid keeps the count, since its resident pays: never more than one offer of it is open there.
The other side counts what is proven to it; what it agreed to may yet come, or not.
"""

from collections.abc import Collection, Sequence
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange.model import Dispute, ReceiptRecord, Reversal, Verdict
from node.exchange.refusals import ReversalExists, ReversalTooLarge
from node.exchange.rules import DisputeState, ReversalState
from node.kernel.errors import BadInput, DomainError

OPEN = frozenset({ReversalState.ASKED, ReversalState.OFFERED, ReversalState.AGREED})


class ReversalPastReceipt(DomainError):
    code = "exchange.reversal_past_receipt"
    message = "Of {paid} minutes {back} went back already; {needed} more cannot."


class Judged(NamedTuple):
    """A dispute in which our arbiter said that so many minutes go back, in all."""

    dispute: Dispute
    minutes: int


def of_exchange(session: Session, exchange_id: UUID) -> Sequence[Reversal]:
    """All that was ever asked for or offered of an exchange, locked until the transaction ends."""
    same = select(Reversal).where(Reversal.exchange_id == exchange_id)
    return session.scalars(same.order_by(Reversal.id).with_for_update()).all()


def check(
    session: Session,
    receipt: ReceiptRecord,
    minutes: int,
    *,
    reversal_id: UUID,
    blocking: Collection[str],
) -> None:
    """Raises where so many more cannot go back, or where another reversal stands in the way.

    `blocking` are the states in which another one does.
    """
    if minutes < 1:
        raise BadInput(field="minutes", problem=f"between 1 and {receipt.minutes}, not {minutes}")
    if minutes > receipt.minutes:
        raise ReversalTooLarge(paid=receipt.minutes, needed=minutes)
    others = [one for one in of_exchange(session, receipt.exchange_id) if one.id != reversal_id]
    if any(one.state in blocking for one in others):
        raise ReversalExists(exchange=str(receipt.exchange_id))
    back = _sum(others, ReversalState.REVERSED)
    if back + minutes > receipt.minutes:
        raise ReversalPastReceipt(paid=receipt.minutes, back=back, needed=minutes)


def due(reversals: Sequence[Reversal], dispute: Dispute, minutes: int) -> int:
    """What a verdict of so many minutes still takes from our resident; 0 where it is offered.

    What went back before, by consent or by another verdict, counts: nothing goes back twice.
    """
    for one in reversals:
        if one.dispute_id == dispute.id and one.state == ReversalState.OFFERED:
            return 0
    return max(0, minutes - _sum(reversals, ReversalState.REVERSED))


def judged_so(session: Session, receipt: ReceiptRecord, minutes: int) -> Judged | None:
    """The verdict of our arbiter that `minutes` more make whole, if there is one.

    Where our resident gets them, what we agreed to before may have been paid or not: both fit.
    """
    reversals = of_exchange(session, receipt.exchange_id)
    disputes = select(Dispute).where(
        Dispute.exchange_id == receipt.exchange_id,
        Dispute.peer == receipt.peer,
        Dispute.state != DisputeState.OPENED,
    )
    in_doubt = _sum(reversals, ReversalState.AGREED)
    for dispute in session.scalars(disputes).all():
        for said in _said(session, dispute):
            still = due(reversals, dispute, said)
            least = max(1, still - in_doubt) if receipt.is_debt else still
            if still > 0 and least <= minutes <= still:
                return Judged(dispute, said)
    return None


def _said(session: Session, dispute: Dispute) -> Sequence[int]:
    """What counts as our arbiter's word: the verdict; until there is one, all they ever said."""
    if dispute.verdict_minutes is not None:
        return [dispute.verdict_minutes]
    given = select(Verdict.minutes).where(Verdict.dispute_id == dispute.id)
    return session.scalars(given.order_by(Verdict.number.desc())).all()


def _sum(reversals: Sequence[Reversal], state: str) -> int:
    return sum(one.minutes for one in reversals if one.state == state)
