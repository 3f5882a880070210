"""Home's side of an exchange: our resident is helped elsewhere, and we decide about the minutes.

Every function runs inside the caller's transaction. The hold has the pass's id and no expiry of its
own: only the pass's states end it.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import limits, receipts, rules
from node.exchange.limits import SETTLED as SETTLED
from node.exchange.limits import outstanding_minutes as outstanding_minutes
from node.exchange.messages import (
    PassAccepted,
    PassReleased,
    PassSlip,
    PresentPass,
    Receipt,
    ReleasePass,
    RequestCapture,
)
from node.exchange.model import PASSES, RECEIPT, Pass, ReceiptRecord
from node.exchange.rules import Consent, PassState
from node.kernel import rows
from node.kernel.errors import IdReused, NotFound
from node.kernel.ids import derived_id
from node.kernel.messages import Envelope, Sealer
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.residents import service as residents

REASON = "redeemed_away"


def issue_pass(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    *,
    pass_id: UUID,
    resident_id: UUID,
    issued_by: UUID | None,
    host: str,
    minutes: int,
    code: str,
    debt_limit_minutes: int,
    consent: str = Consent.SELF,
) -> Pass:
    """Promise up to `minutes` of a resident's hours for help in `host`; holds them until then.

    Repeating it with the same id gives the same pass, with the code it had.
    """
    if known := session.get(Pass, pass_id):
        if (known.resident_id, known.host, known.minutes_up_to) != (resident_id, host, minutes):
            raise IdReused(id=str(pass_id))
        return known
    residents.check_not_erased(session, resident_id)
    rules.check_minutes(minutes)
    if host == sealer.community or not ledger.exists(session, ledger.clearing_account(host)):
        raise rules.UnknownCommunity(community=host)
    limits.check_debt(session, needed=minutes, debt_limit_minutes=debt_limit_minutes)
    ledger.place_hold(
        session,
        clock,
        hold_id=pass_id,
        payer_id=ledger.resident_account(resident_id, Unit.MINUTES),
        payee_id=ledger.clearing_account(host),
        amount=minutes,
        expires_at=None,
        reason=REASON,
    )
    expires_at = clock.now() + rules.PASS_LIFETIME
    spoken = rules.full_code(home=sealer.community, code=code)
    slip = PassSlip(pass_id, host, minutes, expires_at, spoken)
    sealed = sealer.seal(
        Envelope(derived_id("slip", pass_id), sealer.community, host, clock.now(), slip)
    )
    issued = Pass(
        id=pass_id,
        resident_id=resident_id,
        issued_by=issued_by,
        consent=consent,
        host=host,
        minutes_up_to=minutes,
        code=code,
        state=PassState.ISSUED,
        issued_at=clock.now(),
        expires_at=expires_at,
        slip=sealed.payload + sealed.signature,
    )
    session.add(issued)
    return issued


def void_pass(session: Session, clock: Clock, *, pass_id: UUID) -> Pass:
    """Take a pass back before it is presented; the minutes are free again."""
    found = _locked(session, pass_id)
    if found.state != PassState.VOIDED:
        _give_back(session, clock, found, to=PassState.VOIDED)
    return found


def accept_pass(session: Session, clock: Clock, question: Envelope) -> PassAccepted:
    """A host presents a pass: bind it to that exchange. A pass serves once."""
    asked = question.body
    assert isinstance(asked, PresentPass)
    home, code = rules.split_code(asked.code)
    by_code = select(Pass).where(Pass.code == code).with_for_update()
    found = session.scalars(by_code).first()
    if found is None or home != question.recipient:
        raise rules.PassUnknown
    if found.host != question.sender:
        raise rules.PassForOther(host=found.host)
    if found.exchange_id != asked.exchange_id:
        if found.state != PassState.ISSUED:
            raise rules.PassNotUsable(state=found.state)
        _check_in_time(found.expires_at, clock.now())
        bind(session, clock, found, asked.exchange_id)
    return PassAccepted(asked.exchange_id, found.id, found.minutes_up_to, found.expires_at)


def bind(session: Session, clock: Clock, found: Pass, exchange_id: UUID) -> None:
    """From now on this pass serves this exchange and no other."""
    rules.check_pass_step(now=found.state, to=PassState.ACCEPTED)
    receipts.check_unused(session, exchange_id)
    found.state, found.exchange_id = PassState.ACCEPTED, exchange_id
    found.expires_at = clock.now() + rules.CAPTURE_LIFETIME


def capture(session: Session, clock: Clock, question: Envelope) -> Receipt:
    """The help was given: payer down, clearing up, the rest released, in this one transaction."""
    asked = question.body
    assert isinstance(asked, RequestCapture)
    found = PASSES.get(session, asked.pass_id)
    if found is None:
        raise rules.PassUnknown
    if found.host != question.sender:
        raise rules.PassForOther(host=found.host)
    if found.exchange_id != asked.exchange_id:  # taken back, or it serves another exchange
        raise rules.PassNotUsable(state=found.state)
    if found.state == PassState.CAPTURED:
        if found.minutes != asked.minutes:
            raise IdReused(id=str(asked.exchange_id))
        return _receipt(session.get_one(ReceiptRecord, asked.exchange_id).captured_at, question)
    if found.state != PassState.ACCEPTED:
        raise rules.PassNotUsable(state=found.state)
    _check_in_time(found.expires_at, clock.now())
    rules.check_minutes(asked.minutes)
    if asked.minutes > found.minutes_up_to:
        raise rules.PassTooSmall(covered=found.minutes_up_to, needed=asked.minutes)
    captured_at = clock.now()
    pay(session, clock, pass_id=found.id, minutes=asked.minutes, at=captured_at)
    return _receipt(captured_at, question)


def pay(session: Session, clock: Clock, *, pass_id: UUID, minutes: int, at: datetime) -> None:
    """Capture an accepted pass: elder down, clearing up, the rest free, a receipt on our side."""
    found = PASSES.get(session, pass_id)
    assert found is not None
    assert found.exchange_id is not None
    rules.check_pass_step(now=found.state, to=PassState.CAPTURED)
    ledger.capture_hold(session, clock, hold_id=pass_id, amount=minutes)
    PASSES.change(session, found, state=PassState.CAPTURED, minutes=minutes)
    receipt = {"exchange_id": found.exchange_id, "peer": found.host, "is_debt": True}
    receipt |= {"minutes": minutes, "captured_at": at}
    # The same columns as a host's receipt: rows of one table that wait together are one statement.
    rows.add(session, RECEIPT, receipt | {"payload": None, "signature": None})


def release(session: Session, clock: Clock, question: Envelope) -> PassReleased:
    """The host calls the help off: the minutes go back to our resident."""
    asked = question.body
    assert isinstance(asked, ReleasePass)
    found = _bound(session, asked.pass_id, asked.exchange_id, question.sender)
    if found.state == PassState.CAPTURED:
        raise rules.PassNotUsable(state=found.state)
    if found.state not in (PassState.RELEASED, PassState.EXPIRED):
        _give_back(session, clock, found, to=PassState.RELEASED)
    return PassReleased(asked.exchange_id)


def expire_passes(session: Session, clock: Clock) -> int:
    """Give back the minutes of passes that were not presented or captured in time; how many."""
    overdue = select(Pass).where(
        Pass.state.in_((PassState.ISSUED, PassState.ACCEPTED)), Pass.expires_at <= clock.now()
    )
    expired = session.scalars(overdue.with_for_update()).all()
    for found in expired:
        _give_back(session, clock, found, to=PassState.EXPIRED)
    return len(expired)


def _give_back(session: Session, clock: Clock, found: Pass, *, to: PassState) -> None:
    """The pass ends unpaid, and its minutes are free again."""
    rules.check_pass_step(now=found.state, to=to)
    ledger.void_hold(session, clock, hold_id=found.id)
    found.state = to


def _receipt(captured_at: datetime, question: Envelope) -> Receipt:
    asked = question.body
    assert isinstance(asked, RequestCapture)
    return Receipt(
        asked.exchange_id,
        asked.pass_id,
        home=question.recipient,
        host=question.sender,
        minutes=asked.minutes,
        captured_at=captured_at,
    )


def _locked(session: Session, pass_id: UUID) -> Pass:
    found = session.get(Pass, pass_id, with_for_update=True)
    if found is None:
        raise NotFound(what="pass", id=str(pass_id))
    return found


def _bound(session: Session, pass_id: UUID, exchange_id: UUID, host: str) -> Pass:
    found = session.get(Pass, pass_id, with_for_update=True)
    if found is None or found.exchange_id != exchange_id:
        raise rules.PassUnknown
    if found.host != host:
        raise rules.PassForOther(host=found.host)
    return found


def _check_in_time(expires_at: datetime, now: datetime) -> None:
    if expires_at <= now:
        raise rules.PassNotUsable(state=PassState.EXPIRED)
