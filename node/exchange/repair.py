"""Prove a receipt to a peer, and book one that a signature proves: how a difference ends.

A debtor's own signature proves a debt, its word in the answer as well: that answer is kept as the
receipt's proof from then on, and proves it to the debtor itself should it lose its books. What is
proven is booked by the same steps as if the message had come in time; what is not stays as it is,
for people to judge.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from uuid import UUID

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import compare, gift, home, host, judged, receipts, reversal, rules
from node.exchange.messages import (
    FetchReceipts,
    GiftOrder,
    Receipt,
    ReceiptLine,
    ReceiptsFound,
    ReversalReceipt,
)
from node.exchange.model import Gift, Pass, ReceiptRecord, Reversal, Visit
from node.exchange.rules import (
    DisputeCode,
    GiftState,
    PassState,
    ReceiptKind,
    ReversalState,
    VisitState,
)
from node.kernel.db import savepoint
from node.kernel.errors import BadInput, DomainError
from node.kernel.messages import Envelope, Sealed, Sealer
from node.kernel.ports import Clock
from node.outbox.model import OUTBOX

log = structlog.get_logger()

OpenSigned = Callable[[Sealed], Envelope | None]
"""The message in these bytes, if we or the peer signed it; else None."""


class NotProven(DomainError):
    code = "exchange.not_proven"
    message = "Nothing here proves the receipt {receipt}."


def fetch(session: Session, question: Envelope) -> ReceiptsFound:
    """What our books have of these ids, with the words that prove it."""
    asked = question.body
    assert isinstance(asked, FetchReceipts)
    if not 0 < len(asked.ids) <= rules.FETCH_MAX:
        raise BadInput(field="ids", problem=f"1 to {rules.FETCH_MAX}, not {len(asked.ids)}")
    named = select(ReceiptRecord).where(
        ReceiptRecord.exchange_id.in_(asked.ids), ReceiptRecord.peer == question.sender
    )
    lines, proofs = [], []
    for record in session.scalars(named.order_by(ReceiptRecord.exchange_id)):
        line = receipts.line_of(record, question.recipient)
        lines.append(replace(line, pass_id=_pass_paid(session, line.id)))
        if (proof := _proof(session, record)) is not None:
            proofs.append(proof)
    return ReceiptsFound(tuple(lines), tuple(proofs))


def found(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    question: Envelope,
    answer: ReceiptsFound,
    sealed: Sealed,
    open_signed: OpenSigned,
) -> None:
    """Book each receipt that is proven; open a dispute about each that is not."""
    asked = question.body
    assert isinstance(asked, FetchReceipts)
    peer, wanted = question.recipient, set(asked.ids)
    proofs = _by_receipt(answer, open_signed)
    days: dict[int, int] = {}
    unproven: list[UUID] = []
    alone: list[UUID] = []
    for line in answer.lines:
        if line.id not in wanted or session.get(ReceiptRecord, line.id) is not None:
            continue
        if line.debtor == peer and len(sealed.payload) > rules.PROOF_BYTES_MAX:
            too_long = unproven if len(wanted) == 1 else alone  # an older program asked for many
            too_long.append(line.id)
            continue
        try:
            with savepoint(session):
                _book(session, clock, sealer.community, peer, line, proofs, sealed)
        except DomainError as refusal:
            if _is_booked_as_judged(session, clock, sealer, peer, line, sealed):
                continue
            log.warning("receipt_not_proven", id=str(line.id), peer=peer, code=refusal.code)
            unproven.append(line.id)
        else:
            log.warning("receipt_repaired", id=str(line.id), peer=peer, kind=line.kind)
            day = receipts.day_of(line.captured_at)
            days[day] = days.get(day, 0) + 1
    compare.fetch(session, clock, sealer, peer=peer, ids=alone)
    compare.raise_dispute(session, clock, sealer, peer, unproven, DisputeCode.RECEIPT_MISSING)
    for day, count in sorted(days.items()):
        compare.repaired(session, clock, sealer, peer=peer, day=day, count=count)


def _is_booked_as_judged(
    session: Session, clock: Clock, sealer: Sealer, peer: str, line: ReceiptLine, sealed: Sealed
) -> bool:
    """Whether two arbiters have said what no signature proves, and the books now have it."""
    try:
        with savepoint(session):
            return judged.book(session, clock, sealer, peer, line, sealed)
    except DomainError as refusal:  # a limit, say: asked for again later
        log.warning("judged_receipt_waits", id=str(line.id), peer=peer, code=refusal.code)
        return True


def _book(
    session: Session,
    clock: Clock,
    community: str,
    peer: str,
    line: ReceiptLine,
    proofs: Mapping[UUID, Envelope],
    sealed: Sealed,
) -> None:
    """Book one receipt; raises NotProven, or the refusal of the step that it would have been."""
    if (line.debtor, line.creditor) == (peer, community):
        book = {
            ReceiptKind.CAPTURE: _credit_visit,
            ReceiptKind.GIFT: _credit_gift,
            ReceiptKind.REVERSAL: _credit_reversal,
        }
    elif (line.debtor, line.creditor) == (community, peer):
        book = {
            ReceiptKind.CAPTURE: _owe_capture,
            ReceiptKind.GIFT: _owe_gift,
            ReceiptKind.REVERSAL: _owe_reversal,
        }
    else:
        raise NotProven(receipt=str(line.id))
    if line.kind not in set(ReceiptKind):
        raise NotProven(receipt=str(line.id))
    book[ReceiptKind(line.kind)](session, clock, line, proofs.get(line.id), sealed)


def _credit_visit(
    session: Session, clock: Clock, line: ReceiptLine, _proof: Envelope | None, sealed: Sealed
) -> None:
    visit = session.get(Visit, line.id, with_for_update=True)
    said = (line.debtor, line.minutes, VisitState.CONFIRMED)
    if visit is None or (visit.home, visit.minutes, visit.state) != said:
        raise NotProven(receipt=str(line.id))
    host.take_receipt(session, clock, line.id, captured_at=line.captured_at, sealed=sealed)


def _credit_gift(
    session: Session, clock: Clock, line: ReceiptLine, proof: Envelope | None, _sealed: Sealed
) -> None:
    order = proof.body if proof is not None and proof.sender == line.debtor else None
    if not isinstance(order, GiftOrder) or order.minutes != line.minutes or proof is None:
        raise NotProven(receipt=str(line.id))
    gift.credit(session, clock, proof, at=line.captured_at)


def _credit_reversal(
    session: Session, clock: Clock, line: ReceiptLine, _proof: Envelope | None, sealed: Sealed
) -> None:
    row = session.get(Reversal, line.id, with_for_update=True)
    said = (line.debtor, line.minutes, line.refers_to, ReversalState.AGREED)
    if row is None or (row.peer, row.minutes, row.exchange_id, row.state) != said:
        raise NotProven(receipt=str(line.id))
    reversal.book(session, clock, row, at=line.captured_at, sealed=sealed)


def _owe_capture(
    session: Session, clock: Clock, line: ReceiptLine, proof: Envelope | None, _sealed: Sealed
) -> None:
    """We signed this receipt and lost our books of it, to an old backup most likely."""
    pass_id = _pass_of(session, line, proof)
    promised = session.get(Pass, pass_id, with_for_update=True) if pass_id else None
    if promised is None or promised.host != line.creditor:
        raise NotProven(receipt=str(line.id))
    if promised.state == PassState.ISSUED:
        home.bind(session, clock, promised, line.id)
    if promised.exchange_id != line.id or promised.state != PassState.ACCEPTED:
        raise NotProven(receipt=str(line.id))
    home.pay(session, clock, pass_id=promised.id, minutes=line.minutes, at=line.captured_at)


def _owe_gift(
    session: Session, clock: Clock, line: ReceiptLine, proof: Envelope | None, sealed: Sealed
) -> None:
    order = proof.body if proof is not None and proof.sender == line.debtor else None
    given = session.get(Gift, line.id, with_for_update=True)
    said = (line.creditor, line.minutes, GiftState.SENT)
    is_ordered = isinstance(order, GiftOrder) and order.minutes == line.minutes
    if not is_ordered or given is None or (given.peer, given.minutes, given.state) != said:
        raise NotProven(receipt=str(line.id))
    gift.take_acceptance(session, clock, given, accepted_at=line.captured_at, sealed=sealed)


def _owe_reversal(
    session: Session, clock: Clock, line: ReceiptLine, proof: Envelope | None, _sealed: Sealed
) -> None:
    receipt = proof.body if proof is not None and proof.sender == line.debtor else None
    if isinstance(receipt, ReversalReceipt):
        said = (receipt.reversal_id, receipt.creditor, receipt.minutes, receipt.captured_at)
        is_said = said == (line.id, line.creditor, line.minutes, line.captured_at)
    else:
        is_said = _line_said(proof, line) is not None
    row = session.get(Reversal, line.id, with_for_update=True)
    offered = (line.creditor, line.refers_to, line.minutes, ReversalState.OFFERED)
    if row is None or (row.peer, row.exchange_id, row.minutes, row.state) != offered:
        raise NotProven(receipt=str(line.id))
    if not is_said:
        raise NotProven(receipt=str(line.id))
    reversal.book(session, clock, row, at=line.captured_at, sealed=None)


def _pass_of(session: Session, line: ReceiptLine, proof: Envelope | None) -> UUID | None:
    """The pass that the debtor's own signed words say it paid for this receipt; None without."""
    if proof is None or proof.sender != line.debtor:
        return None
    if isinstance(proof.body, Receipt):
        receipt = proof.body
        said = (receipt.exchange_id, receipt.host, receipt.minutes, receipt.captured_at)
        is_said = said == (line.id, line.creditor, line.minutes, line.captured_at)
        return receipt.pass_id if is_said else None
    own = _line_said(proof, line)
    return (own.pass_id or _pass_paid(session, line.id)) if own else None


