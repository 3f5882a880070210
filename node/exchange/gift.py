"""Minutes given to a resident of another community; the receiving side decides.

The giver's side holds the minutes and sends a signed order. The hold has no expiry: the order may
have arrived, so only the signed answer ends it. Who receives is named by an opaque code that they
handed out themselves: no name, no number, no free text travels. Every function runs inside the
caller's transaction.
"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.exchange import evidence, limits, receipts, rules
from node.exchange.messages import GiftAccepted, GiftOrder
from node.exchange.model import Gift, GiftCode, ReceiptRecord
from node.exchange.refusals import GiftCodeUnknown, TooManyGiftCodes
from node.exchange.rules import Consent, GiftState, ReceiptKind
from node.kernel.errors import IdReused, NotFound
from node.kernel.ids import derived_id
from node.kernel.messages import Envelope, Refusal, Sealed, Sealer
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.cap import sweep_surplus
from node.ledger.model import Unit
from node.outbox import service as outbox
from node.residents import service as residents

SENT_REASON, RECEIVED_REASON = "gift_sent", "gift_received"


def make_code(
    session: Session, clock: Clock, *, code: str, resident_id: UUID, made_by: UUID | None
) -> GiftCode:
    """A code under which this resident can be given minutes; they hand it out themselves."""
    if known := session.get(GiftCode, code):
        if known.resident_id != resident_id:
            raise IdReused(id=code)
        return known
    residents.check_not_erased(session, resident_id)
    if len(codes_of(session, resident_id)) >= rules.GIFT_CODES_MAX:
        raise TooManyGiftCodes(limit=rules.GIFT_CODES_MAX)
    made = GiftCode(code=code, resident_id=resident_id, made_by=made_by, made_at=clock.now())
    session.add(made)
    return made


def withdraw_code(session: Session, clock: Clock, *, code: str) -> GiftCode:
    """No more gifts under this code. Withdrawing it twice is once."""
    found = session.get(GiftCode, code)
    if found is None:
        raise NotFound(what="gift code", id=code)
    found.withdrawn_at = found.withdrawn_at or clock.now()
    return found


def codes_of(session: Session, resident_id: UUID) -> Sequence[GiftCode]:
    """A resident's codes that are in use, newest first."""
    mine = select(GiftCode).where(
        GiftCode.resident_id == resident_id, GiftCode.withdrawn_at.is_(None)
    )
    return session.scalars(mine.order_by(GiftCode.made_at.desc())).all()


def send_gift(
    session: Session,
    clock: Clock,
    sealer: Sealer,
    *,
    gift_id: UUID,
    resident_id: UUID,
    recorded_by: UUID | None,
    code: str,
    minutes: int,
    debt_limit_minutes: int,
    consent: str = Consent.SELF,
) -> Gift:
    """Give `minutes` of a resident's hours to whoever handed out `code`; held until answered."""
    peer, short = rules.split_code(code, length=rules.GIFT_CODE_LENGTH)
    if known := session.get(Gift, gift_id):
        kept = (known.resident_id, known.peer, known.code, known.minutes)
        if kept != (resident_id, peer, short, minutes) or known.state == GiftState.RECEIVED:
            raise IdReused(id=str(gift_id))
        return known
    residents.check_not_erased(session, resident_id)
    rules.check_minutes(minutes)
    if peer == sealer.community or not ledger.exists(session, ledger.clearing_account(peer)):
        raise rules.UnknownCommunity(community=peer)
    receipts.check_unused(session, gift_id)
    limits.check_backlog(session, peer)
    limits.check_debt(session, needed=minutes, debt_limit_minutes=debt_limit_minutes)
    ledger.place_hold(
        session,
        clock,
        hold_id=gift_id,
        payer_id=ledger.resident_account(resident_id, Unit.MINUTES),
        payee_id=ledger.clearing_account(peer),
        amount=minutes,
        expires_at=None,
        reason=SENT_REASON,
    )
    gift = Gift(
        id=gift_id,
        peer=peer,
        resident_id=resident_id,
        recorded_by=recorded_by,
        consent=consent,
        code=short,
        minutes=minutes,
        state=GiftState.SENT,
        made_at=clock.now(),
    )
    session.add(gift)
    outbox.enqueue(
        session,
        clock,
        sealer,
        message_id=order_id(gift_id),
        recipient=peer,
        body=GiftOrder(gift_id, rules.full_code(home=peer, code=short), minutes),
    )
    return gift


def order_id(gift_id: UUID) -> UUID:
    """Under which message id a gift's order is sent."""
    return derived_id("gift", gift_id)


