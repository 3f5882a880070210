"""The time bank as JSON: services, one exchange from request to capture, balances."""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from node.ledger import service as ledger
from node.ledger.model import Unit
from node.residents.rules import Role, Scope
from node.timebank import api_pool, rules, service
from node.timebank.model import Exchange
from node.timebank.service import Actor
from node.web import idempotency
from node.web.refusals import STATUS
from node.web.session import AnyRequest, Caller, house, require, require_for, require_subject

ARBITER_ROLES = (Role.SOCIAL_WORKER, Role.SECRETARY)
STATUS |= {
    "timebank.not_in_steps": 400,
    "timebank.more_than_agreed": 400,
    "timebank.not_owned": 400,
}


class RequestBody(msgspec.Struct):
    provider_id: UUID
    receiver_id: UUID
    service: str
    minutes: int


class MinutesBody(msgspec.Struct):
    minutes: int


def recorder(who: Caller, resident_id: UUID) -> UUID | None:
    """Who wrote it down, when that was not the resident: the other of the two ids on a record."""
    return None if who.resident_id == resident_id else who.resident_id or who.via


def actor(request: AnyRequest) -> Actor:
    """The resident who acts, by themselves or through a clerk or relative."""
    who, resident_id = require_subject(request, Scope.TIMEBANK)
    return Actor(resident_id, recorder(who, resident_id))


def arbiter(request: AnyRequest) -> Actor:
    """Who settles a dispute."""
    who = require(request, *ARBITER_ROLES)
    return Actor(None, who.resident_id or who.via, is_arbiter=True)


@get("/api/timebank/services")
async def show_services() -> list[dict[str, Any]]:
    """What kinds of help there are, and what both sides may expect of each."""
    return [
        {
            "code": kind.code,
            "title": kind.title,
            "standard": kind.standard,
            "usual_minutes": kind.usual_minutes,
            "training": kind.training.value,
            "people": kind.people,
        }
        for kind in rules.SERVICES.values()
    ]


@post("/api/timebank/exchanges")
async def request_exchange(request: AnyRequest, data: JSONBody[RequestBody]) -> dict[str, Any]:
    """Ask a neighbour for help: the receiver, or a clerk or relative for them."""
    who = require_for(request, data.receiver_id, Scope.TIMEBANK)
    node, exchange_id = house(request), idempotency.key(request)
    exchange = await node.database.run(
        lambda session: service.request(
            session,
            node.clock,
            exchange_id=exchange_id,
            provider_id=data.provider_id,
            receiver_id=data.receiver_id,
            service=data.service,
            minutes=data.minutes,
            recorded_by=recorder(who, data.receiver_id),
        )
    )
    return as_json(exchange)


@get("/api/timebank/exchanges/{exchange_id:uuid}")
async def show(request: AnyRequest, exchange_id: FromPath[UUID]) -> dict[str, Any]:
    """One exchange, for its two sides and the desk."""
    who = require(request)
    with house(request).database.read() as session:
        exchange = service.find(session, exchange_id)
        if not may_see(who, exchange):
            require(request, *ARBITER_ROLES)
        return as_json(exchange)


@post("/api/timebank/exchanges/{exchange_id:uuid}/accept", status_code=200)
async def accept(request: AnyRequest, exchange_id: FromPath[UUID]) -> dict[str, Any]:
    """The provider promises; the receiver's minutes are held."""
    return await _act(request, service.accept, exchange_id)


@post("/api/timebank/exchanges/{exchange_id:uuid}/decline", status_code=200)
async def decline(request: AnyRequest, exchange_id: FromPath[UUID]) -> dict[str, Any]:
    """The provider says no."""
    return await _act(request, service.decline, exchange_id)


@post("/api/timebank/exchanges/{exchange_id:uuid}/cancel", status_code=200)
async def cancel(request: AnyRequest, exchange_id: FromPath[UUID]) -> dict[str, Any]:
    """Call it off before it was given."""
    return await _act(request, service.cancel, exchange_id)


@post("/api/timebank/exchanges/{exchange_id:uuid}/deliver", status_code=200)
async def deliver(
    request: AnyRequest, exchange_id: FromPath[UUID], data: JSONBody[MinutesBody]
) -> dict[str, Any]:
    """The provider says that it was given, and how long it took."""
    by, node = actor(request), house(request)
    exchange = await node.database.run(
        lambda session: service.deliver(
            session, node.clock, exchange_id=exchange_id, minutes=data.minutes, actor=by
        )
    )
    return as_json(exchange)


@post("/api/timebank/exchanges/{exchange_id:uuid}/confirm", status_code=200)
async def confirm(request: AnyRequest, exchange_id: FromPath[UUID]) -> dict[str, Any]:
    """One side agrees; the second agreement pays."""
    return await _act(request, service.confirm, exchange_id)


@post("/api/timebank/exchanges/{exchange_id:uuid}/dispute", status_code=200)
async def dispute(request: AnyRequest, exchange_id: FromPath[UUID]) -> dict[str, Any]:
    """One side says it was not so; the minutes stay held."""
    return await _act(request, service.dispute, exchange_id)


@post("/api/timebank/exchanges/{exchange_id:uuid}/settle", status_code=200)
async def settle(
    request: AnyRequest, exchange_id: FromPath[UUID], data: JSONBody[MinutesBody]
) -> dict[str, Any]:
    """An arbiter's verdict (social worker, secretary): these minutes are paid; 0 pays none."""
    by, node = arbiter(request), house(request)
    exchange = await node.database.run(
        lambda session: service.settle(
            session, node.clock, exchange_id=exchange_id, minutes=data.minutes, actor=by
        )
    )
    return as_json(exchange)


@get("/api/timebank/balance/{resident_id:uuid}")
async def show_balance(request: AnyRequest, resident_id: FromPath[UUID]) -> dict[str, Any]:
    """What a resident has, and what they can still promise, their credit included."""
    require_for(request, resident_id, Scope.TIMEBANK)
    account_id = ledger.resident_account(resident_id, Unit.MINUTES)
    with house(request).database.read() as session:
        return {
            "resident_id": str(resident_id),
            "balance": ledger.balance(session, account_id),
            "available": ledger.available(session, account_id),
            "unit": Unit.MINUTES.value,
        }


def may_see(who: Caller, exchange: Exchange) -> bool:
    """Is the caller one of the two, somebody who acts for one of them, or the desk?"""
    return any(
        who.may_act_for(resident_id, Scope.TIMEBANK)
        for resident_id in (exchange.provider_id, exchange.receiver_id)
    )


def as_json(exchange: Exchange) -> dict[str, Any]:
    """An exchange as the API shows it."""
    return {
        "id": str(exchange.id),
        "provider_id": str(exchange.provider_id),
        "receiver_id": str(exchange.receiver_id),
        "service": exchange.service,
        "minutes": exchange.minutes,
        "delivered_minutes": exchange.delivered_minutes,
        "state": exchange.state,
        "provider_confirmed": exchange.provider_confirmed,
        "receiver_confirmed": exchange.receiver_confirmed,
        "requested_at": exchange.requested_at.isoformat(),
    }


async def _act(
    request: AnyRequest, function: Callable[..., Exchange], exchange_id: UUID
) -> dict[str, Any]:
    by, node = actor(request), house(request)
    exchange = await node.database.run(
        lambda session: function(session, node.clock, exchange_id=exchange_id, actor=by)
    )
    return as_json(exchange)


routes = [
    show_services,
    request_exchange,
    show,
    accept,
    decline,
    cancel,
    deliver,
    confirm,
    dispute,
    settle,
    show_balance,
    *api_pool.routes,
]
