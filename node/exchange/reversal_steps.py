"""The parts of a reversal's steps: found or begun, moved on, ended, told to the other side."""

from collections.abc import Collection
from uuid import UUID

from sqlalchemy.orm import Session

from node.exchange import receipts, remainder, rules
from node.exchange.messages import DeclineReversal
from node.exchange.model import Dispute, ReceiptRecord, Reversal
from node.exchange.refusals import ReceiptUnknown
from node.exchange.rules import ReceiptKind, ReversalState
from node.kernel.errors import IdReused, NotFound
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Sealer
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.outbox import service as outbox

DECLINED_THERE = "exchange.declined_there"
DECLINED_AHEAD = "exchange.declined_ahead"  # there as well, and the question has yet to come


def close(
    session: Session, clock: Clock, sealer: Sealer, exchange_id: UUID, states: Collection[str]
) -> None:
    """End what is open about an exchange, and tell the other side. Not where we have agreed."""
    for row in remainder.of_exchange(session, exchange_id):
        if row.state in states and row.state != ReversalState.AGREED:
            end(session, clock, row, None)
            send(session, clock, sealer, row, "decline", DeclineReversal(row.id, row.exchange_id))


def begin(
    session: Session,
    clock: Clock,
    receipt: ReceiptRecord,
    reversal_id: UUID,
    minutes: int,
    *,
    blocking: Collection[str],
) -> Reversal:
    """A new one about this receipt, not yet in the session; refused where it cannot be."""
    remainder.check(session, receipt, minutes, reversal_id=reversal_id, blocking=blocking)
    return _new(session, clock, receipt, reversal_id, minutes)


def end_ahead(session: Session, clock: Clock, said: DeclineReversal, *, peer: str) -> None:
    """Remember what ended before it was heard of; how many minutes it was about comes with it."""
    receipt = session.get(ReceiptRecord, said.exchange_id)
    if receipt is None or receipt.peer != peer or receipt.kind == ReceiptKind.REVERSAL:
        return
    row = _new(session, clock, receipt, said.reversal_id, receipt.minutes)
    row.state, row.refusal = ReversalState.DECLINED, DECLINED_AHEAD
    session.add(row)


def _new(
    session: Session, clock: Clock, receipt: ReceiptRecord, reversal_id: UUID, minutes: int
) -> Reversal:
    receipts.check_unused(session, reversal_id)
    ledger.check_no_hold(session, reversal_id)
    return Reversal(
        id=reversal_id,
        exchange_id=receipt.exchange_id,
        peer=receipt.peer,
        gives_back=not receipt.is_debt,
        resident_id=receipts.our_resident(session, receipt.exchange_id),
        minutes=minutes,
        state=ReversalState.ASKED,
        made_at=clock.now(),
        changed_at=clock.now(),
    )


def known(
    session: Session, reversal_id: UUID, exchange_id: UUID, minutes: int, *, gives_back: bool
) -> Reversal | None:
    """The one with this id, if it is here already; refused where it says something else."""
    row = session.get(Reversal, reversal_id, with_for_update=True)
    if row is None:
        return None
    if row.refusal == DECLINED_AHEAD:
        row.minutes, row.refusal = minutes, DECLINED_THERE
    if (row.exchange_id, row.minutes, row.gives_back) != (exchange_id, minutes, gives_back):
        raise IdReused(id=str(reversal_id))
    return row


def paid_receipt(
    session: Session, exchange_id: UUID, *, is_debt: bool, peer: str | None = None
) -> ReceiptRecord:
    """The receipt that is to be turned, locked: of one exchange, one thing at a time is decided."""
    found = session.get(ReceiptRecord, exchange_id, with_for_update=True)  # one at a time
    if (
        found is None
        or found.is_debt is not is_debt
        or found.kind == ReceiptKind.REVERSAL
        or (peer is not None and found.peer != peer)
    ):
        raise ReceiptUnknown(exchange=str(exchange_id))
    return found


def end(session: Session, clock: Clock, row: Reversal, code: str | None) -> None:
    """It comes to nothing: what was held for it is free, and a dispute behind it says why."""
    is_held = row.state == (ReversalState.OFFERED if row.gives_back else ReversalState.AGREED)
    move(clock, row, ReversalState.DECLINED)
    row.refusal = code
    if code is not None and row.dispute_id is not None:  # judged, yet not back: it is shown
        session.get_one(Dispute, row.dispute_id).refusal = code
    if is_held:
        ledger.void_hold(session, clock, hold_id=row.id)


def move(clock: Clock, row: Reversal, to: ReversalState) -> None:
    """Into the next state, if the table has that step."""
    rules.check_reversal_step(now=row.state, to=to)
    row.state, row.changed_at = to, clock.now()


def send(
    session: Session, clock: Clock, sealer: Sealer, row: Reversal, act: str, body: Body
) -> None:
    """Tell the other side, once for each act."""
    outbox.enqueue(
        session,
        clock,
        sealer,
        message_id=derived_id(f"{act} reversal", row.id),
        recipient=row.peer,
        body=body,
    )


def locked(session: Session, reversal_id: UUID) -> Reversal:
    """The one with this id; refuses an unknown one."""
    found = session.get(Reversal, reversal_id, with_for_update=True)
    if found is None:
        raise NotFound(what="reversal", id=str(reversal_id))
    return found
