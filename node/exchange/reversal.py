"""Minutes of a captured exchange on their way back, by consent of both sides or by a verdict.

Whose resident was paid gives back, so that side pays and decides: it holds the minutes (OFFERED),
the other side agrees and reserves its limit (AGREED), asks, and gets a signed receipt with the debt
turned. Nothing that was written is changed: both books get compensating entries. An exchange can go
back in parts, one after the other; a verdict takes the place of what is still open. Every function
runs inside the caller's transaction.
"""

from collections.abc import Collection
from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from node.exchange import evidence, limits, receipts, remainder, rules
from node.exchange import reversal_steps as steps
from node.exchange.messages import (
    AskReversal,
    DeclineReversal,
    Noted,
    OfferReversal,
    RequestReversal,
    ReversalReceipt,
)
from node.exchange.model import Dispute, ReceiptRecord, Reversal
from node.exchange.refusals import ReversalNotOffered
from node.exchange.remainder import OPEN
from node.exchange.rules import DisputeState, ReceiptKind, ReversalState
from node.kernel.errors import DomainError, IdReused
from node.kernel.messages import Envelope, Refusal, Sealed, Sealer
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.cap import sweep_surplus

TAKEN_REASON, GIVEN_REASON = "taken_back", "given_back"
NONE_IN_THE_WAY: frozenset[str] = frozenset()


def ask(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    *,
    reversal_id: UUID,
    exchange_id: UUID,
    minutes: int,
    decided_by: UUID | None,
    consent: str | None = None,
) -> Reversal:
    """Our resident paid for what was not so: ask the other side to give minutes back."""
    if known := steps.known(session, reversal_id, exchange_id, minutes, gives_back=False):
        return known
    receipt = steps.paid_receipt(session, exchange_id, is_debt=True)
    row = steps.begin(session, clock, receipt, reversal_id, minutes, blocking=OPEN)
    row.decided_by, row.consent = decided_by, consent
    session.add(row)
    steps.send(
        session, clock, sealer, row, "ask", AskReversal(row.id, row.exchange_id, row.minutes)
    )
    return row


def asked(session: Session, clock: Clock, sealer: Sealer, question: Envelope) -> Noted:
    """The other side asks for minutes back: people here decide, unless arbiters have."""
    said = question.body
    assert isinstance(said, AskReversal)
    if not steps.known(session, said.reversal_id, said.exchange_id, said.minutes, gives_back=True):
        receipt = steps.paid_receipt(session, said.exchange_id, is_debt=False, peer=question.sender)
        judged = remainder.judged_so(session, receipt, said.minutes, reversal_id=said.reversal_id)
        if judged is not None:
            steps.close(session, clock, sealer, said.exchange_id, OPEN)
        row = steps.begin(session, clock, receipt, said.reversal_id, said.minutes, blocking=OPEN)
        session.add(row)
        if judged is not None:
            _offer_as_judged(session, clock, sealer, row, judged.dispute)
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
    consent: str | None = None,
    dispute_id: UUID | None = None,
) -> Reversal:
    """Give minutes back that our resident was paid: hold them, and ask the other side to agree.

    One offer of an exchange is open at a time; it takes the place of what was asked for.
    """
    row = steps.known(session, reversal_id, exchange_id, minutes, gives_back=True)
    if row is not None and row.state != ReversalState.ASKED:
        return row
    receipt = steps.paid_receipt(session, exchange_id, is_debt=False)
    blocking = {ReversalState.OFFERED}
    if row is None:
        row = steps.begin(session, clock, receipt, reversal_id, minutes, blocking=blocking)
    else:
        remainder.check(session, receipt, minutes, reversal_id=row.id, blocking=blocking)
    limits.check_giving_back(session, peer=row.peer, minutes=minutes)
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
    steps.move(clock, row, ReversalState.OFFERED)
    steps.close(session, clock, sealer, exchange_id, {ReversalState.ASKED})
    row.decided_by, row.consent, row.dispute_id = decided_by, consent, dispute_id
    steps.send(
        session, clock, sealer, row, "offer", OfferReversal(row.id, row.exchange_id, row.minutes)
    )
    return row


def offered(session: Session, clock: Clock, sealer: Sealer, question: Envelope) -> Noted:
    """Minutes are offered back: take them if we asked or judged so, else people here decide."""
    said = question.body
    assert isinstance(said, OfferReversal)
    row = steps.known(session, said.reversal_id, said.exchange_id, said.minutes, gives_back=False)
    if row is not None and row.state != ReversalState.ASKED:
        if row.state == ReversalState.DECLINED and row.refusal != steps.DECLINED_THERE:
            raise ReversalNotOffered(state=row.state)
        return Noted(row.id)
    if row is not None:  # we asked for it: our consent stands
        _agree(session, clock, sealer, row)
        return Noted(row.id)
    receipt = steps.paid_receipt(session, said.exchange_id, is_debt=True, peer=question.sender)
    judged = remainder.judged_so(session, receipt, said.minutes, reversal_id=said.reversal_id)
    row = steps.begin(
        session, clock, receipt, said.reversal_id, said.minutes, blocking=NONE_IN_THE_WAY
    )
    steps.move(clock, row, ReversalState.OFFERED)
    session.add(row)
    steps.close(session, clock, sealer, row.exchange_id, {ReversalState.ASKED})  # answered by this
    if judged is not None:
        dispute, minutes = judged
        row.dispute_id = dispute.id
        dispute.state, dispute.verdict_minutes = DisputeState.JUDGED, minutes
        dispute.changed_at = clock.now()
        _agree(session, clock, sealer, row)
    return Noted(row.id)


