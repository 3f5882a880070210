"""Host's side of an exchange: we help another community's resident, and credit our volunteer.

Our own hold stands on what home may owe us (clearing), so that our limit for that community is
reserved before the help is given. The volunteer is credited on home's signed receipt alone.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from node.exchange import evidence, limits, receipts, rules
from node.exchange.messages import (
    PassAccepted,
    PresentPass,
    Receipt,
    ReleasePass,
    RequestCapture,
)
from node.exchange.model import RECEIPT, VISIT_IS_OPEN, VISITS, Visit, VisitRow
from node.exchange.rules import VisitState
from node.kernel import rows
from node.kernel.errors import BadInput, DomainError, IdReused, NotFound
from node.kernel.ids import step_id
from node.kernel.messages import Envelope, Refusal, Sealed, Sealer
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.cap import sweep_surplus
from node.ledger.model import Unit
from node.outbox import service as outbox
from node.peer.admission import AHEAD_MAX
from node.residents import service as residents

REASON = "helped_guest"
PARTIES = ("elder", "provider")


def present_pass(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    *,
    exchange_id: UUID,
    code: str,
    provider_id: UUID,
    presented_by: UUID | None,
) -> Visit:
    """Somebody shows a pass at our desk: ask its home to bind it to this exchange."""
    home, short = rules.split_code(code)
    if known := session.get(Visit, exchange_id):
        if (known.home, known.code, known.provider_id) != (home, short, provider_id):
            raise IdReused(id=str(exchange_id))
        return known
    receipts.check_unused(session, exchange_id)
    if home == sealer.community or not ledger.exists(session, ledger.clearing_account(home)):
        raise rules.UnknownCommunity(community=home)
    if not ledger.exists(session, ledger.resident_account(provider_id, Unit.MINUTES)):
        raise NotFound(what="resident", id=str(provider_id))
    residents.check_not_erased(session, provider_id)
    limits.check_backlog(session, home)
    visit = Visit(
        id=exchange_id,
        home=home,
        code=short,
        provider_id=provider_id,
        presented_by=presented_by,
        state=VisitState.PRESENTED,
        presented_at=clock.now(),
    )
    session.add(visit)
    outbox.enqueue(
        session,
        clock,
        sealer,
        message_id=step_id(exchange_id, "present"),
        recipient=home,
        body=PresentPass(exchange_id, rules.full_code(home=home, code=short)),
    )
    return visit


def pass_accepted(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    question: Envelope,
    answer: PassAccepted,
    sealed: Sealed,
) -> None:
    """Home holds the minutes: reserve our limit for that community, or give the pass back."""
    asked = question.body
    assert isinstance(asked, PresentPass)
    visit = _locked(session, asked.exchange_id)
    if visit.state not in (VisitState.PRESENTED, VisitState.RELEASED):
        return
    if answer.exchange_id != asked.exchange_id:  # one answer may not touch another visit
        code = "exchange.answer_differs"
        evidence.note(session, clock, peer=visit.home, kind=code, sealed=sealed)
        visit.refusal = code
        if visit.state == VisitState.PRESENTED:  # what was called off stays so
            _move(visit, VisitState.REFUSED)
        return
    visit.pass_id, visit.minutes_up_to = answer.pass_id, answer.minutes_up_to
    visit.capture_until = answer.capture_until
    if visit.state == VisitState.RELEASED:  # called off while we asked
        _send_release(session, clock, sealer, visit)
        return
    try:
        limits.check_all_peers(session, peer=visit.home, needed=answer.minutes_up_to)
        ledger.place_hold(
            session,
            clock,
            hold_id=visit.id,
            payer_id=ledger.clearing_account(visit.home),
            payee_id=ledger.resident_account(visit.provider_id, Unit.MINUTES),
            amount=answer.minutes_up_to,
            expires_at=None,
            reason=REASON,
        )
    except DomainError as refusal:  # most often our limit for that community
        _move(visit, VisitState.RELEASED)
        visit.refusal = refusal.code
        _send_release(session, clock, sealer, visit)
    else:
        _move(visit, VisitState.ACCEPTED)


def deliver(
    session: Session, *, exchange_id: UUID, minutes: int, now: datetime | None = None
) -> Visit:
    """Note how long the help really took; both sides confirm it next.

    With `now`, it is refused already here once home's promise has run out; `confirm` always is.
    """
    visit = _locked(session, exchange_id)
    if visit.state == VisitState.DELIVERED and visit.minutes == minutes:
        return visit
    rules.check_visit_step(now=visit.state, to=VisitState.DELIVERED)
    if now is not None:
        _check_in_time(visit.capture_until, now)
    rules.check_minutes(minutes)
    if minutes > (visit.minutes_up_to or 0):
        raise rules.PassTooSmall(covered=visit.minutes_up_to or 0, needed=minutes)
    _move(visit, VisitState.DELIVERED)
    visit.minutes = minutes
    return visit


def confirm(
    session: Session, clock: Clock, sealer: Sealer, *, exchange_id: UUID, party: str
) -> VisitRow:
    """One party says the help was given as noted; when both have, home is asked for the minutes."""
    visit = _row(session, exchange_id)
    if party not in PARTIES:
        raise BadInput(field="by", problem=f"one of {', '.join(PARTIES)}")
    if visit.state in (VisitState.CONFIRMED, VisitState.CAPTURED):
        return visit
    rules.check_visit_step(now=visit.state, to=VisitState.CONFIRMED)
    _check_in_time(visit.capture_until, clock.now())
    VISITS.change(session, visit, **{f"confirmed_by_{party}": True})
    if visit.confirmed_by_elder and visit.confirmed_by_provider:
        assert visit.pass_id is not None
        assert visit.minutes is not None
        VISITS.change(session, visit, state=VisitState.CONFIRMED)
        outbox.enqueue(
            session,
            clock,
            sealer,
            message_id=step_id(exchange_id, "capture"),
            recipient=visit.home,
            body=RequestCapture(exchange_id, visit.pass_id, visit.minutes),
        )
    return visit


def call_off(session: Session, clock: Clock, sealer: Sealer, *, exchange_id: UUID) -> Visit:
    """The help will not be given: free our limit and give the pass back to home."""
    visit = _locked(session, exchange_id)
    if visit.state == VisitState.RELEASED:
        return visit
    was_accepted = visit.state != VisitState.PRESENTED  # else the release follows its acceptance
    _move(visit, VisitState.RELEASED)
    if was_accepted:
        _give_back(session, clock, sealer, visit)
    return visit


def release_overdue(session: Session, clock: Clock, sealer: Sealer) -> int:
    """End visits that were not confirmed while home kept its promise; how many.

    Home was never asked to pay for these, so nothing is in doubt. From `confirmed` on the question
    may have arrived, and only home's answer ends the visit.
    """
    overdue = select(Visit).where(text(VISIT_IS_OPEN), Visit.capture_until <= clock.now())
    visits = session.scalars(overdue.with_for_update()).all()
    for visit in visits:
        _move(visit, VisitState.RELEASED)
        visit.refusal = rules.VisitOverdue.code
        _give_back(session, clock, sealer, visit)
    return len(visits)


def is_overdue(visit: Visit, now: datetime) -> bool:
    """Whether home's promise has run out before both confirmed."""
    is_open = visit.state in (VisitState.ACCEPTED, VisitState.DELIVERED)
    return is_open and visit.capture_until is not None and visit.capture_until <= now


