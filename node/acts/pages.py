"""Who did what: for the operator about all, for a resident about themselves."""

from collections.abc import Iterable
from uuid import UUID

from litestar import Response, get
from litestar.params import FromQuery
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.acts import service
from node.acts.model import StaffAct
from node.acts.rules import RELATIVE, TERMINAL
from node.residents.model import Resident
from node.residents.rules import Role, Scope
from node.web.language import gettext as _
from node.web.layout import page
from node.web.paging import Cursor
from node.web.session import AnyRequest, house, require, require_subject


def part_name(what: str) -> str:
    """Which part of the house an act was in."""
    path = what.rpartition(" ")[2].removeprefix("/api")
    return {
        "repairs": _("Repairs"),
        "points": _("Points"),
        "timebank": _("Time bank"),
        "council": _("Council"),
        "exchange": _("Help next door"),
        "forecast": _("Forecast"),
        "residents": _("Residents"),
    }.get(path.strip("/").partition("/")[0], _("Other"))


def role_name(role: str) -> str:
    """A role in the reader's language."""
    return {
        Role.CLERK.value: _("clerk"),
        Role.PROPERTY.value: _("property"),
        Role.SOCIAL_WORKER.value: _("social worker"),
        Role.SECRETARY.value: _("secretary"),
        Role.OPERATOR.value: _("operator"),
        RELATIVE: _("relative"),
    }.get(role, role)


@get("/acts")
async def show_all(request: AnyRequest, after: FromQuery[Cursor | None] = None) -> Response[str]:
    """Every act, the newest first (operator)."""
    require(request, Role.OPERATOR)
    return _shown(request, after, None)


@get("/acts/mine")
async def show_mine(request: AnyRequest, after: FromQuery[Cursor | None] = None) -> Response[str]:
    """What others did in my name."""
    return _shown(request, after, require_subject(request, Scope.EVERYTHING)[1])


def _shown(request: AnyRequest, after: str | None, resident_id: UUID | None) -> Response[str]:
    with house(request).database.read() as session:
        if resident_id is None:
            found = service.acts(session, after=after)
        else:
            found = service.acts_for(session, resident_id, after=after)
        names = _names(session, found.rows)
    return page(
        request,
        "acts/list.html",
        acts=found.rows,
        next=found.next,
        names=names,
        is_all=resident_id is None,
        part_name=part_name,
        role_name=role_name,
    )


def _names(session: Session, acts: Iterable[StaffAct]) -> dict[str, str]:
    """Who the ids on this page are; what is no resident is a program or the terminal."""
    ids = {str(act.for_resident) for act in acts} | {act.actor for act in acts}
    known = [UUID(one) for one in ids if one not in ("None", TERMINAL)]
    found = session.execute(select(Resident.id, Resident.name).where(Resident.id.in_(known)))
    names = {str(row.id): row.name for row in found}
    return names | {TERMINAL: _("At the node's own machine")}


routes = [show_all, show_mine]