def agree(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    *,
    reversal_id: UUID,
    decided_by: UUID | None,
    consent: str | None = None,
) -> Reversal:
    """Say yes to what the other side offers back; it then pays."""
    row = steps.locked(session, reversal_id)
    if row.state in (ReversalState.AGREED, ReversalState.REVERSED):
        return row
    if row.gives_back or row.state != ReversalState.OFFERED:
        raise ReversalNotOffered(state=row.state)
    row.decided_by, row.consent = decided_by, consent
    _agree(session, clock, sealer, row, blocking={ReversalState.AGREED})
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
    row = steps.locked(session, said.reversal_id)
    if row.state != ReversalState.AGREED:
        return
    told = (answer.reversal_id, answer.exchange_id, answer.debtor, answer.creditor, answer.minutes)
    if told != (row.id, row.exchange_id, row.peer, question.sender, row.minutes):
        code = "exchange.receipt_differs"
        evidence.note(session, clock, peer=row.peer, kind=code, sealed=sealed)
        steps.end(session, clock, row, code)
        return
    book(session, clock, row, at=answer.captured_at, sealed=sealed)


def book(
    session: Session, clock: Clock, row: Reversal, *, at: datetime, sealed: Sealed | None
) -> None:
    """Turn the held minutes into paid ones, with a receipt; `sealed` proves what they owe us."""
    steps.move(clock, row, ReversalState.REVERSED)
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
    if row.resident_id is not None and not row.gives_back:  # a credit like any other
        account_id = receipts.account_of(row.resident_id)
        sweep_surplus(session, clock, account_id=account_id, refers_to=row.id)


def decline(
    session: Session, clock: Clock, sealer: Sealer, *, reversal_id: UUID, decided_by: UUID | None
) -> Reversal:
    """Say no, or take back what was asked or offered. Not once we agreed: then they may have paid.

    Whoever offered can still take it back until the other side's request arrives.
    """
    row = steps.locked(session, reversal_id)
    if row.state == ReversalState.DECLINED:
        return row
    if row.state not in (ReversalState.ASKED, ReversalState.OFFERED):
        raise rules.StepRefused(what="The reversal", state=row.state, to=ReversalState.DECLINED)
    row.decided_by = decided_by
    steps.end(session, clock, row, None)
    steps.send(session, clock, sealer, row, "decline", DeclineReversal(row.id, row.exchange_id))
    return row


def declined(session: Session, clock: Clock, question: Envelope) -> Noted:
    """The other side says no. Where we had agreed, its answer to our request says how it ends.

    What it asked or offered may come only after this: then it finds that it has ended.
    """
    said = question.body
    assert isinstance(said, DeclineReversal)
    row = session.get(Reversal, said.reversal_id, with_for_update=True)
    if row is None:
        steps.end_ahead(session, clock, said, peer=question.sender)
    elif row.peer == question.sender:
        if row.state == ReversalState.REVERSED:
            raise ReversalNotOffered(state=row.state)
        if row.state in (ReversalState.ASKED, ReversalState.OFFERED):
            steps.end(session, clock, row, steps.DECLINED_THERE)
    return Noted(said.reversal_id)


def refused(session: Session, clock: Clock, question: Envelope, answer: Refusal) -> None:
    """The other side refused for good what we said: nothing moves, what was held is free."""
    said = question.body
    assert isinstance(said, AskReversal | OfferReversal | RequestReversal)
    row = steps.locked(session, said.reversal_id)
    waits_for = {
        AskReversal: ReversalState.ASKED,
        OfferReversal: ReversalState.OFFERED,
        RequestReversal: ReversalState.AGREED,
    }[type(said)]
    if row.state == waits_for:
        steps.end(session, clock, row, answer.code)


def _offer_as_judged(
    session: Session, clock: Clock, sealer: Sealer, row: Reversal, dispute: Dispute
) -> None:
    """What is asked for is what the arbiters said; what keeps us from it is shown beside it."""
    try:
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
    except DomainError as refusal:  # before anything was written: people can still offer it
        dispute.refusal = refusal.code


def carry_out(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    dispute: Dispute,
    *,
    minutes: int,
    decided_by: UUID | None,
) -> None:
    """Give back what a verdict wants back in all, less what went back before.

    What is still asked for or offered about the exchange ends: the verdict takes its place.
    """
    steps.paid_receipt(session, dispute.exchange_id, is_debt=False)
    earlier = remainder.of_exchange(session, dispute.exchange_id)
    if any(one.dispute_id == dispute.id and one.state == ReversalState.OFFERED for one in earlier):
        return
    steps.close(session, clock, sealer, dispute.exchange_id, OPEN)
    if still := remainder.due(earlier, dispute, minutes):
        offer(
            session,
            clock,
            sealer,
            reversal_id=remainder.verdict_id(dispute, len(earlier)),
            exchange_id=dispute.exchange_id,
            minutes=still,
            decided_by=decided_by,
            dispute_id=dispute.id,
        )


def _agree(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    row: Reversal,
    *,
    blocking: Collection[str] = NONE_IN_THE_WAY,
) -> None:
    rules.check_reversal_step(now=row.state, to=ReversalState.AGREED)
    receipt = steps.paid_receipt(session, row.exchange_id, is_debt=True)
    remainder.check(session, receipt, row.minutes, reversal_id=row.id, blocking=blocking)
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
    steps.move(clock, row, ReversalState.AGREED)
    body = RequestReversal(row.id, row.exchange_id, row.minutes)
    steps.send(session, clock, sealer, row, "request", body)