def _line_said(proof: Envelope | None, line: ReceiptLine) -> ReceiptLine | None:
    """The same line in an answer that the debtor once gave to this creditor, and signed."""
    if proof is None or not isinstance(proof.body, ReceiptsFound):
        return None
    if (proof.sender, proof.recipient) != (line.debtor, line.creditor):
        return None
    return next((own for own in proof.body.lines if own == line), None)


def _pass_paid(session: Session, exchange_id: UUID) -> UUID | None:
    return session.scalar(select(Pass.id).where(Pass.exchange_id == exchange_id))


def _proof(session: Session, record: ReceiptRecord) -> Sealed | None:
    """The signed words that prove a receipt: the peer's own, or our order of a gift."""
    if not record.is_debt and record.payload is not None and record.signature is not None:
        return Sealed(record.payload, record.signature)
    if record.is_debt and record.kind == ReceiptKind.GIFT:
        sent = select(OUTBOX.c.payload, OUTBOX.c.signature)
        row = session.execute(sent.where(OUTBOX.c.id == gift.order_id(record.exchange_id))).first()
        return Sealed(row.payload, row.signature) if row else None
    return None


def _by_receipt(answer: ReceiptsFound, open_signed: OpenSigned) -> dict[UUID, Envelope]:
    opened: dict[UUID, Envelope] = {}
    for proof in answer.proofs[: rules.FETCH_MAX]:
        envelope = open_signed(proof)
        match envelope and envelope.body:
            case Receipt(exchange_id=receipt_id):
                pass
            case GiftOrder(gift_id=receipt_id):
                pass
            case ReversalReceipt(reversal_id=receipt_id):
                pass
            case ReceiptsFound(lines=lines):
                assert envelope is not None
                for line in lines[: rules.FETCH_MAX]:
                    opened.setdefault(line.id, envelope)
                continue
            case _:
                continue
        assert envelope is not None
        opened[receipt_id] = envelope
    return opened
