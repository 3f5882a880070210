"""Evidence as JSON: gatherings with their rotating code, and claims that a second person signs."""

from datetime import date, datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody

from node.kernel.errors import BadInput
from node.kernel.ids import new_code
from node.points import codes, cosigning, onsite
from node.points.model import Claim, Gathering, Presence
from node.points.refusals import WrongOnsiteCode
from node.points.service import SECRET_LENGTH
from node.residents.rules import Role, Scope
from node.web import idempotency
from node.web.paging import PAGE_ROWS_DEFAULT, Cursor, PageRows
from node.web.session import AnyRequest, house, require, require_for, require_subject

HOST_ROLES = (Role.CLERK, Role.SOCIAL_WORKER, Role.SECRETARY)  # who may hold a gathering


class GatheringBody(msgspec.Struct):
    activity: str
    place: str
    closes_at: datetime


class CodeBody(msgspec.Struct):
    code: str


class ClaimBody(msgspec.Struct):
    resident_id: UUID
    cosigner_id: UUID
    activity: str
    day: date
    minutes: int | None = None


@post("/api/points/gatherings")
async def open_gathering(request: AnyRequest, data: JSONBody[GatheringBody]) -> dict[str, Any]:
    """Open a gathering now (clerk, social worker, secretary); its screen shows the code."""
    who, node = require(request, *HOST_ROLES), house(request)
    gathering_id = idempotency.key(request)
    if data.closes_at.tzinfo is None:
        raise BadInput(field="closes_at", problem="a moment needs its time zone")
    return await node.database.run(
        lambda session: gathering_json(
            onsite.open_gathering(
                session,
                node.clock,
                gathering_id=gathering_id,
                activity=data.activity,
                place=data.place.strip(),
                closes_at=data.closes_at,
                secret=new_code(SECRET_LENGTH),
                opened_by=who.hand,
            )
        )
    )


@get("/api/points/gatherings")
async def list_gatherings(request: AnyRequest) -> list[dict[str, Any]]:
    """Where people are at this moment: for everybody who is known here."""
    require(request)
    node = house(request)
    with node.database.read() as session:
        return [gathering_json(row) for row in onsite.open_now(session, node.clock)]


@get("/api/points/gatherings/{gathering_id:uuid}/code")
async def show_code(request: AnyRequest, gathering_id: FromPath[UUID]) -> dict[str, Any]:
    """The code of this moment, for a screen at the place (clerk, social worker, secretary)."""
    require(request, *HOST_ROLES)
    node = house(request)
    with node.database.read() as session:
        gathering = onsite.find(session, gathering_id)
    now = node.clock.now()
    return {
        "code": codes.code_at(gathering.secret, now),
        "seconds_left": codes.seconds_left(now),
        "closes_at": gathering.closes_at.isoformat(),
    }


@post("/api/points/gatherings/{gathering_id:uuid}/presence", status_code=200)
async def check_in(
    request: AnyRequest, gathering_id: FromPath[UUID], data: JSONBody[CodeBody]
) -> dict[str, Any]:
    """Type the code on coming; where hours count, again on leaving."""
    who, resident_id = require_subject(request, Scope.POINTS)
    node = house(request)
    by = who.recorder(resident_id)
    present = await node.database.run(
        lambda session: onsite.check_in(
            session,
            node.clock,
            gathering_id=gathering_id,
            resident_id=resident_id,
            code=data.code,
            recorded_by=by,
        )
    )
    if present is None:
        raise WrongOnsiteCode
    return presence_json(present)


@get("/api/points/gatherings/{gathering_id:uuid}/presence")
async def list_present(
    request: AnyRequest,
    gathering_id: FromPath[UUID],
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
    after: FromQuery[Cursor | None] = None,
) -> dict[str, Any]:
    """Who came (clerk, social worker, secretary)."""
    require(request, *HOST_ROLES)
    with house(request).database.read() as session:
        onsite.find(session, gathering_id)
        found = onsite.people_at(session, gathering_id, limit=limit, after=after)
        return found.as_json(presence_json)


@post("/api/points/claims")
async def claim(request: AnyRequest, data: JSONBody[ClaimBody]) -> dict[str, Any]:
    """Say what a resident did and who was there to sign for it."""
    who = require_for(request, data.resident_id, Scope.POINTS)
    node, claim_id = house(request), idempotency.key(request)
    by = who.recorder(data.resident_id)
    return await node.database.run(
        lambda session: claim_json(
            cosigning.claim(
                session,
                node.clock,
                claim_id=claim_id,
                resident_id=data.resident_id,
                cosigner_id=data.cosigner_id,
                activity=data.activity,
                minutes=data.minutes,
                day=data.day,
                recorded_by=by,
            )
        )
    )


@get("/api/points/claims")
async def list_claims(
    request: AnyRequest,
    resident_id: FromQuery[UUID],
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
    after: FromQuery[Cursor | None] = None,
) -> dict[str, Any]:
    """What a resident claimed, and what they are asked to sign for, newest first."""
    require_for(request, resident_id, Scope.POINTS)
    with house(request).database.read() as session:
        found = cosigning.claims_of(session, resident_id, limit=limit, after=after)
        return found.as_json(claim_json)


@post("/api/points/claims/{claim_id:uuid}/sign", status_code=200)
async def sign(request: AnyRequest, claim_id: FromPath[UUID]) -> dict[str, Any]:
    """The second person says that it was so."""
    who, resident_id = require_subject(request, Scope.POINTS)
    node = house(request)
    by = who.recorder(resident_id)
    return await node.database.run(
        lambda session: claim_json(
            cosigning.sign(
                session, node.clock, claim_id=claim_id, cosigner_id=resident_id, signed_by=by
            )
        )
    )


@post("/api/points/claims/{claim_id:uuid}/refuse", status_code=200)
async def refuse(request: AnyRequest, claim_id: FromPath[UUID]) -> dict[str, Any]:
    """The second person cannot sign for it."""
    who, resident_id = require_subject(request, Scope.POINTS)
    node = house(request)
    by = who.recorder(resident_id)
    return await node.database.run(
        lambda session: claim_json(
            cosigning.refuse(
                session, node.clock, claim_id=claim_id, cosigner_id=resident_id, refused_by=by
            )
        )
    )


def gathering_json(row: Gathering) -> dict[str, Any]:
    """A gathering as the API shows it; never its secret."""
    return {
        "id": str(row.id),
        "activity": row.activity,
        "place": row.place,
        "opens_at": row.opens_at.isoformat(),
        "closes_at": row.closes_at.isoformat(),
    }


def presence_json(row: Presence) -> dict[str, Any]:
    """A stay at a gathering as the API shows it."""
    return {
        "gathering_id": str(row.gathering_id),
        "resident_id": str(row.resident_id),
        "came_at": row.came_at.isoformat(),
        "left_at": row.left_at.isoformat() if row.left_at else None,
        "award_id": str(row.award_id) if row.award_id else None,
    }


def claim_json(row: Claim) -> dict[str, Any]:
    """A claim as the API shows it to its two people."""
    return {
        "id": str(row.id),
        "resident_id": str(row.resident_id),
        "cosigner_id": str(row.cosigner_id),
        "activity": row.activity,
        "minutes": row.minutes,
        "day": row.day.isoformat(),
        "state": row.state,
        "award_id": str(row.award_id) if row.award_id else None,
    }


routes = [
    open_gathering,
    list_gatherings,
    show_code,
    check_in,
    list_present,
    claim,
    list_claims,
    sign,
    refuse,
]
