"""Receipts on either side: whose resident is behind one, its leaf, and that an id serves once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, exists, or_, select
from sqlalchemy.orm import Session

from node.exchange.messages import ReceiptLine, Summary
from node.exchange.model import Gift, Pass, ReceiptRecord, Reversal, Visit
from node.exchange.rules import receipt_leaf
from node.kernel import merkle
from node.kernel.errors import IdReused
from node.ledger import service as ledger
from node.ledger.model import Unit

_TAKEN = select(
    or_(
        *(
            exists().where(column == bindparam("key"))
            for column in (
                Visit.id,
                Gift.id,
                Reversal.id,
                ReceiptRecord.exchange_id,
                Pass.exchange_id,
            )
        )
    )
)
JUDGED = "judged"  # house account: receipts that were booked on the arbiters' word
DAY_ZERO = datetime(1970, 1, 1, tzinfo=UTC)


def our_resident(session: Session, exchange_id: UUID) -> UUID | None:
    """Our resident in an exchange, gift or reversal; None where this node has none of it."""
    if (visit := session.get(Visit, exchange_id)) is not None:
        return visit.provider_id
    if (gift := session.get(Gift, exchange_id)) is not None:
        return gift.resident_id
    if (reversal := session.get(Reversal, exchange_id)) is not None:
        return reversal.resident_id
    by_exchange = select(Pass.resident_id).where(Pass.exchange_id == exchange_id)
    return session.scalars(by_exchange).first()


def account_of(resident_id: UUID | None) -> UUID:
    """Whose minutes move: a resident's, or the house's where arbiters had to say what was so."""
    if resident_id is None:
        return ledger.house_account(JUDGED, Unit.MINUTES)
    return ledger.resident_account(resident_id, Unit.MINUTES)


def check_unused(session: Session, exchange_id: UUID) -> None:
    """The other side chose this id; one that names something else here would mix two receipts."""
    if session.execute(_TAKEN, {"key": exchange_id}).scalar():
        raise IdReused(id=str(exchange_id))


def line_of(record: ReceiptRecord, community: str) -> ReceiptLine:
    """A receipt as both sides name it; `community` is ours."""
    return ReceiptLine(
        id=record.exchange_id,
        kind=record.kind,
        debtor=community if record.is_debt else record.peer,
        creditor=record.peer if record.is_debt else community,
        minutes=record.minutes,
        captured_at=record.captured_at,
        refers_to=record.refers_to,
    )


def leaf_of(line: ReceiptLine) -> bytes:
    """What the receipt contributes to a Merkle tree."""
    return receipt_leaf(
        exchange_id=line.id,
        debtor=line.debtor,
        creditor=line.creditor,
        minutes=line.minutes,
        at=line.captured_at,
        kind=line.kind,
    )


def summary(lines: Sequence[ReceiptLine]) -> Summary:
    """Count, minutes and Merkle root over the receipts, in the order of their ids."""
    ordered = sorted(lines, key=lambda line: line.id)
    root = merkle.root([leaf_of(line) for line in ordered])
    return Summary(len(ordered), sum(line.minutes for line in ordered), root)


def day_of(moment: datetime) -> int:
    """Days since 1970, in UTC: the same on both sides."""
    return (moment - DAY_ZERO).days


def of_day(session: Session, community: str, peer: str, day: int) -> list[ReceiptLine]:
    """All receipts with a peer from one day, in both directions."""
    since = DAY_ZERO + timedelta(days=day)
    records = select(ReceiptRecord).where(
        ReceiptRecord.peer == peer,
        ReceiptRecord.captured_at >= since,
        ReceiptRecord.captured_at < since + timedelta(days=1),
    )
    return [line_of(record, community) for record in session.scalars(records)]
