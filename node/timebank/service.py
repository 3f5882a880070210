"""Request, accept, deliver, confirm: an hour's whole life, always inside the caller's transaction.

An exchange's hold has the exchange's id and no expiry: it ends by capture or void, never by itself.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from node.kernel.errors import IdReused, NotAllowed, NotFound, WrongState
from node.kernel.events import record
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.cap import sweep_surplus
from node.ledger.model import Account, Unit
from node.timebank import disputes, rules, training
from node.timebank.events import (
    DisputeDecided,
    ExchangeAccepted,
    ExchangeCancelled,
    ExchangeConfirmed,
    ExchangeCorrected,
    ExchangeDeclined,
    ExchangeDelivered,
    ExchangeRequested,
)
from node.timebank.model import Exchange, ExchangeStep
from node.timebank.refusals import TooLate
from node.timebank.rules import Act, DisputeReason, ExchangeState, Side
from node.web.paging import PAGE_ROWS_DEFAULT, Page, page_of

_REASON, _CORRECTED = "exchange", "exchange_corrected"


class Actor(NamedTuple):
    """Which resident acts, or that an arbiter does, and the clerk who does it for them, if any."""

    resident_id: UUID | None
    recorded_by: UUID | None = None
    is_arbiter: bool = False


def request(
    session: Session,
    clock: Clock,
    *,
    exchange_id: UUID,
    provider_id: UUID,
    receiver_id: UUID,
    service: str,
    minutes: int,
    planned_at: datetime | None = None,
    listing_id: UUID | None = None,
    by_provider: bool = False,
    recorded_by: UUID | None = None,
) -> Exchange:
    """Ask a neighbour for help, or (`by_provider`) offer it. Nothing is held until they accept."""
    known = session.get(Exchange, exchange_id)
    if known is not None:
        kept = (known.provider_id, known.receiver_id, known.service, known.minutes)
        if (*kept, known.planned_at) != (provider_id, receiver_id, service, minutes, planned_at):
            raise IdReused(id=str(exchange_id))
        return known
    rules.check_request(service=service, minutes=minutes, same_person=provider_id == receiver_id)
    for resident_id in (provider_id, receiver_id):
        if session.get(Account, ledger.resident_account(resident_id, Unit.MINUTES)) is None:
            raise NotFound(what="resident", id=str(resident_id))
    rules.check_planned(planned_at, now=clock.now())
    if by_provider:
        training.check(session, clock, resident_id=provider_id, service=service)
    state = ExchangeState.OFFERED if by_provider else ExchangeState.REQUESTED
    answer_by = rules.lapses_at(state, since=clock.now(), planned_at=planned_at)
    assert answer_by is not None, "a question waits for its answer"
    exchange = Exchange(
        id=exchange_id,
        provider_id=provider_id,
        receiver_id=receiver_id,
        service=service,
        minutes=minutes,
        state=state,
        provider_confirmed=False,
        receiver_confirmed=False,
        requested_at=clock.now(),
        changed_at=clock.now(),
        planned_at=planned_at,
        lapses_at=answer_by,
        listing_id=listing_id,
    )
    session.add(exchange)
    session.flush()
    side = Side.PROVIDER if by_provider else Side.RECEIVER
    note(session, clock, exchange, "request", side, recorded_by, minutes)
    asked = ExchangeRequested(
        exchange_id, provider_id, receiver_id, minutes, answer_by, by_provider
    )
    record(session, asked)
    return exchange


def accept(session: Session, clock: Clock, *, exchange_id: UUID, actor: Actor) -> Exchange:
    """Promise the help; from now on the receiver's minutes are kept back for it."""
    exchange = find(session, exchange_id)
    if not _repeated(exchange, actor, Act.ACCEPT, ExchangeState.ACCEPTED):
        is_late = exchange.lapses_at is not None and exchange.lapses_at <= clock.now()
        side = _move(session, clock, exchange, actor, Act.ACCEPT)
        if is_late:
            raise TooLate
        provider_id, kind = exchange.provider_id, exchange.service
        training.check(session, clock, resident_id=provider_id, service=kind)
        ledger.place_hold(
            session,
            clock,
            hold_id=exchange_id,
            payer_id=ledger.resident_account(exchange.receiver_id, Unit.MINUTES),
            payee_id=ledger.resident_account(exchange.provider_id, Unit.MINUTES),
            amount=exchange.minutes,
            expires_at=None,
            reason=_REASON,
        )
        note(session, clock, exchange, Act.ACCEPT, side, actor.recorded_by)
        record(session, ExchangeAccepted(*who(exchange), exchange.minutes))
    return exchange


