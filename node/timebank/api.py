"""The time bank as JSON: services, one exchange from request to capture, balances."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, FromQuery, JSONBody

from node.kernel.errors import BadInput
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.residents.rules import Role, Scope
from node.timebank import api_listings, api_pool, disputes, rules, service, statement
from node.timebank.model import Dispute, Exchange
from node.timebank.rules import DisputeReason
from node.timebank.service import Actor
from node.web import idempotency
from node.web.paging import PAGE_ROWS_DEFAULT, Cursor, PageRows
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
    planned_at: datetime | None = None
    by_provider: bool = False


class MinutesBody(msgspec.Struct):
    minutes: int


class DisputeBody(msgspec.Struct):
    reason: DisputeReason = DisputeReason.OTHER
    words: str = ""


class VerdictBody(msgspec.Struct):
    minutes: int
    verdict: str = ""


def actor(request: AnyRequest) -> Actor:
    """The resident who acts, by themselves or through a clerk or relative."""
    who, resident_id = require_subject(request, Scope.TIMEBANK)
    return Actor(resident_id, who.recorder(resident_id))


def arbiter(request: AnyRequest) -> Actor:
    """Who settles a dispute."""
    who = require(request, *ARBITER_ROLES)
    return Actor(None, who.hand, is_arbiter=True)


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
    """Ask a neighbour for help (the receiver), or offer it (the provider, `by_provider`).

    A clerk or relative may do it for them.
    """
    asking = data.provider_id if data.by_provider else data.receiver_id
    who = require_for(request, asking, Scope.TIMEBANK)
    node, exchange_id = house(request), idempotency.key(request)
    if data.planned_at is not None and data.planned_at.tzinfo is None:
        raise BadInput(field="planned_at", problem="a moment needs its time zone")
    exchange = await node.database.run(
        lambda session: service.request(
            session,
            node.clock,
            exchange_id=exchange_id,
            provider_id=data.provider_id,
            receiver_id=data.receiver_id,
            service=data.service,
            minutes=data.minutes,
            planned_at=data.planned_at,
            by_provider=data.by_provider,
            recorded_by=who.recorder(asking),
        )
    )
    return as_json(exchange)


@get("/api/timebank/exchanges")
async def list_exchanges(
    request: AnyRequest,
    resident_id: FromQuery[UUID],
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
    after: FromQuery[Cursor | None] = None,
) -> dict[str, Any]:
    """What a resident gives and gets, newest first."""
    require_for(request, resident_id, Scope.TIMEBANK)
    with house(request).database.read() as session:
        found = service.exchanges_of(session, resident_id, limit=limit, after=after)
        return found.as_json(as_json)


@get("/api/timebank/disputes")
async def list_disputes(
    request: AnyRequest,
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
    after: FromQuery[Cursor | None] = None,
) -> dict[str, Any]:
    """What waits for an arbiter (social worker, secretary), oldest first."""
    require(request, *ARBITER_ROLES)
    with house(request).database.read() as session:
        found = service.disputed(session, limit=limit, after=after)
        return found.as_json(
            lambda row: as_json(row) | {"dispute": dispute_json(disputes.of(session, row.id))}
        )


@get("/api/timebank/exchanges/{exchange_id:uuid}")
async def show(request: AnyRequest, exchange_id: FromPath[UUID]) -> dict[str, Any]:
    """One exchange, for its two sides and the desk."""
    who = require(request)
    with house(request).database.read() as session:
        exchange = service.find(session, exchange_id)
        if not may_see(who, exchange):
            require(request, *ARBITER_ROLES)
        dispute_row = disputes.of(session, exchange_id)
        return as_json(exchange) | {"dispute": dispute_json(dispute_row)}


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
async def dispute(
    request: AnyRequest,
    exchange_id: FromPath[UUID],
    data: JSONBody[DisputeBody | None] = None,
) -> dict[str, Any]:
    """One side says it was not so, before the payment or within 30 days of it."""
    said = data or DisputeBody()
    if said.reason is DisputeReason.SILENCE:
        raise BadInput(field="reason", problem="say what is wrong")
    function = partial(service.dispute, reason=said.reason, words=said.words)
    return await _act(request, function, exchange_id)


@post("/api/timebank/exchanges/{exchange_id:uuid}/settle", status_code=200)
async def settle(
    request: AnyRequest, exchange_id: FromPath[UUID], data: JSONBody[VerdictBody]
) -> dict[str, Any]:
    """An arbiter's verdict (social worker, secretary): these minutes count; 0: none."""
    by, node = arbiter(request), house(request)
    exchange = await node.database.run(
        lambda session: service.settle(
            session,
            node.clock,
            exchange_id=exchange_id,
            minutes=data.minutes,
            actor=by,
            verdict=data.verdict,
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


@get("/api/timebank/statement/{resident_id:uuid}")
async def show_statement(
    request: AnyRequest,
    resident_id: FromPath[UUID],
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
    before: FromQuery[int | None] = None,
) -> dict[str, Any]:
    """What moved on a resident's account, newest first; `next` is the next page's `before`."""
    require_for(request, resident_id, Scope.TIMEBANK)
    with house(request).database.read() as session:
        found = statement.lines(session, resident_id, limit=limit, before=before)
    data = [
        {
            "sequence": line.sequence,
            "recorded_at": line.recorded_at.isoformat(),
            "reason": line.reason,
            "refers_to": str(line.refers_to),
            "minutes": line.amount_minutes,
            "balance": line.balance_minutes,
        }
        for line in found
    ]
    return {"data": data, "next": found[-1].sequence if len(found) == limit else None}


def dispute_json(row: Dispute | None) -> dict[str, Any] | None:
    """What is said to be wrong, and what was decided."""
    if row is None:
        return None
    return {
        "reason": row.reason,
        "opened_by": row.opened_by,
        "opened_at": row.opened_at.isoformat(),
        "paid_before": row.paid_before,
        "minutes": row.minutes,
        "verdict": row.verdict,
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
        "planned_at": exchange.planned_at.isoformat() if exchange.planned_at else None,
        "lapses_at": exchange.lapses_at.isoformat() if exchange.lapses_at else None,
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
    list_exchanges,
    list_disputes,
    show,
    accept,
    decline,
    cancel,
    deliver,
    confirm,
    dispute,
    settle,
    show_balance,
    show_statement,
    *api_listings.routes,
    *api_pool.routes,
]
