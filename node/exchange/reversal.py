"""Minutes of a captured exchange on their way back, by consent of both sides or by a verdict.

Whose resident was paid gives back, so that side pays and decides: it holds the minutes (OFFERED),
the other side agrees and reserves its limit (AGREED), asks, and gets a signed receipt with the debt
turned. Nothing that was written is changed: both books get compensating entries. Every function
runs inside the caller's transaction.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import evidence, limits, receipts, rules
from node.exchange.messages import (
    AskReversal,
    DeclineReversal,
    Noted,
    OfferReversal,
    RequestReversal,
    ReversalReceipt,
)
from node.exchange.model import Dispute, ReceiptRecord, Reversal, Verdict
from node.exchange.refusals import (
    ReceiptUnknown,
    ReversalExists,
    ReversalNotOffered,
    ReversalTooLarge,
)
from node.exchange.rules import DisputeState, ReceiptKind, ReversalState
from node.kernel.errors import BadInput, IdReused, NotFound
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Envelope, Refusal, Sealed, Sealer
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.outbox import service as outbox

TAKEN_REASON, GIVEN_REASON = "taken_back", "given_back"
OPEN = (ReversalState.ASKED, ReversalState.OFFERED, ReversalState.AGREED)


def ask(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    *,
    reversal_id: UUID,
    exchange_id: UUID,
    minutes: int,
    decided_by: UUID | None,
) -> Reversal:
    """Our resident paid for what was not so: ask the other side to give minutes back."""
    if known := _known(session, reversal_id, exchange_id, minutes, gives_back=False):
        return known
    receipt = _receipt(session, exchange_id, is_debt=True)
    row = _begin(session, clock, receipt, reversal_id, minutes, ReversalState.ASKED)
    row.decided_by = decided_by
    session.add(row)
    _send(session, clock, sealer, row, "ask", AskReversal(row.id, row.exchange_id, row.minutes))
    return row


def asked(session: Session, clock: Clock, sealer: Sealer, question: Envelope) -> Noted:
    """The other side asks for minutes back: people here decide, unless arbiters have."""
    said = question.body
    assert isinstance(said, AskReversal)
    if not _known(session, said.reversal_id, said.exchange_id, said.minutes, gives_back=True):
        receipt = _receipt(session, said.exchange_id, is_debt=False, peer=question.sender)
        state = ReversalState.ASKED
        row = _begin(session, clock, receipt, said.reversal_id, said.minutes, state)
        session.add(row)
        if (dispute := _judged_so(session, row)) is not None:
            offer(
                session,
                clock,
                sealer,
                reversal_id=row.id,
                exchange_id=row.exchange_id,
                minutes=row.minutes,
                decided_by=dispute.our_arbiter,
                dispute_id=dispute.id,
            )
    return Noted(said.reversal_id)


def offer(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    *,
    reversal_id: UUID,
    exchange_id: UUID,
    minutes: int,
    decided_by: UUID | None,
    dispute_id: UUID | None = None,
) -> Reversal:
    """Give minutes back that our resident was paid: hold them, and ask the other side to agree."""
    row = _known(session, reversal_id, exchange_id, minutes, gives_back=True)
    if row is not None and row.state != ReversalState.ASKED:
        return row
    if row is None:
        receipt = _receipt(session, exchange_id, is_debt=False)
        row = _begin(session, clock, receipt, reversal_id, minutes, ReversalState.ASKED)
    ledger.place_hold(
        session,
        clock,
        hold_id=row.id,
        payer_id=receipts.account_of(row.resident_id),
        payee_id=ledger.clearing_account(row.peer),
        amount=row.minutes,
        expires_at=None,
        reason=TAKEN_REASON,
    )
    session.add(row)  # after the hold: a refusal leaves nothing behind
    _move(clock, row, ReversalState.OFFERED)
    row.decided_by, row.dispute_id = decided_by, dispute_id
    _send(session, clock, sealer, row, "offer", OfferReversal(row.id, row.exchange_id, row.minutes))
    return row


def offered(session: Session, clock: Clock, sealer: Sealer, question: Envelope) -> Noted:
    """Minutes are offered back: take them if we asked or judged so, else people here decide."""
    said = question.body
    assert isinstance(said, OfferReversal)
    row = _known(session, said.reversal_id, said.exchange_id, said.minutes, gives_back=False)
    if row is not None and row.state != ReversalState.ASKED:
        if row.state == ReversalState.DECLINED:
            raise ReversalNotOffered(state=row.state)
        return Noted(row.id)
    if row is not None:  # we asked for it: our consent stands
        _agree(session, clock, sealer, row)
        return Noted(row.id)
    receipt = _receipt(session, said.exchange_id, is_debt=True, peer=question.sender)
    row = _begin(session, clock, receipt, said.reversal_id, said.minutes, ReversalState.OFFERED)
    session.add(row)
    if (dispute := _judged_so(session, row)) is not None:
        row.dispute_id = dispute.id
        dispute.state, dispute.verdict_minutes = DisputeState.JUDGED, row.minutes
        dispute.changed_at = clock.now()
        _agree(session, clock, sealer, row)
    return Noted(row.id)


def agree(
    session: Session, clock: Clock, sealer: Sealer, *, reversal_id: UUID, decided_by: UUID | None
) -> Reversal:
    """Say yes to what the other side offers back; it then pays."""
    row = _locked(session, reversal_id)
    if row.state in (ReversalState.AGREED, ReversalState.REVERSED):
        return row
    if row.gives_back or row.state != ReversalState.OFFERED:
        raise ReversalNotOffered(state=row.state)
    row.decided_by = decided_by
    _agree(session, clock, sealer, row)
    return row


def pay_back(session: Session, clock: Clock, question: Envelope) -> ReversalReceipt:
    """The other side agreed: our resident down, clearing up, and our signed receipt for it."""
    said = question.body
    assert isinstance(said, RequestReversal)
    row = session.get(Reversal, said.reversal_id, with_for_update=True)
    if row is None or not row.gives_back or row.peer != question.sender:
        raise ReversalNotOffered(state="unknown")
    if (row.exchange_id, row.minutes) != (said.exchange_id, said.minutes):
        raise IdReused(id=str(said.reversal_id))
    if row.state != ReversalState.REVERSED:
        if row.state != ReversalState.OFFERED:
            raise ReversalNotOffered(state=row.state)
        book(session, clock, row, at=clock.now(), sealed=None)
    return receipt_of(session, row, community=question.recipient)


def receipt_of(session: Session, row: Reversal, *, community: str) -> ReversalReceipt:
    """Our signed word about minutes we gave back."""
    kept = session.get_one(ReceiptRecord, row.id)
    return ReversalReceipt(
        row.id,
        row.exchange_id,
        debtor=community,
        creditor=row.peer,
        minutes=row.minutes,
        captured_at=kept.captured_at,
    )


def paid_back(
    session: Session, clock: Clock, question: Envelope, answer: ReversalReceipt, sealed: Sealed
) -> None:
    """They paid: clearing down, our resident up, and their signed word is kept."""
    said = question.body
    assert isinstance(said, RequestReversal)
    row = _locked(session, said.reversal_id)
    if row.state != ReversalState.AGREED:
        return
    told = (answer.reversal_id, answer.exchange_id, answer.debtor, answer.creditor, answer.minutes)
    if told != (row.id, row.exchange_id, row.peer, question.sender, row.minutes):
        code = "exchange.receipt_differs"
        evidence.note(session, clock, peer=row.peer, kind=code, sealed=sealed)
        _end(session, clock, row, code)
        return
    book(session, clock, row, at=answer.captured_at, sealed=sealed)


def book(
    session: Session, clock: Clock, row: Reversal, *, at: datetime, sealed: Sealed | None
) -> None:
    """Turn the held minutes into paid ones, with a receipt; `sealed` proves what they owe us."""
    _move(clock, row, ReversalState.REVERSED)
    ledger.capture_hold(session, clock, hold_id=row.id)
    session.add(
        ReceiptRecord(
            exchange_id=row.id,
            kind=ReceiptKind.REVERSAL,
            refers_to=row.exchange_id,
            peer=row.peer,
            is_debt=row.gives_back,
            minutes=row.minutes,
            captured_at=at,
            payload=sealed.payload if sealed else None,
            signature=sealed.signature if sealed else None,
        )
    )


def decline(
    session: Session, clock: Clock, sealer: Sealer, *, reversal_id: UUID, decided_by: UUID | None
) -> Reversal:
    """Say no, or take back what was asked or offered. Not once we agreed: then they may have paid.

    Whoever offered can still take it back until the other side's request arrives.
    """
    row = _locked(session, reversal_id)
    if row.state == ReversalState.DECLINED:
        return row
    if row.state not in (ReversalState.ASKED, ReversalState.OFFERED):
        raise rules.StepRefused(what="The reversal", state=row.state, to=ReversalState.DECLINED)
    row.decided_by = decided_by
    _end(session, clock, row, None)
    _send(session, clock, sealer, row, "decline", DeclineReversal(row.id, row.exchange_id))
    return row


def declined(session: Session, clock: Clock, question: Envelope) -> Noted:
    """The other side says no. Where we had agreed, its answer to our request says how it ends."""
    said = question.body
    assert isinstance(said, DeclineReversal)
    row = session.get(Reversal, said.reversal_id, with_for_update=True)
    if row is not None and row.peer == question.sender:
        if row.state == ReversalState.REVERSED:
            raise ReversalNotOffered(state=row.state)
        if row.state in (ReversalState.ASKED, ReversalState.OFFERED):
            _end(session, clock, row, "exchange.declined_there")
    return Noted(said.reversal_id)


def refused(session: Session, clock: Clock, question: Envelope, answer: Refusal) -> None:
    """The other side refused for good what we said: nothing moves, what was held is free."""
    said = question.body
    assert isinstance(said, AskReversal | OfferReversal | RequestReversal)
    row = _locked(session, said.reversal_id)
    waits_for = {
        AskReversal: ReversalState.ASKED,
        OfferReversal: ReversalState.OFFERED,
        RequestReversal: ReversalState.AGREED,
    }[type(said)]
    if row.state == waits_for:
        _end(session, clock, row, answer.code)


def _agree(session: Session, clock: Clock, sealer: Sealer, row: Reversal) -> None:
    rules.check_reversal_step(now=row.state, to=ReversalState.AGREED)
    limits.check_all_peers(session, peer=row.peer, needed=row.minutes)
    ledger.place_hold(
        session,
        clock,
        hold_id=row.id,
        payer_id=ledger.clearing_account(row.peer),
        payee_id=receipts.account_of(row.resident_id),
        amount=row.minutes,
        expires_at=None,
        reason=GIVEN_REASON,
    )
    _move(clock, row, ReversalState.AGREED)
    body = RequestReversal(row.id, row.exchange_id, row.minutes)
    _send(session, clock, sealer, row, "request", body)


def _judged_so(session: Session, row: Reversal) -> Dispute | None:
    """The dispute in which our arbiter said that these minutes come back, if there is one."""
    disputes = select(Dispute).where(
        Dispute.exchange_id == row.exchange_id,
        Dispute.peer == row.peer,
        Dispute.state != DisputeState.OPENED,
    )
    for dispute in session.scalars(disputes):
        given = select(Verdict.minutes).where(Verdict.dispute_id == dispute.id)
        if row.minutes in session.scalars(given).all():
            return dispute
    return None


def _begin(
    session: Session,
    clock: Clock,
    receipt: ReceiptRecord,
    reversal_id: UUID,
    minutes: int,
    state: ReversalState,
) -> Reversal:
    if minutes < 1:
        raise BadInput(field="minutes", problem=f"between 1 and {receipt.minutes}, not {minutes}")
    if minutes > receipt.minutes:
        raise ReversalTooLarge(paid=receipt.minutes, needed=minutes)
    receipts.check_unused(session, reversal_id)
    same = select(Reversal.id).where(
        Reversal.exchange_id == receipt.exchange_id, Reversal.state != ReversalState.DECLINED
    )
    if session.scalars(same).first() is not None:
        raise ReversalExists(exchange=str(receipt.exchange_id))
    return Reversal(
        id=reversal_id,
        exchange_id=receipt.exchange_id,
        peer=receipt.peer,
        gives_back=not receipt.is_debt,
        resident_id=receipts.our_resident(session, receipt.exchange_id),
        minutes=minutes,
        state=state,
        made_at=clock.now(),
        changed_at=clock.now(),
    )


def _known(
    session: Session, reversal_id: UUID, exchange_id: UUID, minutes: int, *, gives_back: bool
) -> Reversal | None:
    row = session.get(Reversal, reversal_id, with_for_update=True)
    if row is None:
        return None
    if (row.exchange_id, row.minutes, row.gives_back) != (exchange_id, minutes, gives_back):
        raise IdReused(id=str(reversal_id))
    return row


def _receipt(
    session: Session, exchange_id: UUID, *, is_debt: bool, peer: str | None = None
) -> ReceiptRecord:
    found = session.get(ReceiptRecord, exchange_id)
    if (
        found is None
        or found.is_debt is not is_debt
        or found.kind == ReceiptKind.REVERSAL
        or (peer is not None and found.peer != peer)
    ):
        raise ReceiptUnknown(exchange=str(exchange_id))
    return found


def _end(session: Session, clock: Clock, row: Reversal, code: str | None) -> None:
    is_held = row.state == (ReversalState.OFFERED if row.gives_back else ReversalState.AGREED)
    _move(clock, row, ReversalState.DECLINED)
    row.refusal = code
    if code is not None and row.dispute_id is not None:  # judged, yet not back: it is shown
        session.get_one(Dispute, row.dispute_id).refusal = code
    if is_held:
        ledger.void_hold(session, clock, hold_id=row.id)


def _move(clock: Clock, row: Reversal, to: ReversalState) -> None:
    rules.check_reversal_step(now=row.state, to=to)
    row.state, row.changed_at = to, clock.now()


def _send(
    session: Session, clock: Clock, sealer: Sealer, row: Reversal, act: str, body: Body
) -> None:
    outbox.enqueue(
        session,
        clock,
        sealer,
        message_id=derived_id(f"{act} reversal", row.id),
        recipient=row.peer,
        body=body,
    )


def _locked(session: Session, reversal_id: UUID) -> Reversal:
    found = session.get(Reversal, reversal_id, with_for_update=True)
    if found is None:
        raise NotFound(what="reversal", id=str(reversal_id))
    return found
