"""Points as JSON: rules and their versions, awards, taking back, the journal, the ranking."""

from datetime import date
from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post, put
from litestar.params import FromPath, FromQuery, JSONBody

from node.points import api_onsite, api_shelf, clawback, ranking, rules, service
from node.points.model import PointsAward, PointsRuleVersion
from node.points.rules import EvidenceKind, ReversalReason, Shown
from node.points.service import Evidence
from node.residents import service as residents
from node.residents.rules import Role, Scope
from node.web import idempotency
from node.web.paging import PAGE_ROWS_DEFAULT, Cursor, PageRows
from node.web.session import AnyRequest, Caller, house, require, require_for

AWARDING_ROLES = (Role.CLERK, Role.SOCIAL_WORKER, Role.SECRETARY)


class EvidenceBody(msgspec.Struct):
    kind: EvidenceKind
    reference: UUID


class AwardBody(msgspec.Struct):
    resident_id: UUID
    activity: str
    evidence: EvidenceBody
    minutes: int | None = None


class ReverseBody(msgspec.Struct):
    reason: ReversalReason = ReversalReason.MISTAKE


class ShownBody(msgspec.Struct):
    shown: Shown


def reader_of(who: Caller) -> UUID | None:
    """Whose points this reader may see here."""
    subject = who.subject
    return subject if subject is not None and who.may_act_for(subject, Scope.POINTS) else None


@get("/api/points/rules")
async def show_rules(request: AnyRequest) -> dict[str, Any]:
    """The rules in force: which act earns how many points, and the caps of a day."""
    with house(request).database.read() as session:
        version, current = service.in_force(session)
    return {"version": version, **rules.as_json(current)}


@get("/api/points/rules/versions")
async def show_versions(
    request: AnyRequest,
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
    after: FromQuery[Cursor | None] = None,
) -> dict[str, Any]:
    """Every version there has been, newest first: since when, and by which motion."""
    with house(request).database.read() as session:
        found = service.versions(session, limit=limit, after=after)
        return found.as_json(version_json)


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
            awarded_by=who.hand,
        )
    )
    return award_json(row)


@get("/api/points/awards")
async def list_awards(
    request: AnyRequest,
    resident_id: FromQuery[UUID],
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
    after: FromQuery[Cursor | None] = None,
) -> dict[str, Any]:
    """A resident's awards, newest first: for themselves, for who acts for them, for the desk."""
    require_for(request, resident_id, Scope.POINTS)
    with house(request).database.read() as session:
        found = service.awards_of(session, resident_id, limit=limit, after=after)
        return found.as_json(award_json)


@post("/api/points/awards/{award_id:uuid}/reverse", status_code=200)
async def reverse(
    request: AnyRequest, award_id: FromPath[UUID], data: JSONBody[ReverseBody | None] = None
) -> dict[str, Any]:
    """Take back the points of an act that did not take place, spent or not."""
    who, node = require(request, *AWARDING_ROLES), house(request)
    row = await node.database.run(
        lambda session: clawback.take_back(
            session,
            node.clock,
            award_id=award_id,
            reason=data.reason if data else ReversalReason.MISTAKE,
            reversed_by=who.hand,
        )
    )
    return award_json(row)


@get("/api/points/balance/{resident_id:uuid}")
async def show_balance(request: AnyRequest, resident_id: FromPath[UUID]) -> dict[str, Any]:
    """What a resident has (below zero after a clawback), and what of it is not yet promised."""
    require_for(request, resident_id, Scope.POINTS)
    with house(request).database.read() as session:
        balance, available = service.own_points(session, resident_id)
    free = max(0, available)
    return {"resident_id": str(resident_id), "balance": balance, "available": free}


@get("/api/points/journal")
async def show_journal(
    request: AnyRequest,
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
    after: FromQuery[Cursor | None] = None,
) -> dict[str, Any]:
    """Everybody's awards under pseudonyms, newest first: public."""
    with house(request).database.read() as session:
        secret = service.secret(session)
        found = service.journal(session, limit=limit, after=after)
        return found.as_json(lambda row: journal_json(row, secret))


@get("/api/points/ranking")
async def show_ranking(
    request: AnyRequest, month: FromQuery[date | None] = None
) -> list[dict[str, Any]]:
    """Who was thanked most in a month (any day of it; now, without one). Public, opt-out kept."""
    node = house(request)
    month = month or rules.local_day(node.clock.now())
    with node.database.read() as session:
        secret, names = service.secret(session), {}
        lines = ranking.ranking(session, month=month)
        for line in lines:
            names[line.resident_id] = (
                residents.resident(session, line.resident_id).name
                if line.shown is Shown.NAME
                else rules.pseudonym(line.resident_id, year=month.year, secret=secret)
            )
    return [
        {"place": line.place, "name": names[line.resident_id], "points": line.points}
        for line in lines
    ]


@put("/api/points/ranking/{resident_id:uuid}")
async def choose_ranking(
    request: AnyRequest, resident_id: FromPath[UUID], data: JSONBody[ShownBody]
) -> dict[str, str]:
    """Be listed under the pseudonym, by name, or not at all."""
    require_for(request, resident_id, Scope.POINTS)
    node = house(request)
    await node.database.run(
        lambda session: ranking.choose(
            session, node.clock, resident_id=resident_id, shown=data.shown
        )
    )
    return {"resident_id": str(resident_id), "shown": data.shown.value}


def version_json(row: PointsRuleVersion) -> dict[str, Any]:
    """A version of the rules as the API shows it."""
    return {
        "version": row.version,
        "in_force_from": row.in_force_from.isoformat(),
        "motion_id": str(row.motion_id) if row.motion_id else None,
        **row.content,
    }


def award_json(row: PointsAward) -> dict[str, Any]:
    """An award as the API shows it to whom it concerns."""
    return {
        "id": str(row.id),
        "resident_id": str(row.resident_id),
        "activity": row.activity,
        "points": row.points,
        "rule_version": row.rule_version,
        "evidence": {"kind": row.evidence_kind, "reference": str(row.evidence_id)},
        "awarded_at": row.awarded_at.isoformat(),
        "reversed": row.reversed_at is not None,
        "reversal_reason": row.reversal_reason,
    }


def journal_json(row: PointsAward, secret: str) -> dict[str, Any]:
    """An award as everybody may see it."""
    year = rules.local_day(row.awarded_at).year
    return {
        "resident": rules.pseudonym(row.resident_id, year=year, secret=secret),
        "day": row.day.isoformat(),
        "activity": row.activity,
        "points": row.points,
        "rule_version": row.rule_version,
        "reversed": row.reversed_at is not None,
    }


routes = [
    show_rules,
    show_versions,
    award,
    list_awards,
    reverse,
    show_balance,
    show_journal,
    show_ranking,
    choose_ranking,
    *api_shelf.routes,
    *api_onsite.routes,
]
