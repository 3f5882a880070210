"""Points as JSON: the rules, awards, the catalogue, reserve and collect."""

from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody

from node.kernel.ids import new_code
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.points import rules, service, shelf
from node.points.model import PointsAward, Redemption
from node.points.rules import EvidenceKind
from node.points.service import Evidence
from node.residents.rules import Role, Scope
from node.web import idempotency
from node.web.session import AnyRequest, Caller, house, require, require_for

AWARDING_ROLES = (Role.CLERK, Role.SOCIAL_WORKER, Role.SECRETARY)
COUNTER_ROLES = (Role.CLERK,)  # who hands things out


class EvidenceBody(msgspec.Struct):
    kind: EvidenceKind
    reference: UUID


class AwardBody(msgspec.Struct):
    resident_id: UUID
    activity: str
    evidence: EvidenceBody
    minutes: int | None = None


class RedemptionBody(msgspec.Struct):
    resident_id: UUID
    item: str


class CollectBody(msgspec.Struct):
    code: str


def recorder(who: Caller, resident_id: UUID) -> UUID | None:
    """Who wrote it down, when that was not the resident: the other of the two ids on a record."""
    return None if who.resident_id == resident_id else who.resident_id or who.via


@get("/api/points/rules")
async def show_rules(request: AnyRequest) -> dict[str, Any]:
    """The rules in force: which act earns how many points, and the caps of a day."""
    with house(request).database.read() as session:
        version, current = service.in_force(session)
    return {"version": version, **rules.as_json(current)}


@post("/api/points/awards")
async def award(request: AnyRequest, data: JSONBody[AwardBody]) -> dict[str, Any]:
    """Thank a resident for an act (clerk, social worker, secretary), with evidence."""
    who = require(request, *AWARDING_ROLES)
    node, award_id = house(request), idempotency.key(request)
    row = await node.database.run(
        lambda session: service.award(
            session,
            node.clock,
            award_id=award_id,
            resident_id=data.resident_id,
            activity=data.activity,
            evidence=Evidence(data.evidence.kind, data.evidence.reference),
            minutes=data.minutes,
            awarded_by=who.resident_id or who.via,
        )
    )
    return award_json(row)


@post("/api/points/awards/{award_id:uuid}/reverse", status_code=200)
async def reverse(request: AnyRequest, award_id: FromPath[UUID]) -> dict[str, Any]:
    """Take back the points of an act that did not take place."""
    who, node = require(request, *AWARDING_ROLES), house(request)
    row = await node.database.run(
        lambda session: service.reverse_award(
            session, node.clock, award_id=award_id, reversed_by=who.resident_id or who.via
        )
    )
    return award_json(row)


@get("/api/points/balance/{resident_id:uuid}")
async def show_balance(request: AnyRequest, resident_id: FromPath[UUID]) -> dict[str, Any]:
    """What a resident has, and what of it is not yet promised."""
    require_for(request, resident_id, Scope.POINTS)
    account_id = ledger.resident_account(resident_id, Unit.POINTS)
    with house(request).database.read() as session:
        balance, available = (
            ledger.balance(session, account_id),
            ledger.available(session, account_id),
        )
    return {"resident_id": str(resident_id), "balance": balance, "available": available}


@get("/api/points/catalogue")
async def show_catalogue(request: AnyRequest) -> list[dict[str, Any]]:
    """What points can be had for, and how many are left."""
    with house(request).database.read() as session:
        return [
            {"code": item.code, "title": item.title, "points": item.points, "stock": item.stock}
            for item in shelf.catalogue(session)
        ]


@post("/api/points/redemptions")
async def reserve(request: AnyRequest, data: JSONBody[RedemptionBody]) -> dict[str, Any]:
    """Put an item aside and hold its points; the answer's `code` collects it."""
    who = require_for(request, data.resident_id, Scope.POINTS)
    node, redemption_id, code = house(request), idempotency.key(request), new_code()
    row = await node.database.run(
        lambda session: shelf.reserve(
            session,
            node.clock,
            redemption_id=redemption_id,
            resident_id=data.resident_id,
            item_code=data.item,
            code=code,
            reserved_by=recorder(who, data.resident_id),
        )
    )
    return redemption_json(row)


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
            collected_by=who.resident_id or who.via,
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
    row = await node.database.run(
        lambda session: shelf.release(
            session,
            node.clock,
            redemption_id=redemption_id,
            released_by=recorder(who, resident_id),
        )
    )
    return redemption_json(row)


def award_json(row: PointsAward) -> dict[str, Any]:
    """An award as the API shows it."""
    return {
        "id": str(row.id),
        "resident_id": str(row.resident_id),
        "activity": row.activity,
        "points": row.points,
        "rule_version": row.rule_version,
        "evidence": {"kind": row.evidence_kind, "reference": str(row.evidence_id)},
        "awarded_at": row.awarded_at.isoformat(),
        "reversed": row.reversed_at is not None,
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


routes = [show_rules, award, reverse, show_balance, show_catalogue, reserve, collect, release]