def decline(session: Session, clock: Clock, *, exchange_id: UUID, actor: Actor) -> Exchange:
    """Say no to a request. Saying it twice is once."""
    exchange = find(session, exchange_id)
    if not _repeated(exchange, actor, Act.DECLINE, ExchangeState.DECLINED):
        side = _move(session, clock, exchange, actor, Act.DECLINE)
        note(session, clock, exchange, Act.DECLINE, side, actor.recorded_by)
        record(session, ExchangeDeclined(*who(exchange)))
    return exchange


def cancel(session: Session, clock: Clock, *, exchange_id: UUID, actor: Actor) -> Exchange:
    """Call help off before it was given; what was held goes back whole."""
    exchange = find(session, exchange_id)
    if not _repeated(exchange, actor, Act.CANCEL, ExchangeState.CANCELLED):
        was_held = exchange.state in rules.HELD_STATES
        side = _move(session, clock, exchange, actor, Act.CANCEL)
        if was_held:
            ledger.void_hold(session, clock, hold_id=exchange_id)
        note(session, clock, exchange, Act.CANCEL, side, actor.recorded_by)
        record(session, ExchangeCancelled(*who(exchange), side is Side.PROVIDER))
    return exchange


def deliver(
    session: Session, clock: Clock, *, exchange_id: UUID, minutes: int, actor: Actor
) -> Exchange:
    """Say that the help was given and how many minutes it took, at most those agreed."""
    exchange = find(session, exchange_id)
    counted = rules.counted_minutes(minutes, held=exchange.minutes)
    same = exchange.delivered_minutes == counted
    if not (same and _repeated(exchange, actor, Act.DELIVER, ExchangeState.DELIVERED)):
        side = _move(session, clock, exchange, actor, Act.DELIVER)
        exchange.delivered_minutes = counted
        note(session, clock, exchange, Act.DELIVER, side, actor.recorded_by, minutes)
        record(session, ExchangeDelivered(*who(exchange), counted))
    return exchange


def confirm(session: Session, clock: Clock, *, exchange_id: UUID, actor: Actor) -> Exchange:
    """Agree that it was so. When both have, the minutes change hands and the rest goes back."""
    exchange = find(session, exchange_id)
    if _repeated(exchange, actor, Act.CONFIRM, ExchangeState.CAPTURED):
        return exchange
    side = _allowed_side(exchange, actor, Act.CONFIRM)
    already = exchange.provider_confirmed if side is Side.PROVIDER else exchange.receiver_confirmed
    if already:
        return exchange
    if side is Side.PROVIDER:
        exchange.provider_confirmed = True
    else:
        exchange.receiver_confirmed = True
    note(session, clock, exchange, Act.CONFIRM, side, actor.recorded_by)
    if exchange.provider_confirmed and exchange.receiver_confirmed:
        assert exchange.delivered_minutes is not None, "delivered exchanges know their minutes"
        _pay(session, clock, exchange, exchange.delivered_minutes)
    return exchange


