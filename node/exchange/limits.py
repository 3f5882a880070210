"""How much may be owed: to us by each peer and by all, by us to all and on the chain.

A limit is enforced in the transaction that would break it. What a peer tells us of its limit is a
word of information, so that nobody types an amount in vain; the peer's own books decide.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import Column, ColumnElement, Select, bindparam, case, func, select, text
from sqlalchemy.orm import InstrumentedAttribute, Session

from node.exchange import rules
from node.exchange.messages import AskHeadroom, Headroom
from node.exchange.model import (
    REVERSAL_IS_OFFERED,
    Gift,
    Pass,
    PeerLimit,
    Reversal,
    ToldLimit,
)
from node.exchange.refusals import AllPeersLimitReached, PeerBacklog
from node.exchange.rules import GiftState, PassState
from node.kernel.errors import BadInput
from node.kernel.ids import derived_id
from node.kernel.messages import Envelope, Sealer
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import ACCOUNT, Unit
from node.ledger.rules import AMOUNT_MAX
from node.outbox import service as outbox
from node.outbox.model import OUTBOX, OutboxState

SETTLED = "settled"  # house account: our position on the chain, with the sign turned
ALL_PEERS = "*"
CHAIN = "#chain"
OWN = "#own"  # the operator's limit, for what happens without anybody asking: a verdict, say
OPEN_PASSES = (PassState.ISSUED, PassState.ACCEPTED)


def _sum(
    column: InstrumentedAttribute[int] | Column[int] | ColumnElement[int],
) -> Select[tuple[int]]:
    return select(func.coalesce(func.sum(column), 0))


_OFFERED = _sum(Reversal.minutes).where(text(REVERSAL_IS_OFFERED))
_OWED = (
    ACCOUNT.c.balance
    + _OFFERED.where(Reversal.peer == ACCOUNT.c.owner).correlate(ACCOUNT).scalar_subquery()
)
"""What we owe the peer of a clearing account, once it has taken what we hold to give back."""
_OUTSTANDING = select(
    _sum(case((_OWED > 0, _OWED), else_=0))
    .where(ACCOUNT.c.kind == ledger.CLEARING)
    .scalar_subquery()
    + _sum(ACCOUNT.c.balance)
    .where(ACCOUNT.c.id == ledger.house_account(SETTLED, Unit.MINUTES))
    .scalar_subquery()
    + _sum(Pass.minutes_up_to).where(Pass.state.in_(OPEN_PASSES)).scalar_subquery()
    + _sum(Gift.minutes).where(Gift.state == GiftState.SENT).scalar_subquery()
)
_CHAIN_LIMIT = select(ToldLimit.minutes).where(ToldLimit.source == CHAIN)
_STANDING_LIMIT = select(func.min(ToldLimit.minutes)).where(ToldLimit.source.in_((CHAIN, OWN)))
_ALL_PEERS_LIMIT = (
    select(PeerLimit.minutes)
    .where(PeerLimit.peer == ALL_PEERS)
    .order_by(PeerLimit.id.desc())
    .limit(1)
)
_LAST_WAITING = (
    select(OUTBOX.c.id)
    .where(OUTBOX.c.state == OutboxState.WAITING, OUTBOX.c.recipient == bindparam("peer"))
    .offset(rules.WAITING_MAX - 1)
    .limit(1)
)


@dataclass(frozen=True)
class Quote:
    """What can be promised to one community now, and which limit says so."""

    host: str
    own_minutes: int  # the resident's balance and credit, less what is held
    all_peers_minutes: int  # what this community may still owe all others, the chain's limit too
    peer_minutes: int | None  # as the host last told us, less what is on its way; None: unknown
    told_at: datetime | None
    suggested_max_minutes: int


def outstanding_minutes(session: Session) -> int:
    """What we owe others, on the chain and before it, and what open promises may still add."""
    return int(session.execute(_OUTSTANDING).scalar() or 0)


def debt_headroom(session: Session, debt_limit_minutes: int) -> int:
    """How much more we may promise: the operator's limit or the chain's, whichever is lower."""
    told = session.execute(_CHAIN_LIMIT).scalar()
    limit = debt_limit_minutes if told is None else min(debt_limit_minutes, told)
    return limit - outstanding_minutes(session)


def check_debt(session: Session, *, needed: int, debt_limit_minutes: int) -> None:
    """Raises DebtLimitReached where promising `needed` more would pass a limit of ours."""
    headroom = debt_headroom(session, debt_limit_minutes)
    if needed > headroom:
        raise rules.DebtLimitReached(available=max(0, headroom), needed=needed)


def check_giving_back(session: Session, *, peer: str, minutes: int) -> None:
    """Raises DebtLimitReached where minutes given back to `peer` would pass a limit of ours.

    What it owes us goes down first, and counts for nothing: only what we then owe it does.
    """
    limit = session.execute(_STANDING_LIMIT).scalar()
    if limit is None:
        return
    offered = int(session.scalar(_OFFERED.where(Reversal.peer == peer)) or 0)
    owed = ledger.balance(session, ledger.clearing_account(peer)) + offered
    needed = max(0, owed + minutes) - max(0, owed)
    if needed:
        check_debt(session, needed=needed, debt_limit_minutes=limit)


def check_all_peers(session: Session, *, peer: str, needed: int) -> None:
    """Raises AllPeersLimitReached where all peers together would owe us more than was set."""
    left = _all_peers_left(session, peer)
    if left is not None and needed > left:
        raise AllPeersLimitReached(available=max(0, left), needed=needed)


def check_backlog(session: Session, peer: str) -> None:
    """Raises PeerBacklog where too much waits for this peer: begin nothing new with it."""
    if session.execute(_LAST_WAITING, {"peer": peer}).first() is not None:
        raise PeerBacklog(community=peer, waiting=rules.WAITING_MAX)


def set_limit(session: Session, clock: Clock, *, peer: str, minutes: int, set_by: str) -> None:
    """Let a peer, or ALL_PEERS together, owe us so much; what they owe already stays."""
    if not 0 <= minutes <= AMOUNT_MAX:
        raise BadInput(field="minutes", problem=f"between 0 and {AMOUNT_MAX}, not {minutes}")
    if peer != ALL_PEERS:
        account_id = ledger.clearing_account(peer)
        if not ledger.exists(session, account_id):
            raise rules.UnknownCommunity(community=peer)
        ledger.set_floor(session, account_id=account_id, floor=-minutes)
    session.add(PeerLimit(peer=peer, minutes=minutes, set_by=set_by, set_at=clock.now()))


def quote(
    session: Session, clock: Clock, *, resident_id: UUID, host: str, debt_limit_minutes: int
) -> Quote:
    """How much a resident can promise to `host` now, before anybody types an amount."""
    if not ledger.exists(session, ledger.clearing_account(host)):
        raise rules.UnknownCommunity(community=host)
    own = ledger.available(session, ledger.resident_account(resident_id, Unit.MINUTES))
    everywhere = debt_headroom(session, debt_limit_minutes)
    told = session.get(ToldLimit, host)
    there: int | None = None
    if told is not None and clock.now() - told.told_at <= rules.HEADROOM_STALE:
        there = max(0, told.minutes - _on_its_way(session, host))
    least = min(own, everywhere, rules.MINUTES_MAX, *([] if there is None else [there]))
    return Quote(
        host=host,
        own_minutes=max(0, own),
        all_peers_minutes=max(0, everywhere),
        peer_minutes=there,
        told_at=told.told_at if told is not None else None,
        suggested_max_minutes=max(0, least),
    )


def ask_headroom(session: Session, clock: Clock, sealer: Sealer, peer: str) -> bool:
    """Ask a peer for its limit, unless it told us just now or the last question still waits."""
    told = session.get(ToldLimit, peer)
    if told is not None and clock.now() - told.told_at < rules.HEADROOM_FRESH:
        return False
    slot = int(clock.now().timestamp() // rules.HEADROOM_FRESH.total_seconds())
    message_id = derived_id("headroom", peer, slot)
    asked = select(OUTBOX.c.id).where(
        (OUTBOX.c.id == message_id)
        | (
            (OUTBOX.c.state == OutboxState.WAITING)
            & (OUTBOX.c.recipient == peer)
            & (OUTBOX.c.kind == outbox.kind_of(AskHeadroom()))
        )
    )
    if session.execute(asked.limit(1)).first() is not None:
        return False
    outbox.enqueue(
        session, clock, sealer, message_id=message_id, recipient=peer, body=AskHeadroom()
    )
    return True


def tell_headroom(session: Session, clock: Clock, question: Envelope) -> Headroom:
    """What the asking community may still owe us."""
    peer = question.sender
    left = ledger.available(session, ledger.clearing_account(peer))
    everywhere = _all_peers_left(session, peer)
    return Headroom(max(0, left if everywhere is None else min(left, everywhere)), clock.now())


def headroom_told(session: Session, clock: Clock, question: Envelope, answer: Headroom) -> None:
    """Keep a peer's word, dated by our own clock: its age is what we judge it by."""
    keep_told(session, clock, source=question.recipient, minutes=answer.minutes)


