"""Two sides say how an exchange was, an arbiter of each judges, and an agreed verdict is paid back.

Only ids, codes and figures of the books travel; what people wrote stays in `words`. A verdict is a
signed word that its side can be held to. Whose resident was paid gives back, so that side sees
whether both arbiters said the same and carries it out as a reversal. Where they differ, the dispute
stays open and is shown. Every function runs inside the caller's transaction.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.exchange import claim, receipts, remainder, reversal, rules
from node.exchange.messages import AnswerDispute, JudgeDispute, Noted, OpenDispute
from node.exchange.model import Dispute, ReceiptRecord, Verdict
from node.exchange.refusals import (
    DisputeClosed,
    DisputeExists,
    DisputeUnknown,
    OwnDispute,
    ReceiptUnknown,
    ReversalTooLarge,
)
from node.exchange.rules import DisputeCode, DisputeState
from node.kernel.errors import BadInput, DomainError, IdReused
from node.kernel.ids import derived_id
from node.kernel.messages import Body, Envelope, Refusal, Sealer
from node.kernel.ports import Clock
from node.outbox import service as outbox

WORDS_MAX = 4_000  # characters of evidence that one side keeps
PAGE_ROWS = 50


def open_dispute(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    *,
    dispute_id: UUID,
    exchange_id: UUID,
    code: str,
    minutes: int,
    words: str = "",
    recorded_by: UUID | None = None,
    peer: str | None = None,
) -> Dispute:
    """Say that it was not so, and how many minutes should go back.

    `peer` is for an exchange of which only the other side has a receipt.
    """
    if known := session.get(Dispute, dispute_id):
        if (known.exchange_id, known.is_ours) != (exchange_id, True):
            raise IdReused(id=str(dispute_id))
        return known
    receipt = session.get(ReceiptRecord, exchange_id)
    if receipt is None and peer is None:
        raise ReceiptUnknown(exchange=str(exchange_id))
    if _running(session, exchange_id) is not None:
        raise DisputeExists(exchange=str(exchange_id))
    row = Dispute(
        id=dispute_id,
        exchange_id=exchange_id,
        peer=receipt.peer if receipt else peer,
        is_ours=True,
        gives_back=not receipt.is_debt if receipt else None,
        state=DisputeState.OPENED,
        our_code=_code(code),
        our_minutes=minutes,
        words=_words(words),
        recorded_by=recorded_by,
        opened_at=clock.now(),
        changed_at=clock.now(),
    )
    _check_minutes(session, row, minutes)
    session.add(row)
    ours = claim.ours(session, row, community=sealer.community)
    body = OpenDispute(row.id, exchange_id, code, minutes, ours)
    _send(session, clock, sealer, row, "open", body)
    return row


def opened(session: Session, clock: Clock, sealer: Sealer, question: Envelope) -> Noted:
    """The other side says it was not so.

    Where both opened one at the same moment, the smaller id stands, the other is its answer.
    """
    said = question.body
    assert isinstance(said, OpenDispute)
    if known := session.get(Dispute, said.dispute_id):
        if (known.exchange_id, known.peer) != (said.exchange_id, question.sender):
            raise IdReused(id=str(said.dispute_id))
        return Noted(known.id)
    claim.check_minutes(said.minutes)
    receipt = session.get(ReceiptRecord, said.exchange_id)
    if receipt is not None and receipt.peer != question.sender:
        raise ReceiptUnknown(exchange=str(said.exchange_id))
    mine = _running(session, said.exchange_id)
    is_crossing = mine is not None and mine.is_ours and mine.state == DisputeState.OPENED
    if mine is not None and not (is_crossing and said.dispute_id < mine.id):
        raise DisputeExists(exchange=str(said.exchange_id))
    row = Dispute(
        id=said.dispute_id,
        exchange_id=said.exchange_id,
        peer=question.sender,
        is_ours=False,
        gives_back=not receipt.is_debt if receipt else None,
        state=DisputeState.OPENED,
        their_code=_code(said.code),
        their_minutes=said.minutes,
        opened_at=clock.now(),
        changed_at=clock.now(),
    )
    session.add(row)
    claim.keep(session, row, said.receipt, community=sealer.community)
    if mine is not None:
        row.words, row.recorded_by = mine.words, mine.recorded_by
        _answer(session, clock, sealer, row, str(mine.our_code), mine.our_minutes or 0)
        session.delete(mine)
    return Noted(row.id)


def answer(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    *,
    dispute_id: UUID,
    code: str,
    minutes: int,
    words: str = "",
    recorded_by: UUID | None = None,
) -> Dispute:
    """Our side's word in a dispute that the other side opened; the arbiters judge next."""
    row = find(session, dispute_id)
    if row.state != DisputeState.OPENED and (row.our_code, row.our_minutes) == (code, minutes):
        return row
    if row.is_ours:
        raise DisputeClosed(state=row.state)
    _check_minutes(session, row, minutes)
    row.words, row.recorded_by = _words(words), recorded_by
    _answer(session, clock, sealer, row, _code(code), minutes)
    return row


