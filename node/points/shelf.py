"""What points can be had for: reserve, collect with a code, release, in the caller's transaction.

A reserved item's points are held under the redemption's id; collected, they go to the house account
`shop`; released, or never collected, item and points go back together.
"""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from node.kernel.errors import IdReused, NotFound, WrongState
from node.kernel.events import record
from node.kernel.ports import Clock
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.points import rules
from node.points.events import CouponCollected, CouponReleased, CouponReserved
from node.points.model import CatalogueItem, Redemption
from node.points.refusals import DebtFirst, NotOffered, OutOfStock, WrongPickupCode
from node.points.rules import RedemptionState
from node.points.service import SHOP, own_points
from node.web.paging import Page, page_of

_REDEMPTION = "redemption"


def reserve(
    session: Session,
    clock: Clock,
    *,
    redemption_id: UUID,
    resident_id: UUID,
    item_code: str,
    code: str,
    reserved_by: UUID | None = None,
) -> Redemption:
    """Put an item aside for a resident and hold its points; `code` will collect it."""
    known = session.get(Redemption, redemption_id)
    if known is not None:
        if (known.resident_id, known.item_code) != (resident_id, item_code):
            raise IdReused(id=str(redemption_id))
        return known
    release_overdue(session, clock, item_code=item_code)
    item = session.get(CatalogueItem, item_code, with_for_update=True)
    if item is None:
        raise NotFound(what="item", id=item_code)
    if not item.is_offered:
        raise NotOffered(item=item.title)
    balance, _available = own_points(session, resident_id)
    if balance < 0:
        raise DebtFirst(missing=-balance)
    if item.stock < 1:
        raise OutOfStock(item=item.title)
    ledger.place_hold(
        session,
        clock,
        hold_id=redemption_id,
        payer_id=ledger.resident_account(resident_id, Unit.POINTS),
        payee_id=SHOP,
        amount=item.points,
        expires_at=None,  # the shelf gets the item back in the same act: `release_overdue`
        reason=_REDEMPTION,
    )
    _restock(session, item_code, -1)
    row = Redemption(
        id=redemption_id,
        resident_id=resident_id,
        item_code=item_code,
        points=item.points,
        code=code,
        state=RedemptionState.RESERVED,
        reserved_at=clock.now(),
        reserved_by=reserved_by,
        pickup_ends_at=rules.pickup_ends(clock.now()),
    )
    session.add(row)
    ends = row.pickup_ends_at
    record(session, CouponReserved(row.id, resident_id, item_code, row.points, ends))
    return row


def collect(
    session: Session,
    clock: Clock,
    *,
    redemption_id: UUID,
    code: str,
    collected_by: UUID | None = None,
) -> Redemption:
    """Hand an item over to whoever brings the code; the held points are paid to the shop."""
    row = redemption(session, redemption_id)
    if _typed(code) != row.code:
        raise WrongPickupCode
    if row.state != RedemptionState.COLLECTED:
        _close(session, clock, row, RedemptionState.COLLECTED, closed_by=collected_by)
        ledger.capture_hold(session, clock, hold_id=redemption_id)
        record(session, CouponCollected(row.id, row.resident_id, row.points))
    return row


def release(
    session: Session, clock: Clock, *, redemption_id: UUID, released_by: UUID | None = None
) -> Redemption:
    """Put a reserved item back and give the held points back. Releasing twice is once."""
    row = redemption(session, redemption_id)
    if row.state != RedemptionState.RELEASED:
        _close(session, clock, row, RedemptionState.RELEASED, closed_by=released_by)
        ledger.void_hold(session, clock, hold_id=redemption_id)
        _restock(session, row.item_code, 1)
        is_overdue = row.pickup_ends_at <= clock.now()
        record(session, CouponReleased(row.id, row.resident_id, row.points, is_overdue))
    return row


def release_own(
    session: Session,
    clock: Clock,
    *,
    redemption_id: UUID,
    resident_id: UUID,
    released_by: UUID | None = None,
) -> Redemption:
    """`release` for whoever may speak for `resident_id`; other people's stay unknown to them."""
    if redemption(session, redemption_id).resident_id != resident_id:
        raise NotFound(what="redemption", id=str(redemption_id))
    return release(session, clock, redemption_id=redemption_id, released_by=released_by)


def release_overdue(session: Session, clock: Clock, *, item_code: str | None = None) -> int:
    """Put back what nobody collected in time, of one item or of all; returns how many."""
    overdue = select(Redemption.id).where(
        Redemption.state == RedemptionState.RESERVED, Redemption.pickup_ends_at <= clock.now()
    )
    if item_code is not None:
        overdue = overdue.where(Redemption.item_code == item_code)
    late = session.scalars(overdue).all()
    for redemption_id in late:
        release(session, clock, redemption_id=redemption_id)
    return len(late)


def redemption(session: Session, redemption_id: UUID) -> Redemption:
    """The reservation with this id; refuses an unknown one."""
    row = session.get(Redemption, redemption_id)
    if row is None:
        raise NotFound(what="redemption", id=str(redemption_id))
    return row


def reserved_under(session: Session, code: str) -> Redemption:
    """The reservation that waits under this code; refuses an unknown one."""
    waiting = select(Redemption).where(Redemption.state == RedemptionState.RESERVED)
    row = session.scalars(waiting.where(Redemption.code == _typed(code))).first()
    if row is None:
        raise WrongPickupCode
    return row


def catalogue(session: Session, *, is_whole: bool = False) -> Sequence[CatalogueItem]:
    """What can be had, cheapest first; `is_whole` shows what is not on offer too."""
    by_price = select(CatalogueItem).order_by(CatalogueItem.points, CatalogueItem.code)
    offered = by_price if is_whole else by_price.where(CatalogueItem.is_offered)
    return session.scalars(offered).all()


def redemptions_of(
    session: Session, resident_id: UUID, *, limit: int, after: str | None = None
) -> Page[Redemption]:
    """A resident's reservations, newest first."""
    query = select(Redemption).where(Redemption.resident_id == resident_id)
    key = [Redemption.reserved_at, Redemption.id]
    return page_of(session, query, key, limit=limit, after=after, is_newest_first=True)


def open_of(session: Session, resident_id: UUID) -> Sequence[Redemption]:
    """What waits for a resident, the latest reserved first."""
    waiting = select(Redemption).where(
        Redemption.resident_id == resident_id, Redemption.state == RedemptionState.RESERVED
    )
    return session.scalars(waiting.order_by(Redemption.reserved_at.desc(), Redemption.id)).all()


def _typed(code: str) -> str:
    """The code as it is stored, however it was typed: small letters, spaces."""
    return "".join(code.split()).upper()


def _close(
    session: Session,
    clock: Clock,
    row: Redemption,
    state: RedemptionState,
    *,
    closed_by: UUID | None,
) -> None:
    if state not in rules.REDEMPTION_NEXT[RedemptionState(row.state)]:
        needed = RedemptionState.RESERVED.value
        raise WrongState(what="redemption", state=row.state, needed=needed)
    row.state, row.closed_at, row.closed_by = state, clock.now(), closed_by


def _restock(session: Session, item_code: str, count: int) -> None:
    table = update(CatalogueItem).where(CatalogueItem.code == item_code)
    session.execute(table.values(stock=CatalogueItem.stock + count))