def receive(session: Session, clock: Clock, question: Envelope) -> GiftAccepted:
    """An order has come: credit whoever the code names, if that community may owe us so much."""
    asked = question.body
    assert isinstance(asked, GiftOrder)
    peer, (here, short) = question.sender, _parts(asked.code)
    if known := session.get(Gift, asked.gift_id):
        said = (peer, short, asked.minutes, GiftState.RECEIVED)
        if (known.peer, known.code, known.minutes, known.state) != said:
            raise IdReused(id=str(asked.gift_id))
        return GiftAccepted(known.id, known.minutes, known.made_at)
    if here != question.recipient:
        raise GiftCodeUnknown
    rules.check_minutes(asked.minutes)
    receipts.check_unused(session, asked.gift_id)
    limits.check_all_peers(session, peer=peer, needed=asked.minutes)
    credit(session, clock, question, at=clock.now())
    return GiftAccepted(asked.gift_id, asked.minutes, clock.now())


def credit(session: Session, clock: Clock, order: Envelope, *, at: datetime) -> None:
    """Credit whoever the order's code names; the giver's signed order is kept as the proof.

    Raises GiftCodeUnknown, or LimitReached where that community may not owe us so much.
    """
    asked = order.body
    assert isinstance(asked, GiftOrder)
    short = _parts(asked.code)[1]
    found = session.get(GiftCode, short)
    if found is None or found.withdrawn_at is not None:
        raise GiftCodeUnknown
    if residents.is_erased(session, found.resident_id):  # before codes ended with their resident
        raise GiftCodeUnknown
    account_id = ledger.resident_account(found.resident_id, Unit.MINUTES)
    ledger.check_no_hold(session, asked.gift_id)
    ledger.transfer(
        session,
        clock,
        entry_id=asked.gift_id,
        payer_id=ledger.clearing_account(order.sender),
        payee_id=account_id,
        amount=asked.minutes,
        reason=RECEIVED_REASON,
    )
    session.add(
        Gift(
            id=asked.gift_id,
            peer=order.sender,
            resident_id=found.resident_id,
            code=short,
            minutes=asked.minutes,
            state=GiftState.RECEIVED,
            made_at=at,
            ended_at=at,
        )
    )
    session.add(
        ReceiptRecord(
            exchange_id=asked.gift_id,
            kind=ReceiptKind.GIFT,
            peer=order.sender,
            is_debt=False,
            minutes=asked.minutes,
            captured_at=at,
            payload=order.sealed.payload if order.sealed else None,
            signature=order.sealed.signature if order.sealed else None,
        )
    )
    sweep_surplus(session, clock, account_id=account_id, refers_to=asked.gift_id)


def accepted(
    session: Session, clock: Clock, question: Envelope, answer: GiftAccepted, sealed: Sealed
) -> None:
    """The other side has credited them: the held minutes are paid, and we owe them."""
    asked = question.body
    assert isinstance(asked, GiftOrder)
    gift = _locked(session, asked.gift_id)
    if gift.state != GiftState.SENT:
        return
    if (answer.gift_id, answer.minutes) != (gift.id, gift.minutes):
        code = "exchange.answer_differs"
        evidence.note(session, clock, peer=gift.peer, kind=code, sealed=sealed)
        _refuse(session, clock, gift, code)
        return
    take_acceptance(session, clock, gift, accepted_at=answer.accepted_at, sealed=sealed)


def take_acceptance(
    session: Session, clock: Clock, gift: Gift, *, accepted_at: datetime, sealed: Sealed
) -> None:
    """Pay the held minutes; `sealed` is the other side's signed word that it credited them."""
    rules.check_gift_step(now=gift.state, to=GiftState.ACCEPTED)
    ledger.capture_hold(session, clock, hold_id=gift.id)
    gift.state, gift.ended_at = GiftState.ACCEPTED, clock.now()
    session.add(
        ReceiptRecord(
            exchange_id=gift.id,
            kind=ReceiptKind.GIFT,
            peer=gift.peer,
            is_debt=True,
            minutes=gift.minutes,
            captured_at=accepted_at,
            payload=sealed.payload,
            signature=sealed.signature,
        )
    )


def refused(session: Session, clock: Clock, question: Envelope, answer: Refusal) -> None:
    """The other side said no for good: the minutes are back with who wanted to give them."""
    asked = question.body
    assert isinstance(asked, GiftOrder)
    gift = _locked(session, asked.gift_id)
    if gift.state == GiftState.SENT:
        _refuse(session, clock, gift, answer.code)


def _refuse(session: Session, clock: Clock, gift: Gift, code: str) -> None:
    rules.check_gift_step(now=gift.state, to=GiftState.REFUSED)
    ledger.void_hold(session, clock, hold_id=gift.id)
    gift.state, gift.refusal, gift.ended_at = GiftState.REFUSED, code, clock.now()


def _parts(code: str) -> tuple[str, str]:
    return rules.split_code(code, length=rules.GIFT_CODE_LENGTH)


def _locked(session: Session, gift_id: UUID) -> Gift:
    found = session.get(Gift, gift_id, with_for_update=True)
    if found is None:
        raise NotFound(what="gift", id=str(gift_id))
    return found