def receipt_arrived(
    session: Session, clock: Clock, question: Envelope, answer: Receipt, sealed: Sealed
) -> None:
    """Home paid: credit our volunteer and keep home's signed word.

    A date that home's own words rule out is a lie. One ahead of our clock alone may be our fault:
    nothing is decided, and home is asked again until the clocks agree.
    """
    asked = question.body
    assert isinstance(asked, RequestCapture)
    visit = _row(session, asked.exchange_id)
    if visit.state != VisitState.CONFIRMED:
        return
    said = (answer.exchange_id, answer.pass_id, answer.minutes, answer.home, answer.host)
    asked_of_home = (visit.id, visit.pass_id, visit.minutes, visit.home, question.sender)
    if said != asked_of_home or not _is_possible(visit, answer.captured_at):
        code = "exchange.receipt_differs"
        evidence.note(session, clock, peer=visit.home, kind=code, sealed=sealed)
        _refuse(session, clock, _locked(session, visit.id), code)
        return
    if (ahead := answer.captured_at - clock.now()) > AHEAD_MAX:
        raise rules.ReceiptAhead(home=visit.home, minutes=int(ahead.total_seconds() // 60))
    take_receipt(session, clock, visit.id, captured_at=answer.captured_at, sealed=sealed)


def _is_possible(visit: VisitRow, captured_at: datetime) -> bool:
    """Whether home can have paid then: after it accepted the pass, while it held the minutes."""
    assert visit.capture_until is not None
    return visit.presented_at - AHEAD_MAX <= captured_at <= visit.capture_until + AHEAD_MAX


def take_receipt(
    session: Session, clock: Clock, exchange_id: UUID, *, captured_at: datetime, sealed: Sealed
) -> None:
    """Credit our volunteer for a confirmed visit; `sealed` is home's signed word that it paid."""
    visit = _row(session, exchange_id)
    rules.check_visit_step(now=visit.state, to=VisitState.CAPTURED)
    assert visit.minutes is not None
    ledger.capture_hold(session, clock, hold_id=visit.id, amount=visit.minutes)
    VISITS.change(session, visit, state=VisitState.CAPTURED)
    receipt = {"exchange_id": visit.id, "peer": visit.home, "is_debt": False}
    receipt |= {"minutes": visit.minutes, "captured_at": captured_at}
    rows.add(session, RECEIPT, receipt | {"payload": sealed.payload, "signature": sealed.signature})
    account_id = ledger.resident_account(visit.provider_id, Unit.MINUTES)
    sweep_surplus(session, clock, account_id=account_id, refers_to=visit.id)


def refused(session: Session, clock: Clock, question: Envelope, answer: Refusal) -> None:
    """Home said no for good: nothing is credited, our limit is free again, the reason is kept."""
    asked = question.body
    assert isinstance(asked, PresentPass | RequestCapture)
    visit = _locked(session, asked.exchange_id)
    if visit.state in (VisitState.PRESENTED, VisitState.CONFIRMED):
        _refuse(session, clock, visit, answer.code)


def ask_again(session: Session, clock: Clock, sealer: Sealer, question: Envelope) -> bool:
    """Sign a request for minutes anew that home took to be from the future; whether it was.

    Only where our own clock has gone back since: the old bytes would be heard when its moment has
    come, and home's promise may have run out by then. Home pays an exchange once, whichever of the
    two it hears.
    """
    asked = question.body
    if not isinstance(asked, RequestCapture) or question.sent_at <= clock.now():
        return False
    outbox.enqueue(
        session,
        clock,
        sealer,
        message_id=step_id(question.message_id, "signed again"),
        recipient=question.recipient,
        body=asked,
    )
    return True


def _refuse(session: Session, clock: Clock, visit: Visit, code: str) -> None:
    if visit.state == VisitState.CONFIRMED:
        ledger.void_hold(session, clock, hold_id=visit.id)
    _move(visit, VisitState.REFUSED)
    visit.refusal = code


def _move(visit: Visit, to: VisitState) -> None:
    rules.check_visit_step(now=visit.state, to=to)
    visit.state = to


def _give_back(session: Session, clock: Clock, sealer: Sealer, visit: Visit) -> None:
    """Our limit for that community is free again, and so is the pass at home."""
    ledger.void_hold(session, clock, hold_id=visit.id)
    _send_release(session, clock, sealer, visit)


def _send_release(session: Session, clock: Clock, sealer: Sealer, visit: Visit) -> None:
    assert visit.pass_id is not None
    outbox.enqueue(
        session,
        clock,
        sealer,
        message_id=step_id(visit.id, "release"),
        recipient=visit.home,
        body=ReleasePass(visit.id, visit.pass_id),
    )


def _check_in_time(capture_until: datetime | None, now: datetime) -> None:
    if capture_until is not None and capture_until <= now:
        raise rules.VisitOverdue


def _row(session: Session, exchange_id: UUID) -> VisitRow:
    visit = VISITS.get(session, exchange_id)
    if visit is None:
        raise NotFound(what="visit", id=str(exchange_id))
    return visit


def _locked(session: Session, exchange_id: UUID) -> Visit:
    visit = session.get(Visit, exchange_id, with_for_update=True)
    if visit is None:
        raise NotFound(what="visit", id=str(exchange_id))
    return visit
