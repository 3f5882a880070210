"""What the other side's books have of a disputed exchange: the arbiters see it, it is held to it.

Said once, in the message that opens or answers a dispute. What nothing here proves is only ever
booked with these figures (judged.py), for the arbiters judged no others.
"""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import receipts, rules
from node.exchange.messages import ReceiptLine
from node.exchange.model import Claim, Dispute, ReceiptRecord
from node.exchange.refusals import ReversalTooLarge
from node.exchange.rules import DisputeCode, DisputeState, ReceiptKind
from node.kernel.errors import BadInput


def ours(session: Session, row: Dispute, *, community: str) -> ReceiptLine | None:
    """What our own books have of it, to be said to the other side; `community` is ours."""
    record = session.get(ReceiptRecord, row.exchange_id)
    return receipts.line_of(record, community) if record is not None else None


def keep(session: Session, row: Dispute, said: ReceiptLine | None, *, community: str) -> None:
    """Write down what the other side says it has; `community` is ours.

    Raises ReversalTooLarge for minutes that no exchange can have, BadInput for a receipt that is
    not about this exchange or not between us.
    """
    if said is None:
        return
    check_minutes(said.minutes)
    is_between_us = {said.debtor, said.creditor} == {row.peer, community}
    is_about_it = said.id == row.exchange_id and said.kind in set(ReceiptKind) and said.minutes
    if not (is_between_us and is_about_it):
        raise BadInput(field="receipt", problem="it is not about this exchange")
    session.add(
        Claim(
            dispute_id=row.id,
            kind=said.kind,
            is_debt=said.debtor == community,
            minutes=said.minutes,
            captured_at=said.captured_at,
        )
    )


def of(session: Session, row: Dispute) -> Claim | None:
    """What the other side said it has; None where it named no receipt."""
    return session.get(Claim, row.id)


def is_of(claim: Claim | None, line: ReceiptLine, *, community: str) -> bool:
    """Whether this receipt is the one that was named, to the last figure; `community` is ours."""
    if claim is None:
        return False
    named = (claim.kind, claim.is_debt, claim.minutes, claim.captured_at)
    return named == (line.kind, line.debtor == community, line.minutes, line.captured_at)


def differs(record: ReceiptRecord, claim: Claim) -> bool:
    """Whether the two sides' books say something else about one exchange."""
    ours = (record.kind, record.is_debt, record.minutes, record.captured_at)
    return ours != (claim.kind, claim.is_debt, claim.minutes, claim.captured_at)


def is_alike(record: ReceiptRecord, claim: Claim) -> bool:
    """Whether they differ in figures alone, which one side can take over from the other."""
    return (record.kind, record.is_debt) == (claim.kind, claim.is_debt)


def is_lower(record: ReceiptRecord, claim: Claim) -> bool:
    """Whether ours is the one to be made the same; the time alone is taken over by who owes."""
    return record.minutes < claim.minutes or (
        record.minutes == claim.minutes and record.is_debt and differs(record, claim)
    )


def newest(session: Session) -> list[tuple[Dispute, ReceiptRecord]]:
    """The last dispute about each receipt that no settlement has moved yet, with the receipt."""
    about = select(Dispute, ReceiptRecord).join(
        ReceiptRecord, ReceiptRecord.exchange_id == Dispute.exchange_id
    )
    rows = session.execute(about.where(ReceiptRecord.settled_at.is_(None)).order_by(Dispute.id))
    last: dict[UUID, tuple[Dispute, ReceiptRecord]] = {}
    for row, record in rows:
        known = last.get(record.exchange_id)
        if known is None or known[0].opened_at < row.opened_at:
            last[record.exchange_id] = (row, record)
    return list(last.values())


def is_open(session: Session, row: Dispute) -> bool:
    """Whether the books have yet to be made the same, before anything goes back."""
    record, claim = session.get(ReceiptRecord, row.exchange_id), of(session, row)
    if record is None or claim is None or not is_alike(record, claim):
        return False
    is_signed_by_both = record.statement_id is not None and not record.is_debt
    return differs(record, claim) and not is_signed_by_both


def unsettleable(session: Session) -> set[UUID]:
    """Exchanges about which the two sides' books differ: no statement can hold them yet."""
    return {record.exchange_id for row, record in newest(session) if _differ(session, row, record)}


def _differ(session: Session, row: Dispute, record: ReceiptRecord) -> bool:
    claim = of(session, row)
    if claim is None:
        return DisputeCode.RECEIPT_DIFFERS in (row.our_code, row.their_code)
    if row.state == DisputeState.JUDGED and is_alike(record, claim):
        return is_lower(record, claim)  # else the other side takes ours over
    return differs(record, claim)


def minutes_most(session: Session, row: Dispute) -> int:
    """How many minutes can go back at most, by either side's receipt."""
    record, claim = session.get(ReceiptRecord, row.exchange_id), of(session, row)
    named = [one.minutes for one in (record, claim) if one is not None]
    return max(named, default=rules.MINUTES_MAX)


def check_minutes(minutes: int) -> None:
    """Raises ReversalTooLarge for an amount that the other side cannot honestly have said."""
    if not 0 <= minutes <= rules.MINUTES_MAX:
        raise ReversalTooLarge(paid=rules.MINUTES_MAX, needed=minutes)
