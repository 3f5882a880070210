"""Service requests as JSON: the four endpoints people know, with who asks checked and steps kept.

Every refusal also carries `error`, the member that older clients read.
"""

from typing import Any

import msgspec
from litestar import Response, delete, get, post, put
from litestar.params import FromPath, FromQuery, JSONBody
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput
from node.repairs import (
    following,
    kept,
    merging_api,
    open311,
    photo_api,
    plan_api,
    reading,
    rules,
    service,
)
from node.repairs.access import WORKERS, must_own, must_see, whose
from node.repairs.rules import Status
from node.repairs.shapes import Rated, Repair, RepairPage, Similar, SimilarPage
from node.repairs.shapes import for_neighbour as for_neighbour
from node.repairs.shapes import repair as as_json
from node.residents.rules import Scope
from node.web import idempotency, refusals
from node.web.answers import Answer
from node.web.language import gettext as _
from node.web.session import AnyRequest, house, require, require_subject

refusals.STATUS |= {"repairs.fields_missing": 400, "repairs.not_completed": 400}


class ReportBody(msgspec.Struct, rename="camel"):
    title: str = ""
    description: str = ""
    location: str = ""
    contact: str | None = None
    category: str | None = None
    building: str | None = None
    is_shared: bool = False


class UpdateBody(msgspec.Struct):
    status: Status | None = None
    notes: str | None = None
    assignee: str | None = None
    team: str | None = None
    reply: str | None = None


class RatingBody(msgspec.Struct):
    rating: int
    comment: str | None = None


class ReopenBody(msgspec.Struct):
    notes: str | None = None


@post("/api/repairs")
async def report(request: AnyRequest, data: JSONBody[ReportBody]) -> Repair:
    """Report something to be repaired; the same Idempotency-Key reports it once."""
    who, reporter_id = require_subject(request, Scope.REPAIRS)
    node, key = house(request), idempotency.key(request)

    def command(session: Session) -> Repair:
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
                building=data.building,
                is_shared=data.is_shared,
            )
        )

    needs = ((kept.REQUESTS, key), (kept.HOMES, reporter_id))
    return await node.database.run(command, needs=needs)


@get("/api/repairs")
async def list_requests(
    request: AnyRequest,
    page: FromQuery[int] = 1,
    limit: FromQuery[int] = rules.PAGE_SIZE_DEFAULT,
    status: FromQuery[Status | None] = None,
    after: FromQuery[int | None] = None,
) -> Response[RepairPage]:
    """A page of requests, oldest first: all of them for staff, a resident's own for a resident.

    By `page` number, or, at the same price however far, those that follow `after`: the `next` of
    the page before. With `after`, `page` is not looked at.
    """
    who = require(request)
    if not 1 <= page <= rules.PAGE_MAX:
        raise BadInput(field="page", problem="pages start at 1")
    if not 1 <= limit <= rules.PAGE_SIZE_MAX:
        raise BadInput(field="limit", problem="between 1 and 100")
    if after is not None and not 0 <= after <= rules.NUMBER_MAX:
        raise BadInput(field="after", problem="send back the `next` of a page, unchanged")
    reporter_id = whose(request, who)
    body = reading.page_as_json(
        house(request).database,
        number=page,
        limit=limit,
        status=status,
        reporter_id=reporter_id,
        after=after,
    )
    answer: Response[Any] = Answer(body)
    return answer


@get("/api/repairs/similar")
async def list_similar(
    request: AnyRequest,
    title: FromQuery[str],
    category: FromQuery[str] = rules.CATEGORY_DEFAULT,
    location: FromQuery[str] = "",
    building: FromQuery[str | None] = None,
) -> SimilarPage:
    """Open requests about shared places that may mean the same: follow one instead of reporting."""
    require_subject(request, Scope.REPAIRS)
    node = house(request)
    words = f"{title[: rules.TITLE_LENGTH_MAX]} {location[: rules.LOCATION_LENGTH_MAX]}"
    with node.database.read() as session:
        found = following.similar(
            session,
            node.clock,
            category=rules.check_category(category),
            building=rules.check_building(building),
            words=words,
        )
        names = Similar.__struct_fields__
        return SimilarPage([Similar(*[getattr(one, name) for name in names]) for one in found])


@get("/api/repairs/{request_id:int}")
async def show(request: AnyRequest, request_id: FromPath[int]) -> Repair:
    """One request: all of it for staff and its reporter, where it stands for a follower."""
    who = require(request)
    with house(request).database.read() as session:
        found = service.find(session, request_id)
        sees_all = must_see(request, session, who, found)
        return as_json(found) if sees_all else for_neighbour(found)


@put("/api/repairs/{request_id:int}")
async def update(
    request: AnyRequest, request_id: FromPath[int], data: JSONBody[UpdateBody]
) -> Repair:
    """Move a request on (property, clerk): the state table refuses jumps."""
    who, node = require(request, *WORKERS), house(request)

    def command(session: Session) -> Repair:
        return as_json(
            service.update(
                session,
                node.clock,
                request_id=request_id,
                changed_by=who.actor,
                status=data.status,
                notes=data.notes,
                assignee=data.assignee,
                team=data.team,
                reply=data.reply,
            )
        )

    return await node.database.run(command)


@post("/api/repairs/{request_id:int}/rate", status_code=200)
async def rate(request: AnyRequest, request_id: FromPath[int], data: JSONBody[RatingBody]) -> Rated:
    """The reporter says how the work was, 1 to 5."""
    who, node = require(request), house(request)

    def command(session: Session) -> Repair:
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

    return Rated(_("Thank you for your rating."), await node.database.run(command))


@post("/api/repairs/{request_id:int}/reopen", status_code=200)
async def reopen(
    request: AnyRequest, request_id: FromPath[int], data: JSONBody[ReopenBody]
) -> Repair:
    """The reporter says that it is not fixed after all."""
    who, node = require(request), house(request)

    def command(session: Session) -> Repair:
        must_own(request, who, service.find(session, request_id))
        reopened = service.reopen(
            session, node.clock, request_id=request_id, changed_by=who.actor, notes=data.notes
        )
        return as_json(reopened)

    return await node.database.run(command)


@put("/api/repairs/{request_id:int}/follow", status_code=200)
async def follow(request: AnyRequest, request_id: FromPath[int]) -> Repair:
    """ "Me too": follow an open request about a shared place instead of reporting it again."""
    who, resident_id = require_subject(request, Scope.REPAIRS)
    node = house(request)

    def command(session: Session) -> Repair:
        found = following.follow(
            session,
            node.clock,
            request_id=request_id,
            resident_id=resident_id,
            recorded_by=who.actor,
        )
        return as_json(found) if found.reporter_id == resident_id else for_neighbour(found)

    return await node.database.run(command)


@delete("/api/repairs/{request_id:int}/follow", status_code=204)
async def unfollow(request: AnyRequest, request_id: FromPath[int]) -> None:
    """No longer be told how it goes."""
    _who, resident_id = require_subject(request, Scope.REPAIRS)

    def command(session: Session) -> None:
        service.find(session, request_id)
        following.unfollow(session, request_id=request_id, resident_id=resident_id)

    await house(request).database.run(command)


routes = [
    report,
    list_requests,
    list_similar,
    show,
    update,
    rate,
    reopen,
    follow,
    unfollow,
    *photo_api.routes,
    *plan_api.routes,
    *merging_api.routes,
    *open311.routes,
]