def dispute(
    session: Session,
    clock: Clock,
    *,
    exchange_id: UUID,
    actor: Actor,
    reason: DisputeReason = DisputeReason.OTHER,
    words: str = "",
) -> Exchange:
    """Say that it was not so. Held minutes stay held, paid ones paid, until an arbiter decides."""
    exchange = find(session, exchange_id)
    known = (ExchangeState.DISPUTED, ExchangeState.CONTESTED)
    if not any(_repeated(exchange, actor, Act.DISPUTE, state) for state in known):
        paid = exchange.delivered_minutes if exchange.state == ExchangeState.CAPTURED else None
        is_late = clock.now() > exchange.changed_at + rules.CONTEST_TIME
        side = _move(session, clock, exchange, actor, Act.DISPUTE)
        if paid is not None and is_late:
            raise TooLate
        disputes.open_one(session, clock, exchange, reason=reason, by=side, paid_before=paid)
        note(session, clock, exchange, Act.DISPUTE, side, actor.recorded_by)
    if words and (side_now := side_of(exchange, actor.resident_id)):
        disputes.say(session, clock, exchange, side=side_now, words=words, by=actor.recorded_by)
    return exchange


def settle(
    session: Session,
    clock: Clock,
    *,
    exchange_id: UUID,
    minutes: int,
    actor: Actor,
    verdict: str = "",
) -> Exchange:
    """An arbiter's verdict: these minutes count (0: none).

    Held minutes are paid and the rest goes back; where they were paid before, a compensating entry
    makes good the difference, within the limits of whoever has to give back.
    """
    exchange = find(session, exchange_id)
    was_paid = exchange.state == ExchangeState.CONTESTED
    side = _allowed_side(exchange, actor, Act.SETTLE)
    if actor.recorded_by in (exchange.provider_id, exchange.receiver_id):
        raise NotAllowed(what=f"{Act.SETTLE} (your own exchange)")
    counted = rules.counted_minutes(minutes, held=exchange.minutes) if minutes else 0
    note(session, clock, exchange, Act.SETTLE, side, actor.recorded_by, minutes)
    by = actor.recorded_by
    disputes.decide(session, clock, exchange, minutes=counted, by=by, verdict=verdict)
    if was_paid:
        _correct(session, clock, exchange, counted)
    elif counted == 0:
        reach(clock, exchange, ExchangeState.CANCELLED)
        ledger.void_hold(session, clock, hold_id=exchange_id)
    else:
        exchange.delivered_minutes = counted
        _pay(session, clock, exchange, counted)
    record(session, DisputeDecided(*who(exchange), counted))
    return exchange


def find(session: Session, exchange_id: UUID) -> Exchange:
    """The exchange with this id; refuses an unknown one."""
    exchange = session.get(Exchange, exchange_id)
    if exchange is None:
        raise NotFound(what="exchange", id=str(exchange_id))
    return exchange


def side_of(exchange: Exchange, resident_id: UUID | None) -> Side | None:
    """Who a resident is in this exchange; None for everybody else."""
    sides = {exchange.provider_id: Side.PROVIDER, exchange.receiver_id: Side.RECEIVER}
    return sides.get(resident_id) if resident_id is not None else None


def exchanges_of(
    session: Session, resident_id: UUID, *, limit: int = PAGE_ROWS_DEFAULT, after: str | None = None
) -> Page[Exchange]:
    """What a resident gives and gets, newest first."""
    mine = or_(Exchange.provider_id == resident_id, Exchange.receiver_id == resident_id)
    query, key = select(Exchange).where(mine), [Exchange.requested_at, Exchange.id]
    return page_of(session, query, key, limit=limit, after=after, is_newest_first=True)


def disputed(
    session: Session, *, limit: int = PAGE_ROWS_DEFAULT, after: str | None = None
) -> Page[Exchange]:
    """What waits for an arbiter, oldest first."""
    waiting = (ExchangeState.DISPUTED, ExchangeState.CONTESTED)
    query = select(Exchange).where(Exchange.state.in_(waiting))
    return page_of(session, query, [Exchange.changed_at, Exchange.id], limit=limit, after=after)


def steps_of(session: Session, exchange_id: UUID) -> Sequence[ExchangeStep]:
    """Who did what to an exchange, and who wrote it down for them, in order."""
    query = select(ExchangeStep).where(ExchangeStep.exchange_id == exchange_id)
    return session.scalars(query.order_by(ExchangeStep.id)).all()


