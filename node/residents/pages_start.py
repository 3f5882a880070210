"""First steps: what a new community does, in which order, and what of it is done."""

from typing import Any, NamedTuple

from litestar import Response, get
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from node.residents.model import Credential, Resident, RoleGrant
from node.residents.rules import Role
from node.web.language import gettext as _
from node.web.layout import Link, page
from node.web.session import AnyRequest, house, require


class Step(NamedTuple):
    """Something to do once: what, why, where, and whether it is done."""

    title: str
    why: str
    is_done: bool
    link: Link | None = None
    command: str = ""


@get("/first-steps")
async def first_steps(request: AnyRequest) -> Response[str]:
    """The list for the operator, with ticks that come from the database."""
    require(request, Role.OPERATOR)
    with house(request).database.read() as session:
        steps = _steps(session, community=house(request).community)
    done = sum(step.is_done for step in steps)
    shown: dict[str, Any] = {"steps": steps, "done": done}
    return page(request, "residents/first_steps.html", **shown)


def _steps(session: Session, *, community: str) -> list[Step]:
    held = set(session.scalars(select(RoleGrant.role).distinct()))
    people = session.scalar(select(func.count()).select_from(Resident)) or 0
    signing_in = session.scalar(select(func.count()).select_from(Credential)) or 0
    staff = len(held) + 1
    return [
        Step(
            _("Somebody is the operator"),
            _("You are: this page is shown to operators alone."),
            Role.OPERATOR in held,
        ),
        Step(
            _("The residents are in the list"),
            _("From the property company's list, as a CSV file; or one by one at the desk."),
            people > staff,
            Link("/residents/import", _("Take over a list")),
        ),
        Step(
            _("The desk has a clerk"),
            _("A clerk helps whoever stands at the desk, and gives new PINs."),
            Role.CLERK in held,
            Link("/residents", _("Find somebody and give them the role")),
        ),
        Step(
            _("Somebody does the repairs"),
            _("Reports go to people with the role of property staff."),
            Role.PROPERTY in held,
            Link("/residents", _("Find somebody and give them the role")),
        ),
        Step(
            _("The council has a secretary"),
            _("The secretary leads a motion through its seven steps."),
            Role.SECRETARY in held,
            Link("/residents", _("Find somebody and give them the role")),
        ),
        Step(
            _("Residents can sign in"),
            _("Each chooses a PIN at the desk. Whoever has none is served there all the same."),
            signing_in > staff,
            Link("/residents", _("Find a resident")),
        ),
        Step(
            _("The community is in its district"),
            _("Needed for help next door and for the shared forecast; all else works without."),
            bool(community),
            command="linli-node join DIR --invitation linli1.…",
        ),
    ]


routes = [first_steps]
