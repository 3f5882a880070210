"""Calls for delegates as JSON: open, stand, draw, and which groups have a voice."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody
from sqlalchemy.orm import Session

from node.council import calls, delegates
from node.council.access import OFFICE_ROLES
from node.council.model import DelegateCall
from node.kernel.errors import NotAllowed
from node.kernel.ports import Clock
from node.residents.rules import Scope
from node.web import idempotency
from node.web.session import AnyRequest, Caller, house, require


class CallBody(msgspec.Struct):
    title: str
    seats: int
    days: int = 14


class StandBody(msgspec.Struct):
    occupation: str


@get("/api/council/calls")
async def list_calls(request: AnyRequest) -> list[dict[str, Any]]:
    """All calls for delegates, newest first."""
    node = house(request)
    with node.database.read() as session:
        return [_brief(call) for call in calls.all_calls(session)]


@post("/api/council/calls")
async def open_call(request: AnyRequest, data: JSONBody[CallBody]) -> dict[str, Any]:
    """Call for delegates (secretary)."""
    require(request, *OFFICE_ROLES)
    node, call_id = house(request), idempotency.key(request)
    call = await node.database.run(
        lambda session: calls.open_call(
            session, node.clock, call_id=call_id, title=data.title, seats=data.seats, days=data.days
        )
    )
    return _brief(call)


@get("/api/council/calls/{call_id:uuid}")
async def show_call(request: AnyRequest, call_id: FromPath[UUID]) -> dict[str, Any]:
    """One call: its seed, and every group with how many live here, stand and were chosen."""
    node = house(request)
    with node.database.read() as session:
        return _full(session, node.clock, calls.find(session, call_id))


@post("/api/council/calls/{call_id:uuid}/stand", status_code=200)
async def stand(
    request: AnyRequest, call_id: FromPath[UUID], data: JSONBody[StandBody]
) -> dict[str, Any]:
    """Stand as a delegate, or change what one does; the desk may for whom it acts."""
    resident_id, node = candidate_of(require(request)), house(request)
    await node.database.run(
        lambda session: calls.stand(
            session,
            node.clock,
            call_id=call_id,
            resident_id=resident_id,
            occupation=data.occupation,
        )
    )
    return {"call_id": str(call_id), "stands": True}


@post("/api/council/calls/{call_id:uuid}/withdraw", status_code=200)
async def withdraw(request: AnyRequest, call_id: FromPath[UUID]) -> dict[str, Any]:
    """Not stand after all."""
    resident_id, node = candidate_of(require(request)), house(request)
    await node.database.run(
        lambda session: calls.withdraw(
            session, node.clock, call_id=call_id, resident_id=resident_id
        )
    )
    return {"call_id": str(call_id), "stands": False}


@post("/api/council/calls/{call_id:uuid}/draw", status_code=200)
async def draw(request: AnyRequest, call_id: FromPath[UUID]) -> dict[str, Any]:
    """Give out the seats once the call has ended (secretary)."""
    require(request, *OFFICE_ROLES)
    node = house(request)
    await node.database.run(lambda session: calls.draw(session, node.clock, call_id=call_id))
    with node.database.read() as session:
        return _full(session, node.clock, calls.find(session, call_id))


def candidate_of(who: Caller) -> UUID:
    """Who stands: oneself, or whom one may do everything for."""
    if who.subject is None or not who.may_act_for(who.subject, Scope.EVERYTHING):
        raise NotAllowed(what="candidate")
    return who.subject


def _brief(call: DelegateCall) -> dict[str, Any]:
    return {
        "id": str(call.id),
        "title": call.title,
        "seats": call.seats,
        "seed": call.seed,
        "opened_at": call.opened_at.isoformat(),
        "ends_at": call.ends_at.isoformat(),
        "is_drawn": call.drawn_at is not None,
    }


def _full(session: Session, clock: Clock, call: DelegateCall) -> dict[str, Any]:
    standing = calls.candidates(session, call.id)
    groups = calls.coverage(session, clock, call.id)
    return _brief(call) | {
        "standing": len(standing),
        "occupations": list(delegates.OCCUPATIONS),
        "coverage": [
            {
                "dimension": one.dimension,
                "group": one.group,
                "residents": one.residents,
                "standing": one.standing,
                "chosen": one.chosen,
            }
            for one in groups
        ],
    }


routes = [list_calls, open_call, show_call, stand, withdraw, draw]
