"""The donation pool: minutes that neighbours give for those who cannot earn their own.

A resident gives what they own, never their credit; what comes in above the cap on holdings goes
there by itself (node/ledger/cap.py). A social worker grants from it and says why; both ids are
kept. Always inside the caller's transaction.
"""

from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, IdReused, NotAllowed, NotFound
from node.kernel.events import record
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.cap import open_pool, pool_account, sweep_surplus
from node.ledger.model import ACCOUNT, Unit
from node.timebank import rules
from node.timebank.events import MinutesGranted
from node.timebank.model import PoolMovement
from node.timebank.refusals import GrantsUsedUp, NotOwned
from node.timebank.rules import Need, PoolAct
from node.web.paging import PAGE_ROWS_DEFAULT, Page, page_of

DONATED_REASON, GRANTED_REASON = "donated_to_pool", "granted_from_pool"


def donate(
    session: Session,
    clock: Clock,
    *,
    donation_id: UUID,
    resident_id: UUID,
    minutes: int,
    recorded_by: UUID | None = None,
) -> PoolMovement:
    """Give minutes to the pool. Repeating it with the same id is the same gift."""
    if known := _known(session, donation_id, PoolAct.DONATE, resident_id, minutes):
        return known
    rules.check_pool_minutes(minutes)
    ledger.check_no_hold(session, donation_id)
    owned = _owned(session, resident_id)
    if minutes > owned:
        raise NotOwned(owned=max(0, owned), needed=minutes)
    open_pool(session)
    ledger.transfer(
        session,
        clock,
        entry_id=donation_id,
        payer_id=ledger.resident_account(resident_id, Unit.MINUTES),
        payee_id=pool_account(),
        amount=minutes,
        reason=DONATED_REASON,
    )
    return _note(session, clock, donation_id, PoolAct.DONATE, resident_id, minutes, recorded_by)


def grant(
    session: Session,
    clock: Clock,
    *,
    grant_id: UUID,
    resident_id: UUID,
    minutes: int,
    need: str,
    granted_by: UUID | None,
) -> PoolMovement:
    """Give a resident minutes out of the pool, for a reason that is kept; never to oneself."""
    if known := _known(session, grant_id, PoolAct.GRANT, resident_id, minutes):
        return known
    rules.check_pool_minutes(minutes)
    ledger.check_no_hold(session, grant_id)
    if need not in set(Need):
        raise BadInput(field="need", problem=f"one of {', '.join(Need)}")
    if granted_by == resident_id:
        raise NotAllowed(what="grant (to yourself)")
    account_id = ledger.resident_account(resident_id, Unit.MINUTES)
    if not ledger.exists(session, account_id):
        raise NotFound(what="resident", id=str(resident_id))
    left = rules.GRANTS_A_MONTH_MINUTES - granted_lately(session, clock, resident_id)
    if minutes > left:
        raise GrantsUsedUp(left=max(0, left), needed=minutes)
    open_pool(session)
    ledger.transfer(
        session,
        clock,
        entry_id=grant_id,
        payer_id=pool_account(),
        payee_id=account_id,
        amount=minutes,
        reason=GRANTED_REASON,
    )
    sweep_surplus(session, clock, account_id=account_id, refers_to=grant_id)
    row = _note(session, clock, grant_id, PoolAct.GRANT, resident_id, minutes, granted_by)
    row.need = need
    record(session, MinutesGranted(grant_id, resident_id, minutes))
    return row


def pool_minutes(session: Session) -> int:
    """What the pool can grant now."""
    return ledger.balance(session, pool_account())


def granted_lately(session: Session, clock: Clock, resident_id: UUID) -> int:
    """What a resident got from the pool within a month, in minutes."""
    since = clock.now() - timedelta(days=rules.GRANT_MONTH_DAYS)
    got = select(func.coalesce(func.sum(PoolMovement.minutes), 0)).where(
        PoolMovement.resident_id == resident_id,
        PoolMovement.act == PoolAct.GRANT,
        PoolMovement.done_at > since,
    )
    return int(session.scalar(got) or 0)


def movements(
    session: Session,
    *,
    resident_id: UUID | None = None,
    limit: int = PAGE_ROWS_DEFAULT,
    after: str | None = None,
) -> Page[PoolMovement]:
    """What was given and granted, newest first; of one resident, or of all for the desk."""
    query = select(PoolMovement)
    if resident_id is not None:
        query = query.where(PoolMovement.resident_id == resident_id)
    key = [PoolMovement.done_at, PoolMovement.id]
    return page_of(session, query, key, limit=limit, after=after, is_newest_first=True)


class Figures(NamedTuple):
    """What everybody may know of the pool: how much, by and for how many people, no names."""

    minutes: int
    people: int


def figures(session: Session, act: PoolAct, *, since: datetime) -> Figures:
    """What was given, or granted, since a moment."""
    minutes = func.coalesce(func.sum(PoolMovement.minutes), 0)
    people = func.count(PoolMovement.resident_id.distinct())
    query = select(minutes, people).where(PoolMovement.act == act, PoolMovement.done_at >= since)
    found = session.execute(query).one()
    return Figures(int(found[0]), int(found[1]))


def _owned(session: Session, resident_id: UUID) -> int:
    """What a resident could give away: no credit, nothing promised already."""
    account = select(ACCOUNT.c.balance - ACCOUNT.c.held).where(
        ACCOUNT.c.id == ledger.resident_account(resident_id, Unit.MINUTES)
    )
    return int(session.execute(account).scalar() or 0)


def _known(
    session: Session, movement_id: UUID, act: PoolAct, resident_id: UUID, minutes: int
) -> PoolMovement | None:
    found = session.get(PoolMovement, movement_id)
    if found is not None and (found.act, found.resident_id, found.minutes) != (
        act,
        resident_id,
        minutes,
    ):
        raise IdReused(id=str(movement_id))
    return found


def _note(
    session: Session,
    clock: Clock,
    movement_id: UUID,
    act: PoolAct,
    resident_id: UUID,
    minutes: int,
    recorded_by: UUID | None,
) -> PoolMovement:
    row = PoolMovement(
        id=movement_id,
        act=act,
        resident_id=resident_id,
        minutes=minutes,
        recorded_by=recorded_by,
        done_at=clock.now(),
    )
    session.add(row)
    return row
