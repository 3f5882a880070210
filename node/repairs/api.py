"""Service requests as JSON: the four endpoints people know, with who asks checked and steps kept.

Every refusal also carries `error`, the member that older clients read.
"""

from typing import Any
from uuid import UUID

import msgspec
from litestar import get, post, put
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, NotAllowed
from node.repairs import rules, service
from node.repairs.model import ServiceRequest
from node.repairs.rules import Status
from node.residents.rules import Role, Scope
from node.web import idempotency, refusals
from node.web.language import gettext as _
from node.web.session import AnyRequest, Caller, house, require, require_subject

STAFF = (Role.CLERK, Role.PROPERTY, Role.SOCIAL_WORKER, Role.OPERATOR)  # see every request
WORKERS = (Role.PROPERTY, Role.CLERK)  # move a request on

refusals.STATUS |= {"repairs.fields_missing": 400, "repairs.not_completed": 400}


class ReportBody(msgspec.Struct):
    title: str = ""
    description: str = ""
    location: str = ""
    contact: str | None = None
    category: str | None = None


class UpdateBody(msgspec.Struct):
    status: Status | None = None
    notes: str | None = None
    assignee: str | None = None


class RatingBody(msgspec.Struct):
    rating: int
    comment: str | None = None


class ReopenBody(msgspec.Struct):
    notes: str | None = None


@post("/api/repairs")
async def report(request: AnyRequest, data: JSONBody[ReportBody]) -> dict[str, Any]:
    """Report something to be repaired; the same Idempotency-Key reports it once."""
    who, reporter_id = require_subject(request, Scope.REPAIRS)
    node, key = house(request), idempotency.key(request)

    def command(session: Session) -> dict[str, Any]:
        return as_json(
            service.report(
                session,
                node.clock,
                key=key,
                reporter_id=reporter_id,
                recorded_by=who.actor,
                title=data.title,
                description=data.description,
                location=data.location,
                contact=data.contact,
                category=data.category,
            )
        )

    return await node.database.run(command)


@get("/api/repairs")
async def list_requests(
    request: AnyRequest,
    page: FromQuery[int] = 1,
    limit: FromQuery[int] = rules.PAGE_SIZE_DEFAULT,
    status: FromQuery[Status | None] = None,
) -> dict[str, Any]:
    """A page of requests, oldest first: all of them for staff, a resident's own for a resident."""
    who = require(request)
    if not 1 <= page <= rules.PAGE_MAX:
        raise BadInput(field="page", problem="pages start at 1")
    if not 1 <= limit <= rules.PAGE_SIZE_MAX:
        raise BadInput(field="limit", problem="between 1 and 100")
    reporter_id = whose(request, who)
    with house(request).database.read() as session:
        found = service.requests(
            session, page=page, limit=limit, status=status, reporter_id=reporter_id
        )
        data = [as_json(one) for one in found.requests]
    return {"total": found.total, "page": page, "limit": limit, "data": data}


@get("/api/repairs/{request_id:int}")
async def show(request: AnyRequest, request_id: FromPath[int]) -> dict[str, Any]:
    """One request, for staff or its reporter."""
    with house(request).database.read() as session:
        found = service.find(session, request_id)
        must_see(request, require(request), found)
        return as_json(found)


@put("/api/repairs/{request_id:int}")
async def update(
    request: AnyRequest, request_id: FromPath[int], data: JSONBody[UpdateBody]
) -> dict[str, Any]:
    """Move a request on (property, clerk): the state table refuses jumps."""
    who, node = require(request, *WORKERS), house(request)

    def command(session: Session) -> dict[str, Any]:
        return as_json(
            service.update(
                session,
                node.clock,
                request_id=request_id,
                changed_by=who.actor,
                status=data.status,
                notes=data.notes,
                assignee=data.assignee,
            )
        )

    return await node.database.run(command)


@post("/api/repairs/{request_id:int}/rate", status_code=200)
async def rate(
    request: AnyRequest, request_id: FromPath[int], data: JSONBody[RatingBody]
) -> dict[str, Any]:
    """The reporter says how the work was, 1 to 5."""
    who, node = require(request), house(request)

    def command(session: Session) -> dict[str, Any]:
        must_own(request, who, service.find(session, request_id))
        return as_json(
            service.rate(
                session,
                node.clock,
                request_id=request_id,
                rating=data.rating,
                comment=data.comment,
            )
        )

    return {"message": _("Thank you for your rating."), "repair": await node.database.run(command)}


@post("/api/repairs/{request_id:int}/reopen", status_code=200)
async def reopen(
    request: AnyRequest, request_id: FromPath[int], data: JSONBody[ReopenBody]
) -> dict[str, Any]:
    """The reporter says that it is not fixed after all."""
    who, node = require(request), house(request)

    def command(session: Session) -> dict[str, Any]:
        must_own(request, who, service.find(session, request_id))
        reopened = service.reopen(
            session, node.clock, request_id=request_id, changed_by=who.actor, notes=data.notes
        )
        return as_json(reopened)

    return await node.database.run(command)


def whose(request: AnyRequest, who: Caller) -> UUID | None:
    """Whose requests a caller sees: None for all of them (staff acting for nobody)."""
    if who.has(*STAFF) and who.acting_for is None:
        return None
    return require_subject(request, Scope.REPAIRS)[1]


def must_see(request: AnyRequest, who: Caller, found: ServiceRequest) -> None:
    """Refuse a stranger's look."""
    if not who.has(*STAFF):
        must_own(request, who, found)


def must_own(request: AnyRequest, who: Caller, found: ServiceRequest) -> None:
    """Refuse an act that is not the reporter's own, nor done for them."""
    is_theirs = who.subject == found.reporter_id
    if not (is_theirs and who.may_act_for(found.reporter_id, Scope.REPAIRS)):
        raise NotAllowed(what=request.url.path)


def as_json(request: ServiceRequest) -> dict[str, Any]:
    """A request as the API shows it."""
    return {
        "id": request.id,
        "title": request.title,
        "description": request.description,
        "location": request.location,
        "contact": request.contact,
        "category": request.category,
        "status": request.status,
        "assignee": request.assignee,
        "notes": request.notes,
        "rating": request.rating,
        "comment": request.comment,
        "reporterId": str(request.reporter_id),
        "createdAt": request.created_at.isoformat(),
        "updatedAt": request.updated_at.isoformat(),
        "dueAt": request.due_at.isoformat(),
    }


routes = [report, list_requests, show, update, rate, reopen]
