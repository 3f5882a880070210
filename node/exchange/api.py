"""Passes and visits as JSON."""

from base64 import urlsafe_b64encode
from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody
from sqlalchemy.orm import Session

from node.exchange import api_gifts, api_reversals, api_trust, home, host, rules
from node.exchange.house import (
    DESK,
    ActedBy,
    SaidConsent,
    acting,
    code_shown,
    sealer_of,
    trading_house,
)
from node.exchange.model import VISITS, Pass, Visit
from node.kernel.errors import NotFound
from node.kernel.ids import new_code
from node.residents.rules import Role, Scope
from node.web import idempotency
from node.web.refusals import STATUS
from node.web.session import AnyRequest, require, require_for

STATUS |= {
    "exchange.actor_unfit": 403,
    "exchange.consent_unstated": 400,
    "exchange.dispute_unknown": 404,
    "exchange.receipt_unknown": 404,
    "exchange.slip_unusable": 400,
}


class PassBody(msgspec.Struct):
    resident_id: UUID
    host: str
    minutes: int
    consent: SaidConsent = None
    acted_by: ActedBy = None


class VisitBody(msgspec.Struct):
    code: str  # as it is read aloud, or the text of the QR code
    provider_id: UUID


class MinutesBody(msgspec.Struct):
    minutes: int


class ConfirmBody(msgspec.Struct):
    by: str


@post("/api/passes")
async def issue(request: AnyRequest, data: JSONBody[PassBody]) -> dict[str, Any]:
    """Promise minutes of a resident for help in another community (themselves, or acting)."""
    who = require_for(request, data.resident_id, Scope.TIMEBANK)
    node, pass_id = trading_house(request), idempotency.key(request)
    sealer, code = sealer_of(node), new_code(rules.CODE_LENGTH)

    def command(session: Session) -> dict[str, Any]:
        acts = acting(
            session,
            node.clock,
            who,
            data.resident_id,
            consent=data.consent,
            acted_by=data.acted_by,
        )
        issued = home.issue_pass(
            session,
            node.clock,
            sealer,
            pass_id=pass_id,
            resident_id=data.resident_id,
            issued_by=acts.by,
            consent=acts.consent,
            host=data.host,
            minutes=data.minutes,
            code=code,
            debt_limit_minutes=node.debt_limit_minutes,
        )
        return pass_as_json(node.community, issued)

    return await node.database.run(command)


@get("/api/passes/{pass_id:uuid}")
async def show_pass(request: AnyRequest, pass_id: FromPath[UUID]) -> dict[str, Any]:
    """One pass and where it stands (its resident, or the desk)."""
    node = trading_house(request)
    with node.database.read() as session:
        found = session.get(Pass, pass_id)
        if found is None:
            raise NotFound(what="pass", id=str(pass_id))
        require_for(request, found.resident_id, Scope.TIMEBANK, Role.OPERATOR)
        return pass_as_json(node.community, found)


@post("/api/passes/{pass_id:uuid}/void", status_code=200)
async def void(request: AnyRequest, pass_id: FromPath[UUID]) -> dict[str, Any]:
    """Take a pass back before it was presented (its resident, or acting)."""
    node = trading_house(request)
    with node.database.read() as session:
        found = session.get(Pass, pass_id)
        if found is None:
            raise NotFound(what="pass", id=str(pass_id))
        require_for(request, found.resident_id, Scope.TIMEBANK)

    def command(session: Session) -> dict[str, Any]:
        return pass_as_json(node.community, home.void_pass(session, node.clock, pass_id=pass_id))

    return await node.database.run(command)


@post("/api/visits")
async def present(request: AnyRequest, data: JSONBody[VisitBody]) -> dict[str, Any]:
    """Present a guest's pass (desk). The Idempotency-Key becomes the exchange's id."""
    who, node = require(request, *DESK), trading_house(request)
    sealer, exchange_id = sealer_of(node), idempotency.key(request)
    code = code_shown(node, data.code)

    def command(session: Session) -> dict[str, Any]:
        visit = host.present_pass(
            session,
            node.clock,
            sealer,
            exchange_id=exchange_id,
            code=code,
            provider_id=data.provider_id,
            presented_by=who.hand,
        )
        return visit_as_json(visit)

    return await node.database.run(command)