def keep_told(session: Session, clock: Clock, *, source: str, minutes: int) -> None:
    """Keep what a peer, the chain, or our operator said of its limit, and when."""
    known = session.get(ToldLimit, source)
    bounded = max(0, min(minutes, AMOUNT_MAX))
    if known is None:
        session.add(ToldLimit(source=source, minutes=bounded, told_at=clock.now()))
    else:
        known.minutes, known.told_at = bounded, clock.now()


def keep_own(session: Session, clock: Clock, *, minutes: int) -> None:
    """Keep the operator's limit; a start that changes nothing writes nothing."""
    known = session.get(ToldLimit, OWN)
    if known is None or known.minutes != max(0, min(minutes, AMOUNT_MAX)):
        keep_told(session, clock, source=OWN, minutes=minutes)


def _on_its_way(session: Session, peer: str) -> int:
    """What a peer does not know of yet: passes not presented, gifts not answered."""
    passes = _sum(Pass.minutes_up_to).where(Pass.state == PassState.ISSUED, Pass.host == peer)
    gifts = _sum(Gift.minutes).where(Gift.state == GiftState.SENT, Gift.peer == peer)
    return int(session.scalar(passes) or 0) + int(session.scalar(gifts) or 0)


def _all_peers_left(session: Session, peer: str) -> int | None:
    """What `peer` may still owe us under the limit for all; None where none was ever set."""
    limit = session.execute(_ALL_PEERS_LIMIT).scalar()
    if limit is None:
        return None
    used, own_room = 0, 0
    accounts = select(ACCOUNT.c.owner, ACCOUNT.c.balance, ACCOUNT.c.held)
    for owner, balance, held in session.execute(accounts.where(ACCOUNT.c.kind == ledger.CLEARING)):
        used += max(0, held - balance)
        if owner == peer:
            own_room = max(0, balance - held)  # what we owe it comes off first
    return limit - used + own_room
