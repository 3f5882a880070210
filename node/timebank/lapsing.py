"""Exchanges on which nobody acted in time: nothing stays held for ever, and silence is heard.

Who was not answered, or not visited, has their minutes free again. Where help was given and never
confirmed, no minutes move by themselves: a social worker hears both sides.
"""

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.events import record
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.timebank import disputes, rules
from node.timebank.events import ExchangeExpired
from node.timebank.model import Exchange
from node.timebank.rules import DisputeReason, ExchangeState, Side
from node.timebank.service import note, reach, who

LAPSES_MAX = 200  # exchanges that one sweep ends; the next one goes on


def lapse(session: Session, clock: Clock, exchange: Exchange) -> None:
    """What becomes of an exchange whose time ran out: it ends, or an arbiter hears of it."""
    was = ExchangeState(exchange.state)
    reach(clock, exchange, rules.LAPSES[was])
    note(session, clock, exchange, "lapse", Side.HOUSE, None)
    if was is ExchangeState.DELIVERED:
        reason = DisputeReason.SILENCE
        disputes.open_one(session, clock, exchange, reason=reason, by=Side.HOUSE, paid_before=None)
        return
    if was is ExchangeState.ACCEPTED:
        ledger.void_hold(session, clock, hold_id=exchange.id)
    record(session, ExchangeExpired(*who(exchange)))


def lapse_overdue(session: Session, clock: Clock, *, limit: int = LAPSES_MAX) -> int:
    """End, or hand on, every exchange whose time ran out; returns how many."""
    overdue = select(Exchange).where(Exchange.lapses_at <= clock.now())
    late = session.scalars(overdue.order_by(Exchange.lapses_at).limit(limit)).all()
    for exchange in late:
        lapse(session, clock, exchange)
    return len(late)
