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
from node.kernel.ids import derived_id

REVERSALS_MAX = 100  # of one exchange, before a verdict's own is no longer known as such
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


def judged_so(
    session: Session, receipt: ReceiptRecord, minutes: int, *, reversal_id: UUID
) -> Judged | None:
    """The verdict that `minutes` more make whole, if there is one.

    Our resident gives back by the exchange's last agreed verdict alone: what our arbiter said and
    the other's did not is no verdict. Where ours gets them, the other side may have agreed to an
    earlier word of our arbiter: it counts if this reversal is that verdict's own. What we agreed to
    before may have been paid or not: both fit.
    """
    reversals = of_exchange(session, receipt.exchange_id)
    about = of_dispute(session, receipt.exchange_id)
    if not receipt.is_debt:
        last = next((one for one in about if one.state == DisputeState.JUDGED), None)
        if last is None or last.verdict_minutes is None:
            return None
        is_whole = 0 < minutes == due(reversals, last, last.verdict_minutes)
        return Judged(last, last.verdict_minutes) if is_whole else None
    in_doubt = _sum(reversals, ReversalState.AGREED)
    for dispute in about:
        if dispute.state == DisputeState.OPENED or not _is_of_verdict(reversal_id, dispute):
            continue
        for said in _said(session, dispute):
            still = due(reversals, dispute, said)
            if still > 0 and max(1, still - in_doubt) <= minutes <= still:
                return Judged(dispute, said)
    return None


def verdict_id(dispute: Dispute, number: int) -> UUID:
    """The id of a reversal that carries out this dispute's verdict; `number` were there before."""
    return derived_id("verdict", dispute.id, number)


def of_dispute(session: Session, exchange_id: UUID) -> Sequence[Dispute]:
    """All disputes over an exchange, the newest first: one begins when the one before is over."""
    same = select(Dispute).where(Dispute.exchange_id == exchange_id)
    return session.scalars(same.order_by(Dispute.opened_at.desc(), Dispute.id)).all()


def _is_of_verdict(reversal_id: UUID, dispute: Dispute) -> bool:
    return any(verdict_id(dispute, number) == reversal_id for number in range(REVERSALS_MAX))


def _said(session: Session, dispute: Dispute) -> Sequence[int]:
    """What counts as our arbiter's word: the verdict; until there is one, all they ever said."""
    if dispute.verdict_minutes is not None:
        return [dispute.verdict_minutes]
    given = select(Verdict.minutes).where(Verdict.dispute_id == dispute.id)
    return session.scalars(given.order_by(Verdict.number.desc())).all()


def _sum(reversals: Sequence[Reversal], state: str) -> int:
    return sum(one.minutes for one in reversals if one.state == state)