def answered(session: Session, clock: Clock, question: Envelope) -> Noted:
    """The other side has said how it was."""
    said = question.body
    assert isinstance(said, AnswerDispute)
    claim.check_minutes(said.minutes)
    row = _with(session, said.dispute_id, question.sender)
    if row.state == DisputeState.OPENED and row.is_ours:
        _move(clock, row, DisputeState.ANSWERED)
        row.their_code, row.their_minutes = _code(said.code), said.minutes
        claim.keep(session, row, said.receipt, community=question.recipient)
    return Noted(row.id)


def judge(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    *,
    dispute_id: UUID,
    minutes: int,
    arbiter: UUID | None,
) -> Dispute:
    """Our arbiter's verdict. Said again with other minutes, it moves towards the other's."""
    row = find(session, dispute_id)
    if row.state == DisputeState.JUDGED and row.verdict_minutes == minutes:
        return row
    rules.check_dispute_step(now=row.state, to=DisputeState.JUDGED)
    if row.our_verdict == minutes:
        return row
    if arbiter is not None and arbiter == receipts.our_resident(session, row.exchange_id):
        raise OwnDispute
    _check_minutes(session, row, minutes)
    given = select(func.count()).where(Verdict.dispute_id == row.id)
    number = (session.scalar(given) or 0) + 1
    if number > rules.VERDICTS_MAX:
        raise DisputeClosed(state=row.state)
    session.add(
        Verdict(
            dispute_id=row.id,
            number=number,
            minutes=minutes,
            arbiter=arbiter,
            given_at=clock.now(),
        )
    )
    row.our_verdict, row.our_arbiter, row.changed_at = minutes, arbiter, clock.now()
    is_agreed = row.gives_back is not False and row.their_verdict == minutes
    body = JudgeDispute(row.id, minutes, is_agreed)
    _send(session, clock, sealer, row, f"judge {number}", body)
    if is_agreed:
        _conclude(session, clock, sealer, row, minutes)
    return row


def judged(session: Session, clock: Clock, sealer: Sealer, question: Envelope) -> Noted:
    """The other side's arbiter has judged; where ours said the same, the dispute is over."""
    said = question.body
    assert isinstance(said, JudgeDispute)
    claim.check_minutes(said.minutes)
    row = _with(session, said.dispute_id, question.sender)
    if row.state == DisputeState.JUDGED:
        return Noted(row.id)
    has_overtaken = row.state == DisputeState.OPENED and row.is_ours  # their answer is on its way
    if row.state != DisputeState.ANSWERED and not has_overtaken:
        raise DisputeClosed(state=row.state)
    if row.their_verdict_at is not None and question.sent_at < row.their_verdict_at:
        return Noted(row.id)  # a newer one has overtaken it
    row.their_verdict, row.their_verdict_at = said.minutes, question.sent_at
    row.changed_at = clock.now()
    if row.gives_back is not False:  # we carry it out, so we say that it is agreed
        if row.our_verdict == said.minutes:
            _send(session, clock, sealer, row, "agree", JudgeDispute(row.id, said.minutes, True))
            _conclude(session, clock, sealer, row, said.minutes)
    elif said.is_agreed and said.minutes in _given(session, row.id):
        _move(clock, row, DisputeState.JUDGED)
        row.verdict_minutes = said.minutes
    return Noted(row.id)


