"""For staff: the board, one status at a time, and my work, the most overdue first."""

from typing import Any

from litestar import Response, get

from node.repairs import plan, progress, service, views
from node.repairs.access import STAFF, WORKERS
from node.repairs.rules import Status
from node.web.layout import page
from node.web.session import AnyRequest, Caller, house, require

PAGE_SIZE = 20


def board(request: AnyRequest, who: Caller, number: int) -> Response[str]:
    """All requests at one status, oldest first."""
    status = _status(request)
    with house(request).database.read() as session:
        found = service.requests(session, page=number, limit=PAGE_SIZE, status=status)
        rows = [views.row(request, one) for one in found.requests]
        totals = service.totals(session)
    shown: dict[str, Any] = {
        "rows": rows,
        "totals": totals,
        "chosen": status,
        "number": number,
        "last": max(1, -(-found.total // PAGE_SIZE)),
        "status_names": views.status_names(),
        "may_work": who.has(*WORKERS),
    }
    return page(request, "repairs/board.html", **shown)


@get("/repairs/work")
async def work(request: AnyRequest) -> Response[str]:
    """Open requests of my teams, the most overdue first; of all teams if I am in none or ask."""
    who = require(request, *STAFF)
    after = request.query_params.get("after")
    with house(request).database.read() as session:
        _version, current = plan.current(session)
        mine = plan.teams_of(current, who.resident_id)
        teams = () if request.query_params.get("all") == "1" else mine
        found = progress.work(session, teams=teams, after=after)
        rows = [views.row(request, one) for one in found.rows]
        late = progress.overdue(session, house(request).clock, teams)
    names = {one.code: one.name for one in current.teams}
    shown: dict[str, Any] = {
        "rows": rows,
        "next_page": found.next,
        "late": late,
        "is_mine": bool(teams),
        "has_team": bool(mine),
        "team_names": names,
    }
    return page(request, "repairs/work.html", **shown)


def _status(request: AnyRequest) -> Status:
    text = request.query_params.get("status", Status.PENDING.value)
    return Status(text) if text in list(Status) else Status.PENDING


routes = [work]