@get("/api/visits/{exchange_id:uuid}")
async def show_visit(request: AnyRequest, exchange_id: FromPath[UUID]) -> dict[str, Any]:
    """One visit and where it stands (its volunteer, or the desk)."""
    with trading_house(request).database.read() as session:
        visit = session.get(Visit, exchange_id)
        if visit is None:
            raise NotFound(what="visit", id=str(exchange_id))
        require_for(request, visit.provider_id, Scope.TIMEBANK, Role.OPERATOR)
        return visit_as_json(visit)


@post("/api/visits/{exchange_id:uuid}/complete", status_code=200)
async def complete(
    request: AnyRequest, exchange_id: FromPath[UUID], data: JSONBody[MinutesBody]
) -> dict[str, Any]:
    """Note how long the help took (desk)."""
    require(request, *DESK)
    node = trading_house(request)

    def command(session: Session) -> dict[str, Any]:
        now = node.clock.now()
        return visit_as_json(
            host.deliver(session, exchange_id=exchange_id, minutes=data.minutes, now=now)
        )

    return await node.database.run(command)


@post("/api/visits/{exchange_id:uuid}/confirm", status_code=200)
async def confirm(
    request: AnyRequest, exchange_id: FromPath[UUID], data: JSONBody[ConfirmBody]
) -> dict[str, Any]:
    """The guest or the volunteer confirms, at the desk; when both have, home is asked to pay."""
    require(request, *DESK)
    node = trading_house(request)
    sealer = sealer_of(node)

    def command(session: Session) -> dict[str, Any]:
        host.confirm(session, node.clock, sealer, exchange_id=exchange_id, party=data.by)
        return visit_as_json(session.get_one(Visit, exchange_id))

    return await node.database.run(command, needs=[(VISITS, exchange_id)])


@post("/api/visits/{exchange_id:uuid}/release", status_code=200)
async def release(request: AnyRequest, exchange_id: FromPath[UUID]) -> dict[str, Any]:
    """The help will not be given (desk): the guest's minutes go back home."""
    require(request, *DESK)
    node = trading_house(request)
    sealer = sealer_of(node)

    def command(session: Session) -> dict[str, Any]:
        return visit_as_json(host.call_off(session, node.clock, sealer, exchange_id=exchange_id))

    return await node.database.run(command)


def pass_as_json(community: str, found: Pass) -> dict[str, Any]:
    """A pass as the API shows it; `slip` is the signed pass, for a QR code."""
    return {
        "id": str(found.id),
        "resident_id": str(found.resident_id),
        "host": found.host,
        "minutes_up_to": found.minutes_up_to,
        "minutes": found.minutes,
        "code": rules.full_code(home=community, code=found.code),
        "state": found.state,
        "consent": found.consent,
        "acted_by": str(found.issued_by) if found.issued_by else None,
        "expires_at": found.expires_at.isoformat(),
        "slip": urlsafe_b64encode(found.slip).decode(),
    }


def visit_as_json(visit: Visit) -> dict[str, Any]:
    """A visit as the API shows it."""
    return {
        "id": str(visit.id),
        "home": visit.home,
        "provider_id": str(visit.provider_id),
        "state": visit.state,
        "minutes_up_to": visit.minutes_up_to,
        "minutes": visit.minutes,
        "refusal": visit.refusal,
        "confirmed_by": [
            party
            for party, has in zip(
                host.PARTIES, (visit.confirmed_by_elder, visit.confirmed_by_provider), strict=True
            )
            if has
        ],
    }


routes = [
    issue,
    show_pass,
    void,
    present,
    show_visit,
    complete,
    confirm,
    release,
    *api_gifts.routes,
    *api_trust.routes,
    *api_reversals.routes,
]
