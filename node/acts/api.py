"""The record of acts as JSON: all of it for the operator, one's own for a resident."""

from typing import Any

from litestar import get
from litestar.params import FromQuery

from node.acts import service
from node.acts.model import StaffAct
from node.residents.rules import Role, Scope
from node.web.paging import PAGE_ROWS_DEFAULT, Cursor, Page, PageRows
from node.web.session import AnyRequest, house, require, require_subject


@get("/api/acts")
async def list_acts(
    request: AnyRequest,
    after: FromQuery[Cursor | None] = None,
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
) -> dict[str, Any]:
    """Every act of staff and of relatives, the newest first (operator)."""
    require(request, Role.OPERATOR)
    with house(request).database.read() as session:
        return page_as_json(service.acts(session, after=after, limit=limit))


@get("/api/acts/mine")
async def list_mine(
    request: AnyRequest,
    after: FromQuery[Cursor | None] = None,
    limit: FromQuery[PageRows] = PAGE_ROWS_DEFAULT,
) -> dict[str, Any]:
    """What others did in my name, the newest first."""
    _, resident_id = require_subject(request, Scope.EVERYTHING)
    with house(request).database.read() as session:
        return page_as_json(service.acts_for(session, resident_id, after=after, limit=limit))


def page_as_json(found: Page[StaffAct]) -> dict[str, Any]:
    """A page of acts; `next` goes back as `after`."""
    return found.as_json(as_json)


def as_json(act: StaffAct) -> dict[str, Any]:
    """An act as the API and a resident's export show it."""
    return {
        "id": str(act.id),
        "at": act.at.isoformat(),
        "actor": act.actor,
        "roles": act.roles.split(","),
        "for_resident": str(act.for_resident) if act.for_resident else None,
        "what": act.what,
        "subject": act.subject,
    }


routes = [list_acts, list_mine]
