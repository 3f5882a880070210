"""A receipt that only one side has, once both arbiters have said how it was: booked, then turned.

Where no signature proves it, the books cannot know whose minutes they were. The side that lacks the
receipt books it on an account of its own house, on its arbiter's word, with the figures that the
arbiters saw and no others; what the verdict gives back goes back as any reversal. So both books end
the same, and the house sees what it stands in for.

Where both have a receipt and the two differ, the verdict counts from the higher one: the side with
the lower takes over its figures, and then what the verdict gives back goes back.
"""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import case, func, select
from sqlalchemy.orm import Session

from node.exchange import claim, dispute, evidence, receipts, remainder, reversal, rules
from node.exchange.messages import ReceiptLine
from node.exchange.model import Claim, Dispute, ReceiptRecord
from node.exchange.rules import DisputeState, ReceiptKind
from node.kernel.db import savepoint
from node.kernel.errors import DomainError
from node.kernel.ids import derived_id
from node.kernel.messages import Sealed, Sealer
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.cap import sweep_surplus
from node.ledger.model import Unit
from node.ledger.rules import Leg

log = structlog.get_logger()

REASON, CORRECTED = "judged", "corrected"
TURNABLE = (ReceiptKind.CAPTURE, ReceiptKind.GIFT)
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
    house, clearing = _open_house(session), ledger.clearing_account(peer)
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
    is_turnable = line.kind in TURNABLE
    is_seen = claim.is_of(claim.of(session, row), line, community=community)
    return is_between_us and is_turnable and is_seen and (row.verdict_minutes or 0) <= line.minutes


def make_same(session: Session, clock: Clock, sealer: Sealer) -> int:
    """Take over the higher figures where both arbiters have judged two receipts that differ."""
    made = 0
    for row, record in claim.newest(session):
        said = claim.of(session, row)
        if row.state != DisputeState.JUDGED or said is None or not _is_ours_to_mend(record, said):
            continue
        try:
            with savepoint(session):
                _take_over(session, clock, row, record, said)
                _turn(session, clock, sealer, row)
            made += 1
        except DomainError as refusal:  # a limit, say: tried again with the next comparison
            log.warning("judged_receipt_waits", id=str(record.exchange_id), code=refusal.code)
    return made


def _is_ours_to_mend(record: ReceiptRecord, said: Claim) -> bool:
    is_free = record.statement_id is None and record.kind in TURNABLE
    return is_free and claim.is_alike(record, said) and claim.is_lower(record, said)


def _take_over(
    session: Session, clock: Clock, row: Dispute, record: ReceiptRecord, said: Claim
) -> None:
    """The receipt gets the figures that the arbiters saw, the accounts what they lack of them.

    Of our resident only what the verdict gives back at once: no verdict takes more than was paid.
    """
    gap = said.minutes - record.minutes
    record.minutes, record.captured_at = said.minutes, said.captured_at
    session.flush()
    clearing, resident = ledger.clearing_account(record.peer), _account_of(session, record)
    lacking = min(gap, _lacking(session, record, clearing))  # a damaged row alone moves nothing
    if lacking <= 0:
        return
    if record.is_debt:
        share = min(lacking, row.verdict_minutes or 0, max(0, ledger.available(session, resident)))
        paid = {_open_house(session): lacking - share}
        paid[resident] = paid.get(resident, 0) + share
        legs = [Leg(clearing, lacking), *(Leg(one, -part) for one, part in paid.items() if part)]
    else:
        legs = [Leg(clearing, -lacking), Leg(resident, lacking)]
    ledger.post(
        session,
        clock,
        entry_id=derived_id("corrected", row.id),
        legs=legs,
        reason=CORRECTED,
        refers_to=record.exchange_id,
    )
    if not record.is_debt:
        sweep_surplus(session, clock, account_id=resident, refers_to=row.id)


def _lacking(session: Session, record: ReceiptRecord, clearing: UUID) -> int:
    """How far the clearing account is behind what its unsettled receipts sum to."""
    signed = case((ReceiptRecord.is_debt, ReceiptRecord.minutes), else_=-ReceiptRecord.minutes)
    unsettled = select(func.sum(signed)).where(
        ReceiptRecord.peer == record.peer, ReceiptRecord.settled_at.is_(None)
    )
    behind = int(session.scalar(unsettled) or 0) - ledger.balance(session, clearing)
    return behind if record.is_debt else -behind


def _account_of(session: Session, record: ReceiptRecord) -> UUID:
    resident_id = receipts.our_resident(session, record.exchange_id)
    return receipts.account_of(resident_id) if resident_id else _open_house(session)


def _open_house(session: Session) -> UUID:
    house = receipts.account_of(None)
    ledger.open_account(
        session,
        account_id=house,
        unit=Unit.MINUTES,
        kind="house",
        owner=receipts.JUDGED,
        floor=FLOOR,
    )
    return house


def _turn(session: Session, clock: Clock, sealer: Sealer, row: Dispute) -> None:
    """What goes back by the verdict: offered by whose side was paid, asked for by the other."""
    if not row.verdict_minutes:
        return
    if row.gives_back:
        dispute.carry_out(session, clock, sealer, dispute_id=row.id, decided_by=row.our_arbiter)
        return
    earlier = remainder.of_exchange(session, row.exchange_id)
    if still := remainder.due(earlier, row, row.verdict_minutes):
        reversal.ask(
            session,
            clock,
            sealer,
            reversal_id=derived_id("verdict asked", row.id),
            exchange_id=row.exchange_id,
            minutes=still,
            decided_by=row.our_arbiter,
        )
