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
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.cap import sweep_surplus
from node.ledger.model import Account, JournalEntry, Posting, Unit
from node.timebank import rules
from node.timebank.events import ExchangeConfirmed
from node.timebank.model import Exchange, ExchangeStep
from node.timebank.rules import Act, ExchangeState, Side

PAGE_ROWS = 50  # exchanges or statement lines on one page
_REASON = "exchange"


class Actor(NamedTuple):
    """Which resident acts, or that an arbiter does, and the clerk who does it for them, if any."""

    resident_id: UUID | None
    recorded_by: UUID | None = None
    is_arbiter: bool = False


class StatementLine(NamedTuple):
    """One movement on a resident's account and what stood after it."""

    recorded_at: datetime
    reason: str
    refers_to: UUID
    amount_minutes: int
    balance_minutes: int


def request(
    session: Session,
    clock: Clock,
    *,
    exchange_id: UUID,
    provider_id: UUID,
    receiver_id: UUID,
    service: str,
    minutes: int,
    recorded_by: UUID | None = None,
) -> Exchange:
    """Ask a neighbour for help. Nothing is held until they accept."""
    known = session.get(Exchange, exchange_id)
    if known is not None:
        kept = (known.provider_id, known.receiver_id, known.service, known.minutes)
        if kept != (provider_id, receiver_id, service, minutes):
            raise IdReused(id=str(exchange_id))
        return known
    rules.check_request(service=service, minutes=minutes, same_person=provider_id == receiver_id)
    for resident_id in (provider_id, receiver_id):
        if session.get(Account, ledger.resident_account(resident_id, Unit.MINUTES)) is None:
            raise NotFound(what="resident", id=str(resident_id))
    exchange = Exchange(
        id=exchange_id,
        provider_id=provider_id,
        receiver_id=receiver_id,
        service=service,
        minutes=minutes,
        state=ExchangeState.REQUESTED,
        provider_confirmed=False,
        receiver_confirmed=False,
        requested_at=clock.now(),
        changed_at=clock.now(),
    )
    session.add(exchange)
    session.flush()
    _note(session, clock, exchange, "request", Side.RECEIVER, recorded_by, minutes)
    return exchange


def accept(session: Session, clock: Clock, *, exchange_id: UUID, actor: Actor) -> Exchange:
    """Promise the help; from now on the receiver's minutes are kept back for it."""
    exchange = find(session, exchange_id)
    if not _repeated(exchange, actor, Act.ACCEPT, ExchangeState.ACCEPTED):
        side = _move(session, clock, exchange, actor, Act.ACCEPT)
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
        _note(session, clock, exchange, Act.ACCEPT, side, actor.recorded_by)
    return exchange


def decline(session: Session, clock: Clock, *, exchange_id: UUID, actor: Actor) -> Exchange:
    """Say no to a request. Saying it twice is once."""
    exchange = find(session, exchange_id)
    if not _repeated(exchange, actor, Act.DECLINE, ExchangeState.DECLINED):
        side = _move(session, clock, exchange, actor, Act.DECLINE)
        _note(session, clock, exchange, Act.DECLINE, side, actor.recorded_by)
    return exchange


def cancel(session: Session, clock: Clock, *, exchange_id: UUID, actor: Actor) -> Exchange:
    """Call help off before it was given; what was held goes back whole."""
    exchange = find(session, exchange_id)
    if not _repeated(exchange, actor, Act.CANCEL, ExchangeState.CANCELLED):
        was_held = exchange.state in rules.HELD_STATES
        side = _move(session, clock, exchange, actor, Act.CANCEL)
        if was_held:
            ledger.void_hold(session, clock, hold_id=exchange_id)
        _note(session, clock, exchange, Act.CANCEL, side, actor.recorded_by)
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
        _note(session, clock, exchange, Act.DELIVER, side, actor.recorded_by, minutes)
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
    _note(session, clock, exchange, Act.CONFIRM, side, actor.recorded_by)
    if exchange.provider_confirmed and exchange.receiver_confirmed:
        assert exchange.delivered_minutes is not None, "delivered exchanges know their minutes"
        _pay(session, clock, exchange, exchange.delivered_minutes)
    return exchange


