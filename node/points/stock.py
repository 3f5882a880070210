"""The clerk's side of the shelf: what stands on it, how many, and why the number changed."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, IdReused, NotFound
from node.kernel.ports import Clock
from node.points import rules
from node.points.model import CatalogueItem, StockChange
from node.points.refusals import StockTooSmall
from node.points.rules import StockReason

CHANGES_SHOWN_MAX = 50


def put_item(session: Session, *, code: str, title: str, points: int) -> CatalogueItem:
    """Put a new item on the shelf, or change its title and price for whoever comes next.

    What is already reserved keeps the price at which it was.
    """
    title = title.strip()
    rules.check_item(code=code, title=title, points=points)
    item = session.get(CatalogueItem, code)
    if item is None:
        item = CatalogueItem(code=code, title=title, points=points, stock=0, is_offered=True)
        session.add(item)
        session.flush()
    item.title, item.points = title, points
    return item


def change_stock(
    session: Session,
    clock: Clock,
    *,
    change_id: UUID,
    item_code: str,
    change: int,
    reason: StockReason,
    done_by: UUID | None,
) -> CatalogueItem:
    """Add to the stock or take from it, and keep why; never below what is there."""
    item = find(session, item_code)
    known = session.get(StockChange, change_id)
    if known is not None:
        if (known.item_code, known.change, known.reason) != (item_code, change, reason):
            raise IdReused(id=str(change_id))
        return item
    if change == 0 or abs(change) > rules.STOCK_MAX or item.stock + change > rules.STOCK_MAX:
        raise BadInput(field="change", problem="at most 10,000, and not 0")
    if item.stock + change < 0:
        raise StockTooSmall(stock=item.stock, needed=-change)
    item.stock += change
    session.add(
        StockChange(
            id=change_id,
            item_code=item_code,
            change=change,
            reason=reason.value,
            done_by=done_by,
            done_at=clock.now(),
        )
    )
    return item


def offer(session: Session, *, item_code: str, is_offered: bool) -> CatalogueItem:
    """Take an item off the shelf, or put it back; what is reserved can still be collected."""
    item = find(session, item_code)
    item.is_offered = is_offered
    return item


def find(session: Session, item_code: str) -> CatalogueItem:
    """The item with this code; refuses an unknown one."""
    item = session.get(CatalogueItem, item_code, with_for_update=True)
    if item is None:
        raise NotFound(what="item", id=item_code)
    return item


def changes(session: Session, item_code: str | None = None) -> Sequence[StockChange]:
    """How the stock changed, newest first; of one item or of all."""
    query = select(StockChange).order_by(StockChange.done_at.desc(), StockChange.id.desc())
    if item_code is not None:
        query = query.where(StockChange.item_code == item_code)
    return session.scalars(query.limit(CHANGES_SHOWN_MAX)).all()
