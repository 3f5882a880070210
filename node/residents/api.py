"""Residents as JSON: join, look up, sign in, roles, and who may act for whom."""

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from node.kernel.errors import BadInput, NotAllowed
from node.residents import proxies, service
from node.residents.model import Resident
from node.residents.rules import ACTING_ROLES, Role, Scope
from node.web import idempotency
from node.web.session import AnyRequest, house, require, require_for, sign_in


class JoinBody(msgspec.Struct):
    name: str
    phone: str
    pin: str | None = None
    building: str | None = None
    birth_year: int | None = None


class SignInBody(msgspec.Struct):
    phone: str
    pin: str


class RoleBody(msgspec.Struct):
    role: Role


class ProxyBody(msgspec.Struct):
    helper_id: UUID
    ends_at: datetime
    scope: Scope = Scope.EVERYTHING


@post("/api/residents")
async def join(request: AnyRequest, data: JSONBody[JoinBody]) -> dict[str, Any]:
    """Welcome a resident (clerk, operator). The Idempotency-Key becomes the resident's id."""
    require(request, Role.CLERK, Role.OPERATOR)
    node, resident_id = house(request), idempotency.key(request)
    pin_hash = await asyncio.to_thread(service.hash_pin, data.pin) if data.pin else None
    await node.database.run(
        lambda session: service.join(
            session,
            node.clock,
            resident_id=resident_id,
            name=data.name,
            phone=data.phone,
            pin_hash=pin_hash,
            building=data.building,
            birth_year=data.birth_year,
            credit_limit_minutes=node.settings.credit_limit_minutes,
        )
    )
    return {"id": str(resident_id)}


@get("/api/residents/{resident_id:uuid}")
async def show(request: AnyRequest, resident_id: FromPath[UUID]) -> dict[str, Any]:
    """What is stored about a resident (themselves, or the desk)."""
    require_for(request, resident_id, Scope.EVERYTHING, Role.OPERATOR)
    with house(request).database.read() as session:
        resident = service.resident(session, resident_id)
        return as_json(resident, service.roles_of(session, resident_id))


@post("/api/sessions")
async def open_session(request: AnyRequest, data: JSONBody[SignInBody]) -> dict[str, str]:
    """Sign in with phone and PIN; the token goes into `Authorization: Bearer`."""
    return {"token": await sign_in(request, phone=data.phone, pin=data.pin)}


@post("/api/residents/{resident_id:uuid}/roles")
async def grant(
    request: AnyRequest, resident_id: FromPath[UUID], data: JSONBody[RoleBody]
) -> dict[str, Any]:
    """Give a resident a role (operator). Giving it twice is once."""
    require(request, Role.OPERATOR)
    node = house(request)

    def command(session: Any) -> list[str]:
        service.grant(session, node.clock, resident_id=resident_id, role=data.role)
        session.flush()
        return sorted(service.roles_of(session, resident_id))

    return {"id": str(resident_id), "roles": await node.database.run(command)}


@post("/api/residents/{resident_id:uuid}/proxies")
async def agree(
    request: AnyRequest, resident_id: FromPath[UUID], data: JSONBody[ProxyBody]
) -> dict[str, Any]:
    """The resident lets a relative act for them: said by themselves, or heard by the desk."""
    who, proxy_id = require_for(request, resident_id, Scope.EVERYTHING), idempotency.key(request)
    if who.acting_for is not None and not who.has(*ACTING_ROLES):
        raise NotAllowed(what="proxies")  # a relative would widen what was agreed
    if data.ends_at.tzinfo is None:
        raise BadInput(field="ends_at", problem="give the time with its zone")
    recorded_by, node = who.hand, house(request)
    assert recorded_by is not None
    await node.database.run(
        lambda session: proxies.agree_proxy(
            session,
            node.clock,
            proxy_id=proxy_id,
            elder_id=resident_id,
            helper_id=data.helper_id,
            scope=data.scope,
            ends_at=data.ends_at,
            recorded_by=recorded_by,
        )
    )
    return {"id": str(proxy_id)}


def as_json(resident: Resident, roles: frozenset[Role]) -> dict[str, Any]:
    """A resident as the API shows them."""
    return {
        "id": str(resident.id),
        "name": resident.name,
        "phone": resident.phone,
        "building": resident.building,
        "birth_year": resident.birth_year,
        "roles": sorted(roles),
        "joined_at": resident.joined_at.isoformat(),
    }


routes = [join, show, open_session, grant, agree]