def dispute(session: Session, clock: Clock, *, exchange_id: UUID, actor: Actor) -> Exchange:
    """Say that it was not so. The minutes stay held until an arbiter settles it."""
    exchange = find(session, exchange_id)
    if not _repeated(exchange, actor, Act.DISPUTE, ExchangeState.DISPUTED):
        side = _move(session, clock, exchange, actor, Act.DISPUTE)
        _note(session, clock, exchange, Act.DISPUTE, side, actor.recorded_by)
    return exchange


def settle(
    session: Session, clock: Clock, *, exchange_id: UUID, minutes: int, actor: Actor
) -> Exchange:
    """An arbiter's verdict: these minutes are paid (0: none) and the rest goes back."""
    exchange = find(session, exchange_id)
    side = _allowed_side(exchange, actor, Act.SETTLE)
    if actor.recorded_by in (exchange.provider_id, exchange.receiver_id):
        raise NotAllowed(what=f"{Act.SETTLE} (your own exchange)")
    _note(session, clock, exchange, Act.SETTLE, side, actor.recorded_by, minutes)
    if minutes == 0:
        exchange.state, exchange.changed_at = ExchangeState.CANCELLED, clock.now()
        ledger.void_hold(session, clock, hold_id=exchange_id)
    else:
        exchange.delivered_minutes = rules.counted_minutes(minutes, held=exchange.minutes)
        _pay(session, clock, exchange, exchange.delivered_minutes)
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
    session: Session, resident_id: UUID, *, limit: int = PAGE_ROWS
) -> Sequence[Exchange]:
    """What a resident gives and gets, newest first."""
    mine = or_(Exchange.provider_id == resident_id, Exchange.receiver_id == resident_id)
    query = select(Exchange).where(mine).order_by(Exchange.requested_at.desc(), Exchange.id.desc())
    return session.scalars(query.limit(limit)).all()


def disputed(session: Session, *, limit: int = PAGE_ROWS) -> Sequence[Exchange]:
    """What waits for an arbiter, oldest first."""
    query = select(Exchange).where(Exchange.state == ExchangeState.DISPUTED)
    return session.scalars(query.order_by(Exchange.changed_at).limit(limit)).all()


def statement(
    session: Session, resident_id: UUID, *, limit: int = PAGE_ROWS
) -> list[StatementLine]:
    """What moved on a resident's account, newest first, each with the balance after it."""
    account_id = ledger.resident_account(resident_id, Unit.MINUTES)
    query = (
        select(JournalEntry, Posting.amount)
        .join(Posting, Posting.sequence == JournalEntry.sequence)
        .where(Posting.account_id == account_id)
        .order_by(Posting.sequence.desc())
        .limit(limit)
    )
    lines, after = [], ledger.balance(session, account_id)
    for entry, amount in session.execute(query):
        refers_to = entry.refers_to or entry.id
        lines.append(StatementLine(entry.recorded_at, entry.reason, refers_to, amount, after))
        after -= amount
    return lines


def _move(session: Session, clock: Clock, exchange: Exchange, actor: Actor, act: Act) -> Side:
    side = _allowed_side(exchange, actor, act)
    exchange.state = rules.MOVES[ExchangeState(exchange.state), act].to
    exchange.changed_at = clock.now()
    return side


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
    exchange.state, exchange.changed_at = ExchangeState.CAPTURED, clock.now()
    ledger.capture_hold(session, clock, hold_id=exchange.id, amount=minutes)
    account_id = ledger.resident_account(exchange.provider_id, Unit.MINUTES)
    sweep_surplus(session, clock, account_id=account_id, refers_to=exchange.id)
    record(
        session,
        ExchangeConfirmed(
            exchange_id=exchange.id,
            provider_id=exchange.provider_id,
            receiver_id=exchange.receiver_id,
            minutes=minutes,
        ),
    )


def _note(
    session: Session,
    clock: Clock,
    exchange: Exchange,
    act: str,
    side: Side,
    recorded_by: UUID | None,
    minutes: int | None = None,
) -> None:
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