def carry_out(
    session: Session, clock: Clock, sealer: Sealer, *, dispute_id: UUID, decided_by: UUID | None
) -> Dispute:
    """Try again to pay back what both arbiters said, once what stood in the way is gone."""
    row = find(session, dispute_id)
    if row.state != DisputeState.JUDGED or not row.gives_back:
        raise DisputeClosed(state=row.state)
    if remainder.of_dispute(session, row.exchange_id)[0] is not row:
        raise DisputeClosed(state="judged anew")
    minutes = row.verdict_minutes or 0
    reversal.carry_out(session, clock, sealer, row, minutes=minutes, decided_by=decided_by)
    row.refusal = None
    return row


def refused(session: Session, clock: Clock, question: Envelope, answer: Refusal) -> None:
    """The other side did not take what we said: the reason is shown beside the dispute."""
    said = question.body
    assert isinstance(said, OpenDispute | AnswerDispute | JudgeDispute)
    row = session.get(Dispute, said.dispute_id)
    if row is not None:  # it is gone where theirs was opened at the same moment and stands
        row.refusal, row.changed_at = answer.code, clock.now()


def find(session: Session, dispute_id: UUID) -> Dispute:
    """The dispute with this id; refuses an unknown one."""
    found = session.get(Dispute, dispute_id, with_for_update=True)
    if found is None:
        raise DisputeUnknown(dispute=str(dispute_id))
    return found


def latest(session: Session, *, limit: int = PAGE_ROWS) -> Sequence[Dispute]:
    """Disputes that still need somebody first, then the newest."""
    is_over = Dispute.state == DisputeState.JUDGED
    order = select(Dispute).order_by(is_over, Dispute.changed_at.desc())
    return session.scalars(order.limit(limit)).all()


def _conclude(session: Session, clock: Clock, sealer: Sealer, row: Dispute, minutes: int) -> None:
    _move(clock, row, DisputeState.JUDGED)
    row.verdict_minutes = minutes
    if not row.gives_back:
        return
    if DisputeCode.RECEIPT_MISSING in (row.our_code, row.their_code) or claim.is_open(session, row):
        return  # there is no one receipt to turn: first the books are made the same (judged.py)
    try:
        by = row.our_arbiter
        reversal.carry_out(session, clock, sealer, row, minutes=minutes, decided_by=by)
    except DomainError as refusal:  # most often: our resident has spent them
        row.refusal = refusal.code


def _answer(
    session: Session, clock: Clock, sealer: Sealer, row: Dispute, code: str, minutes: int
) -> None:
    _move(clock, row, DisputeState.ANSWERED)
    row.our_code, row.our_minutes = code, minutes
    ours = claim.ours(session, row, community=sealer.community)
    _send(session, clock, sealer, row, "answer", AnswerDispute(row.id, code, minutes, ours))


def _running(session: Session, exchange_id: UUID) -> Dispute | None:
    same = select(Dispute).where(
        Dispute.exchange_id == exchange_id, Dispute.state != DisputeState.JUDGED
    )
    return session.scalars(same).first()


def _given(session: Session, dispute_id: UUID) -> Sequence[int]:
    return session.scalars(select(Verdict.minutes).where(Verdict.dispute_id == dispute_id)).all()


def _with(session: Session, dispute_id: UUID, peer: str) -> Dispute:
    row = find(session, dispute_id)
    if row.peer != peer:
        raise DisputeUnknown(dispute=str(dispute_id))
    return row


def _check_minutes(session: Session, row: Dispute, minutes: int) -> None:
    if minutes < 0:
        raise BadInput(field="minutes", problem="0 or more")
    paid = claim.minutes_most(session, row)
    if minutes > paid:
        raise ReversalTooLarge(paid=paid, needed=minutes)


def _code(code: str) -> str:
    if code not in set(DisputeCode):
        raise BadInput(field="code", problem=f"one of {', '.join(DisputeCode)}")
    return code


def _words(words: str) -> str:
    if len(words) > WORDS_MAX:
        raise BadInput(field="words", problem="this is too long")
    return words.strip()


def _move(clock: Clock, row: Dispute, to: DisputeState) -> None:
    rules.check_dispute_step(now=row.state, to=to)
    row.state, row.changed_at = to, clock.now()


def _send(
    session: Session, clock: Clock, sealer: Sealer, row: Dispute, act: str, body: Body
) -> None:
    outbox.enqueue(
        session,
        clock,
        sealer,
        message_id=derived_id(f"{act} dispute", row.id),
        recipient=row.peer,
        body=body,
    )
