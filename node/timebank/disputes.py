"""What is said to be wrong with an exchange, by whom, and what was decided: kept with it for good.

service.py says when a dispute opens and what a decision moves.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput
from node.kernel.events import record
from node.kernel.ids import derived_id
from node.kernel.ports import Clock
from node.timebank import rules
from node.timebank.events import DisputeOpened
from node.timebank.model import Dispute, DisputeWords, Exchange
from node.timebank.refusals import AlreadyDecided
from node.timebank.rules import DisputeReason, Side


def open_one(
    session: Session,
    clock: Clock,
    exchange: Exchange,
    *,
    reason: DisputeReason,
    by: Side,
    paid_before: int | None,
) -> Dispute:
    """Hand an exchange to the social worker; one that was decided is not opened again."""
    if session.get(Dispute, exchange.id) is not None:
        raise AlreadyDecided
    row = Dispute(
        exchange_id=exchange.id,
        reason=reason.value,
        opened_by=by.value,
        opened_at=clock.now(),
        paid_before=paid_before,
    )
    session.add(row)
    session.flush()
    record(
        session,
        DisputeOpened(
            exchange.id,
            exchange.provider_id,
            exchange.receiver_id,
            by_silence=reason is DisputeReason.SILENCE,
        ),
    )
    return row


def say(
    session: Session, clock: Clock, exchange: Exchange, *, side: Side, words: str, by: UUID | None
) -> None:
    """Add what one side says. Saying the same words twice is once."""
    words = words.strip()
    if not 0 < len(words) <= rules.WORDS_LENGTH_MAX:
        raise BadInput(field="words", problem="give 1 to 1,000 characters")
    words_id = derived_id("dispute words", exchange.id, side, words)
    if session.get(DisputeWords, words_id) is None:
        session.add(
            DisputeWords(
                id=words_id,
                exchange_id=exchange.id,
                resident_id=(
                    exchange.provider_id if side is Side.PROVIDER else exchange.receiver_id
                ),
                side=side.value,
                words=words,
                recorded_by=by,
                said_at=clock.now(),
            )
        )


def decide(
    session: Session,
    clock: Clock,
    exchange: Exchange,
    *,
    minutes: int,
    by: UUID | None,
    verdict: str,
) -> None:
    """Write the decision down, with its reason in words."""
    if len(verdict) > rules.WORDS_LENGTH_MAX:
        raise BadInput(field="verdict", problem="give 1 to 1,000 characters")
    row = session.get(Dispute, exchange.id)
    assert row is not None, "what is settled was disputed"
    row.decided_at, row.decided_by = clock.now(), by
    row.minutes, row.verdict = minutes, verdict.strip() or None


def of(session: Session, exchange_id: UUID) -> Dispute | None:
    """The dispute over an exchange, if there was one."""
    return session.get(Dispute, exchange_id)


def words_of(session: Session, exchange_id: UUID) -> Sequence[DisputeWords]:
    """What the sides said, in order."""
    query = select(DisputeWords).where(DisputeWords.exchange_id == exchange_id)
    return session.scalars(query.order_by(DisputeWords.said_at, DisputeWords.id)).all()
