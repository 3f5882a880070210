"""The operator's question, answered in green and red with words; the same for programs."""

from typing import Any, cast

from litestar import Response, get

from node.enrolment.directory import load_membership
from node.health import checks
from node.health.checks import Health, Place
from node.residents.rules import Role
from node.settings import Settings
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest, house, require


def names() -> dict[str, str]:
    """Each check in the reader's language."""
    return {
        "database": _("Database"),
        "disk": _("Disk"),
        "backup": _("Backup"),
        "clock": _("Clock"),
        "restored": _("After a restore"),
        "neighbours": _("Neighbours"),
        "office": _("District office"),
        "certificate": _("Certificate"),
        "chain": _("Chain"),
        "notices": _("Outgoing messages"),
    }


def look(request: AnyRequest) -> tuple[list[Health], dict[str, int]]:
    """All checks and figures, for whoever may see them (operator)."""
    require(request, Role.OPERATOR)
    node = house(request)
    directory = node.settings.directory
    has_chain = bool(getattr(cast(Settings, node.settings), "rpc", ""))
    place = Place(directory, load_membership(directory), has_chain, node.clock.now())
    with node.database.read() as session:
        return checks.look(session, place), checks.figures(session, directory)


@get("/health")
async def show(request: AnyRequest) -> Response[str]:
    """Is all well? What needs somebody comes first."""
    found, _figures = look(request)
    found = sorted(found, key=lambda one: one.is_well is not False)
    lines = [(one, one.said(_)) for one in found]
    is_well = all(one.is_well is not False for one in found)
    return page(request, "health/health.html", lines=lines, is_well=is_well, names=names())


@get("/api/health")
async def as_json(request: AnyRequest) -> dict[str, Any]:
    """Is all well? `is_well` is null for what this node does not have (operator)."""
    return checks.as_json(look(request)[0])


@get("/api/metrics", media_type="text/plain")
async def metrics(request: AnyRequest) -> str:
    """The same for Prometheus, which sends an operator's token (operator)."""
    return checks.as_metrics(*look(request))


routes = [show, as_json, metrics]
