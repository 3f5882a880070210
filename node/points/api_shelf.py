"""The shelf as JSON: what there is, reserve, collect, release; the clerk's stock."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from node.kernel.ids import new_code
from node.points import shelf, stock
from node.points.model import CatalogueItem, Redemption
from node.points.rules import StockReason
from node.residents.rules import Role, Scope
from node.web import idempotency
from node.web.paging import PAGE_ROWS_DEFAULT, Cursor, PageRows
from node.web.session import AnyRequest, house, require, require_for

COUNTER_ROLES = (Role.CLERK,)  # who hands things out, and keeps the shelf


class RedemptionBody(msgspec.Struct):
    resident_id: UUID
    item: str


class CollectBody(msgspec.Struct):
    code: str


class ItemBody(msgspec.Struct):
    title: str
    points: int
    is_offered: bool = True


class StockBody(msgspec.Struct):
    change: int
    reason: StockReason


@get("/api/points/catalogue")
async def show_catalogue(request: AnyRequest) -> list[dict[str, Any]]:
    """What points can be had for, and how many are left."""
    with house(request).database.read() as session:
        return [item_json(item) for item in shelf.catalogue(session)]


@put("/api/points/catalogue/{code:str}")
async def put_item(
    request: AnyRequest, code: FromPath[str], data: JSONBody[ItemBody]
) -> dict[str, Any]:
    """Put something on the shelf, or change its title and price (clerk)."""
    require(request, *COUNTER_ROLES)

    def command(session: Any) -> dict[str, Any]:
        stock.put_item(session, code=code, title=data.title, points=data.points)
        return item_json(stock.offer(session, item_code=code, is_offered=data.is_offered))

    return await house(request).database.run(command)


@post("/api/points/catalogue/{code:str}/stock", status_code=200)
async def change_stock(
    request: AnyRequest, code: FromPath[str], data: JSONBody[StockBody]
) -> dict[str, Any]:
    """Add to the stock or take from it, and say why (clerk)."""
    who, node, change_id = (
        require(request, *COUNTER_ROLES),
        house(request),
        idempotency.key(request),
    )
    return await node.database.run(
        lambda session: item_json(
            stock.change_stock(
                session,
                node.clock,
                change_id=change_id,
                item_code=code,
                change=data.change,
                reason=data.reason,
                done_by=who.hand,
            )
        )
    )


@post("/api/points/redemptions")
async def reserve(request: AnyRequest, data: JSONBody[RedemptionBody]) -> dict[str, Any]:
    """Put an item aside and hold its points; the answer's `code` collects it."""
    who = require_for(request, data.resident_id, Scope.POINTS)
    node, redemption_id, code = house(request), idempotency.key(request), new_code()
    by = who.recorder(data.resident_id)
    row = await node.database.run(
        lambda session: shelf.reserve(
            session,
            node.clock,
            redemption_id=redemption_id,
            resident_id=data.resident_id,
            item_code=data.item,
            code=code,
            reserved_by=by,
        )
    )
    return redemption_json(row)


@get("/api/points/redemptions")
async def list_redemptions(
    request: AnyRequest,
    resident_id: FromQuery[UUID],
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
    after: FromQuery[Cursor | None] = None,
) -> dict[str, Any]:
    """What a resident has put aside, newest first, its codes included."""
    require_for(request, resident_id, Scope.POINTS)
    with house(request).database.read() as session:
        found = shelf.redemptions_of(session, resident_id, limit=limit, after=after)
        return found.as_json(redemption_json)


@post("/api/points/redemptions/{redemption_id:uuid}/collect", status_code=200)
async def collect(
    request: AnyRequest, redemption_id: FromPath[UUID], data: JSONBody[CollectBody]
) -> dict[str, Any]:
    """Hand the item over to whoever brings the code (clerk)."""
    who, node = require(request, *COUNTER_ROLES), house(request)
    row = await node.database.run(
        lambda session: shelf.collect(
            session,
            node.clock,
            redemption_id=redemption_id,
            code=data.code,
            collected_by=who.hand,
        )
    )
    return redemption_json(row)


@post("/api/points/redemptions/{redemption_id:uuid}/release", status_code=200)
async def release(request: AnyRequest, redemption_id: FromPath[UUID]) -> dict[str, Any]:
    """Give the item back to the shelf and the points back to the resident."""
    node = house(request)
    with node.database.read() as session:
        resident_id = shelf.redemption(session, redemption_id).resident_id
    who = require_for(request, resident_id, Scope.POINTS)
    by = who.recorder(resident_id)
    row = await node.database.run(
        lambda session: shelf.release(
            session, node.clock, redemption_id=redemption_id, released_by=by
        )
    )
    return redemption_json(row)


def item_json(item: CatalogueItem) -> dict[str, Any]:
    """Something on the shelf as the API shows it."""
    return {
        "code": item.code,
        "title": item.title,
        "points": item.points,
        "stock": item.stock,
        "is_offered": item.is_offered,
    }


def redemption_json(row: Redemption) -> dict[str, Any]:
    """A reservation as the API shows it to whom it concerns, its code included."""
    return {
        "id": str(row.id),
        "resident_id": str(row.resident_id),
        "item": row.item_code,
        "points": row.points,
        "state": row.state,
        "code": row.code,
        "pickup_ends_at": row.pickup_ends_at.isoformat(),
    }


routes = [
    show_catalogue,
    put_item,
    change_stock,
    reserve,
    list_redemptions,
    collect,
    release,
]
