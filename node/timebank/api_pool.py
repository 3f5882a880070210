"""The donation pool as JSON: give to it, grant from it, see what is in it."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromQuery, JSONBody

from node.residents.rules import Role, Scope
from node.timebank import pool
from node.timebank.model import PoolMovement
from node.web import idempotency
from node.web.paging import PAGE_ROWS_DEFAULT, Cursor, PageRows
from node.web.session import AnyRequest, house, require, require_for

GRANTING_ROLES = (Role.SOCIAL_WORKER,)


class DonationBody(msgspec.Struct):
    resident_id: UUID
    minutes: int


class GrantBody(msgspec.Struct):
    resident_id: UUID
    minutes: int
    need: str


@get("/api/timebank/pool")
async def show_pool(request: AnyRequest) -> dict[str, Any]:
    """What the pool can grant now: for everybody who is known here."""
    require(request)
    with house(request).database.read() as session:
        return {"minutes": pool.pool_minutes(session)}


@get("/api/timebank/pool/movements")
async def list_movements(
    request: AnyRequest,
    resident_id: FromQuery[UUID | None] = None,
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
    after: FromQuery[Cursor | None] = None,
) -> dict[str, Any]:
    """Who gave and who was granted, newest first: all for social workers, else one's own."""
    if resident_id is None:
        require(request, *GRANTING_ROLES)
    else:
        require_for(request, resident_id, Scope.TIMEBANK)
    with house(request).database.read() as session:
        found = pool.movements(session, resident_id=resident_id, limit=limit, after=after)
        return found.as_json(as_json)


@post("/api/timebank/donations")
async def donate(request: AnyRequest, data: JSONBody[DonationBody]) -> dict[str, Any]:
    """Give a resident's own minutes to the pool (themselves, or acting)."""
    who = require_for(request, data.resident_id, Scope.TIMEBANK)
    node, donation_id = house(request), idempotency.key(request)
    by = who.recorder(data.resident_id)
    return await node.database.run(
        lambda session: as_json(
            pool.donate(
                session,
                node.clock,
                donation_id=donation_id,
                resident_id=data.resident_id,
                minutes=data.minutes,
                recorded_by=by,
            )
        )
    )


@post("/api/timebank/grants")
async def grant(request: AnyRequest, data: JSONBody[GrantBody]) -> dict[str, Any]:
    """Give a resident minutes out of the pool (social worker); the need is kept with it."""
    who, node = require(request, *GRANTING_ROLES), house(request)
    grant_id = idempotency.key(request)
    return await node.database.run(
        lambda session: as_json(
            pool.grant(
                session,
                node.clock,
                grant_id=grant_id,
                resident_id=data.resident_id,
                minutes=data.minutes,
                need=data.need,
                granted_by=who.hand,
            )
        )
    )


def as_json(row: PoolMovement) -> dict[str, Any]:
    """One movement of the pool as the API shows it."""
    return {
        "id": str(row.id),
        "act": row.act,
        "resident_id": str(row.resident_id),
        "minutes": row.minutes,
        "need": row.need,
        "done_at": row.done_at.isoformat(),
    }


routes = [show_pool, list_movements, donate, grant]
