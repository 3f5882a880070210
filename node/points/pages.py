"""My points, the shelf, what is put aside for me, and the card of the home page."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError, NotFound
from node.kernel.ids import new_code, new_id
from node.points import cosigning, pages_desk, pages_onsite, pages_public, service, shelf
from node.points.api import AWARDING_ROLES, reader_of
from node.points.words import activity_name, per_names, reversal_names, state_names
from node.residents import service as residents
from node.residents.rules import Scope
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import Card, Link, page
from node.web.session import AnyRequest, Caller, caller, house, require_subject

OWN_ROWS = 10  # of my awards and reservations, on my page


@get("/points")
async def show(request: AnyRequest) -> Response[str]:
    """What I have, what it can be had for, and which act earns how much."""
    return _show(request, Form())


@post("/points/redemptions")
async def reserve(request: AnyRequest) -> Response[Any]:
    """Put an item aside for me."""
    who, resident_id = require_subject(request, Scope.POINTS)
    node, form, code = house(request), await Form.read(request), new_code()
    item_code = form.text("item")
    try:
        await node.database.run(
            lambda session: shelf.reserve(
                session,
                node.clock,
                redemption_id=form.id,
                resident_id=resident_id,
                item_code=item_code,
                code=code,
                reserved_by=who.recorder(resident_id),
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "catalogue")
        return _show(request, form, status=409)
    return Redirect("/points?reserved=1", status_code=303)


@post("/points/redemptions/{redemption_id:uuid}/release")
async def release(request: AnyRequest, redemption_id: FromPath[UUID]) -> Redirect:
    """Give an item back to the shelf."""
    who, resident_id = require_subject(request, Scope.POINTS)
    node = house(request)

    def command(session: Session) -> None:
        shelf.release_own(
            session,
            node.clock,
            redemption_id=redemption_id,
            resident_id=resident_id,
            released_by=who.recorder(resident_id),
        )

    await node.database.run(command)
    return Redirect("/points?released=1", status_code=303)


@get("/points/redemptions/{redemption_id:uuid}")
async def show_slip(request: AnyRequest, redemption_id: FromPath[UUID]) -> Response[str]:
    """A slip to print or to show at the desk: what, which code, until when."""
    _who, resident_id = require_subject(request, Scope.POINTS)
    with house(request).database.read() as session:
        row = shelf.redemption(session, redemption_id)
        if row.resident_id != resident_id:
            raise NotFound(what="redemption", id=str(redemption_id))
        titles = {one.code: _(one.title) for one in shelf.catalogue(session, is_whole=True)}
        name = residents.resident(session, resident_id).name
    return page(
        request,
        "points/slip.html",
        row=row,
        item=titles[row.item_code],
        name=name,
        state_names=state_names(),
    )


def card(request: AnyRequest, session: Session, who: Caller) -> Card | None:
    """My points on the home page; for everybody else, what earns some."""
    resident_id = reader_of(who)
    links = [Link("/points", _("Points and shelf"))]
    if resident_id is None:
        return Card(_("Points"), [_("Help where you live, and be thanked for it.")], links)
    balance, _available = service.own_points(session, resident_id)
    lines = [_("You have %(points)s points.") % {"points": balance}]
    if waiting := len(shelf.open_of(session, resident_id)):
        lines.append(_("%(count)s things wait for you at the desk.") % {"count": waiting})
    if asked := len(cosigning.to_sign(session, house(request).clock, resident_id)):
        lines.append(_("%(count)s neighbours ask you to sign for them.") % {"count": asked})
        links.append(Link("/points/claims", _("Look at it")))
    return Card(_("Points"), lines, links)


def _show(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    resident_id = reader_of(caller(request))
    balance = available = 0
    awards: list[Any] = []
    redemptions: list[Any] = []
    with house(request).database.read() as session:
        current = service.in_force(session)
        items = shelf.catalogue(session)
        titles = {one.code: _(one.title) for one in shelf.catalogue(session, is_whole=True)}
        if resident_id is not None:
            balance, available = service.own_points(session, resident_id)
            awards = list(service.awards_of(session, resident_id, limit=OWN_ROWS).rows)
            redemptions = list(shelf.redemptions_of(session, resident_id, limit=OWN_ROWS).rows)
    return page(
        request,
        "points/show.html",
        status=status,
        form=form,
        is_mine=resident_id is not None,
        balance=balance,
        available=max(0, available),
        version=current.version,
        lines=current.rules.activities.values(),
        daily_points_max=current.rules.daily_points_max,
        shelf=items,
        form_ids={item.code: new_id() for item in items},
        titles=titles,
        awards=awards,
        redemptions=redemptions,
        activity_name=activity_name,
        per_names=per_names(),
        state_names=state_names(),
        reversal_names=reversal_names(),
        done=_done(request),
        may_desk=caller(request).has(*AWARDING_ROLES),
    )


def _done(request: AnyRequest) -> str:
    if "reserved" in request.query_params:
        return _("It is put aside for you. Show the code at the desk.")
    if "released" in request.query_params:
        return _("It is back on the shelf, and your points are free again.")
    return ""


routes = [
    show,
    reserve,
    release,
    show_slip,
    *pages_public.routes,
    *pages_desk.routes,
    *pages_onsite.routes,
]
