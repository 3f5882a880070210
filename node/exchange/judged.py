"""A receipt that only one side has, once both arbiters have said how it was: booked, then turned.

Where no signature proves it, the books cannot know whose minutes they were. The side that lacks the
receipt books it on an account of its own house, on its arbiter's word, with the figures that the
arbiters saw and no others; what the verdict gives back goes back as any reversal. So both books end
the same, and the house sees what it stands in for.
"""

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import claim, dispute, evidence, receipts, reversal, rules
from node.exchange.messages import ReceiptLine
from node.exchange.model import Dispute, ReceiptRecord
from node.exchange.rules import DisputeState, ReceiptKind
from node.kernel.ids import derived_id
from node.kernel.messages import Sealed, Sealer
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit

REASON = "judged"
CHANGED = "exchange.receipt_differs"
FLOOR = -(10**9)  # in minutes: what was judged is never refused for want of minutes


def missing(session: Session, clock: Clock) -> Sequence[Dispute]:
    """Judged disputes about a receipt that is not in our books."""
    since = clock.now() - timedelta(days=rules.COMPARE_DAYS_MAX)
    booked = select(ReceiptRecord.exchange_id)
    wanted = select(Dispute).where(
        Dispute.state == DisputeState.JUDGED,
        Dispute.changed_at > since,
        Dispute.exchange_id.not_in(booked),
    )
    return session.scalars(wanted.order_by(Dispute.id)).all()


def book(
    session: Session, clock: Clock, sealer: Sealer, peer: str, line: ReceiptLine, sealed: Sealed
) -> bool:
    """Book what the other side says it has, if both arbiters judged it; whether they did."""
    judged = select(Dispute).where(
        Dispute.exchange_id == line.id,
        Dispute.peer == peer,
        Dispute.state == DisputeState.JUDGED,
    )
    rows = session.scalars(judged.order_by(Dispute.changed_at)).all()
    row = next((one for one in rows if _is_judged_so(session, one, line, sealer.community)), None)
    if row is None:
        if any(claim.of(session, one) for one in rows):  # it says now what it did not say then
            evidence.note(session, clock, peer=peer, kind=CHANGED, sealed=sealed)
        return False
    is_debt = line.debtor == sealer.community
    house, clearing = receipts.account_of(None), ledger.clearing_account(peer)
    ledger.open_account(
        session,
        account_id=house,
        unit=Unit.MINUTES,
        kind="house",
        owner=receipts.JUDGED,
        floor=FLOOR,
    )
    ledger.transfer(
        session,
        clock,
        entry_id=derived_id("judged", line.id),
        payer_id=house if is_debt else clearing,
        payee_id=clearing if is_debt else house,
        amount=line.minutes,
        reason=REASON,
        refers_to=line.id,
    )
    session.add(
        ReceiptRecord(
            exchange_id=line.id,
            kind=line.kind,
            peer=peer,
            is_debt=is_debt,
            minutes=line.minutes,
            captured_at=line.captured_at,
            payload=None if is_debt else sealed.payload,
            signature=None if is_debt else sealed.signature,
        )
    )
    session.flush()
    row.gives_back = not is_debt
    _turn(session, clock, sealer, row)
    return True


def _is_judged_so(session: Session, row: Dispute, line: ReceiptLine, community: str) -> bool:
    """Whether both arbiters judged this very receipt: parties, minutes and time."""
    is_between_us = {line.debtor, line.creditor} == {row.peer, community}
    is_turnable = line.kind in (ReceiptKind.CAPTURE, ReceiptKind.GIFT)
    is_seen = claim.is_of(claim.of(session, row), line, community=community)
    return is_between_us and is_turnable and is_seen and (row.verdict_minutes or 0) <= line.minutes


def _turn(session: Session, clock: Clock, sealer: Sealer, row: Dispute) -> None:
    """What goes back by the verdict: offered by whose side was paid, asked for by the other."""
    if not row.verdict_minutes:
        return
    if row.gives_back:
        dispute.carry_out(session, clock, sealer, dispute_id=row.id, decided_by=row.our_arbiter)
    else:
        reversal.ask(
            session,
            clock,
            sealer,
            reversal_id=derived_id("verdict asked", row.id),
            exchange_id=row.exchange_id,
            minutes=row.verdict_minutes,
            decided_by=row.our_arbiter,
        )