def _move(session: Session, clock: Clock, exchange: Exchange, actor: Actor, act: Act) -> Side:
    side = _allowed_side(exchange, actor, act)
    reach(clock, exchange, rules.MOVES[ExchangeState(exchange.state), act].to)
    return side


def reach(clock: Clock, exchange: Exchange, state: ExchangeState) -> None:
    """Put an exchange into a state, and note until when the next act is awaited."""
    now, planned_at = clock.now(), exchange.planned_at
    exchange.state, exchange.changed_at = state, now
    exchange.lapses_at = rules.lapses_at(state, since=now, planned_at=planned_at)


def who(exchange: Exchange) -> tuple[UUID, UUID, UUID]:
    """What every event says first: which exchange, who helps, who is helped."""
    return exchange.id, exchange.provider_id, exchange.receiver_id


def _allowed_side(exchange: Exchange, actor: Actor, act: Act) -> Side:
    """The side that acts; refuses a stranger, then a wrong moment, then the wrong side."""
    side = Side.ARBITER if actor.is_arbiter else side_of(exchange, actor.resident_id)
    if side is None:
        raise NotAllowed(what=act.value)
    move = rules.MOVES.get((ExchangeState(exchange.state), act))
    if move is None:
        needed = rules.needed_state(act)
        raise WrongState(what="exchange", state=exchange.state, needed=needed)
    if side not in move.sides:
        raise NotAllowed(what=act.value)
    return side


def _repeated(exchange: Exchange, actor: Actor, act: Act, reached: ExchangeState) -> bool:
    """True where somebody who may do `act` says again what was already done."""
    side = side_of(exchange, actor.resident_id)
    allowed = {
        side for (_, known), move in rules.MOVES.items() if known is act for side in move.sides
    }
    return exchange.state == reached and side in allowed


def _pay(session: Session, clock: Clock, exchange: Exchange, minutes: int) -> None:
    reach(clock, exchange, ExchangeState.CAPTURED)
    ledger.capture_hold(session, clock, hold_id=exchange.id, amount=minutes)
    account_id = ledger.resident_account(exchange.provider_id, Unit.MINUTES)
    sweep_surplus(session, clock, account_id=account_id, refers_to=exchange.id)
    record(session, ExchangeConfirmed(*who(exchange), minutes))


def _correct(session: Session, clock: Clock, exchange: Exchange, minutes: int) -> None:
    paid = exchange.delivered_minutes
    assert paid is not None, "a contested exchange was paid"
    provider, receiver = (
        ledger.resident_account(resident_id, Unit.MINUTES)
        for resident_id in (exchange.provider_id, exchange.receiver_id)
    )
    reach(clock, exchange, ExchangeState.CAPTURED if minutes else ExchangeState.CANCELLED)
    exchange.delivered_minutes = minutes
    if minutes == paid:
        return
    entry_id = derived_id("exchange correction", exchange.id)
    payee = receiver if minutes < paid else provider
    ledger.transfer(
        session,
        clock,
        entry_id=entry_id,
        payer_id=provider if payee == receiver else receiver,
        payee_id=payee,
        amount=abs(paid - minutes),
        reason=_CORRECTED,
        refers_to=exchange.id,
    )
    sweep_surplus(session, clock, account_id=payee, refers_to=entry_id)
    record(session, ExchangeCorrected(*who(exchange), minutes, paid))


def note(
    session: Session,
    clock: Clock,
    exchange: Exchange,
    act: str,
    side: Side,
    recorded_by: UUID | None,
    minutes: int | None = None,
) -> None:
    """Write down who did what, and who acted for them."""
    session.add(
        ExchangeStep(
            exchange_id=exchange.id,
            act=str(act),
            side=side.value,
            recorded_by=recorded_by,
            minutes=minutes,
            done_at=clock.now(),
        )
    )
