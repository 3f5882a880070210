"""The report form, my requests, one request and what its reporter can do with it."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.repairs import (
    deadlines,
    desk,
    following,
    merging,
    merging_pages,
    photo_api,
    photos,
    plan,
    plan_pages,
    progress,
    public,
    rules,
    service,
    views,
)
from node.repairs.access import STAFF, WORKERS, is_own, must_own, must_see, whose
from node.repairs.rules import Status
from node.residents import service as residents
from node.residents.rules import Scope
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import Card, Link, page
from node.web.session import AnyRequest, Caller, house, require, require_subject

PAGE_SIZE = 20
FOLLOWED_SHOWN_MAX = 20
CARD_LINES_MAX = 3


@get("/repairs")
async def list_requests(request: AnyRequest) -> Response[str]:
    """My requests and what I follow; for staff the board, one status at a time."""
    who = require(request)
    reporter_id = whose(request, who)
    number = _page_number(request)
    if reporter_id is None:
        return desk.board(request, who, number)
    with house(request).database.read() as session:
        found = service.requests(
            session, page=number, limit=PAGE_SIZE, reporter_id=reporter_id, newest_first=True
        )
        rows = [views.row(request, one) for one in found.requests]
        liked = following.followed_by(session, reporter_id, limit=FOLLOWED_SHOWN_MAX)
        followed = [views.row(request, one) for one in liked]
    last = max(1, -(-found.total // PAGE_SIZE))
    shown: dict[str, Any] = {"rows": rows, "followed": followed, "number": number, "last": last}
    return page(request, "repairs/mine.html", **shown)


@get("/repairs/new")
async def show_report(request: AnyRequest) -> Response[str]:
    """The form: what, where, what kind, and a photo if there is one."""
    _who, reporter_id = require_subject(request, Scope.REPAIRS)
    with house(request).database.read() as session:
        building = residents.resident(session, reporter_id).building or ""
    known = {"category": rules.CATEGORY_DEFAULT, "building": building, "place": "home"}
    return _report_form(request, Form(known))


@post("/repairs/new", request_max_body_size=views.FORM_BYTES_MAX)
async def do_report(request: AnyRequest) -> Response[Any]:
    """Write the request down and show it; first ask, if neighbours reported the same."""
    who, reporter_id = require_subject(request, Scope.REPAIRS)
    node, form = house(request), await Form.read(request)
    title = form.text("title", most=rules.TITLE_LENGTH_MAX)
    description = form.text("description", most=rules.TEXT_LENGTH_MAX)
    location = form.text("location", most=rules.LOCATION_LENGTH_MAX)
    contact = form.text("contact", least=0, most=rules.CONTACT_LENGTH_MAX)
    category = form.choice("category", rules.CATEGORIES)
    building = form.text("building", least=0, most=rules.BUILDING_LENGTH_MAX)
    is_shared = form.values.get("place") == "shared" or category in rules.SHARED_BY_NATURE
    made = await views.read_photos(request, form)
    if form.errors:
        return _report_form(request, form, status=422)
    if is_shared and form.values.get("is_new") != "yes":
        with node.database.read() as session:
            alike = following.similar(
                session,
                node.clock,
                category=category,
                building=building or None,
                words=f"{title} {location}",
            )
            rows = [views.row(request, one) for one in alike if one.reporter_id != reporter_id]
        if rows:
            had_photos = bool(made)
            shown: dict[str, Any] = {"rows": rows, "form": form, "had_photos": had_photos}
            return page(request, "repairs/similar.html", **shown)

    def command(session: Session) -> int:
        reported = service.report(
            session,
            node.clock,
            key=form.id,
            reporter_id=reporter_id,
            recorded_by=who.actor,
            title=title,
            description=description,
            location=location,
            contact=contact,
            category=category,
            building=building,
            is_shared=is_shared,
        )
        views.keep_photos(
            session, request, made, request_id=reported.id, key=form.id, added_by=who.actor
        )
        return reported.id

    return Redirect(f"/repairs/{await node.database.run(command)}", status_code=303)


@get("/repairs/{request_id:int}")
async def show(request: AnyRequest, request_id: FromPath[int]) -> Response[str]:
    """One request, its steps, and what its reader can do now."""
    return show_request(request, request_id, Form())


@get("/repairs/{request_id:int}/photos/{photo_id:uuid}", media_type=photos.MEDIA_TYPE)
async def show_photo(
    request: AnyRequest, request_id: FromPath[int], photo_id: FromPath[UUID]
) -> Response[bytes]:
    """The picture itself, for the request's reporter and staff."""
    is_preview = request.query_params.get("preview") == "1"
    return photo_api.answer(request, request_id, photo_id, is_preview=is_preview)


@post("/repairs/{request_id:int}/photos", request_max_body_size=views.FORM_BYTES_MAX)
async def add_photos(request: AnyRequest, request_id: FromPath[int]) -> Response[Any]:
    """The reporter shows more."""
    who, form = require(request), await Form.read(request)
    with house(request).database.read() as session:
        must_own(request, who, service.find(session, request_id))
    made = await views.read_photos(request, form)
    if not made and not form.errors:
        form.errors["photo"] = _("Please choose a photo.")

    def command(session: Session) -> None:
        views.keep_photos(
            session, request, made, request_id=request_id, key=form.id, added_by=who.actor
        )

    return await do(request, request_id, form, command, field="photo")


@post("/repairs/{request_id:int}/rate")
async def rate(request: AnyRequest, request_id: FromPath[int]) -> Response[Any]:
    """The reporter says how it was."""
    who, node, form = require(request), house(request), await Form.read(request)
    rating = form.integer("rating", least=rules.RATING_MIN, most=rules.RATING_MAX)
    comment = form.text("comment", least=0, most=rules.TEXT_LENGTH_MAX)

    def command(session: Session) -> None:
        must_own(request, who, service.find(session, request_id))
        service.rate(session, node.clock, request_id=request_id, rating=rating, comment=comment)

    return await do(request, request_id, form, command, field="rating")


@post("/repairs/{request_id:int}/reopen")
async def reopen(request: AnyRequest, request_id: FromPath[int]) -> Response[Any]:
    """The reporter says that it is not fixed."""
    who, node, form = require(request), house(request), await Form.read(request)
    notes = form.text("reason", most=rules.TEXT_LENGTH_MAX)

    def command(session: Session) -> None:
        must_own(request, who, service.find(session, request_id))
        service.reopen(
            session, node.clock, request_id=request_id, changed_by=who.actor, notes=notes
        )

    return await do(request, request_id, form, command, field="reason")


@post("/repairs/{request_id:int}/follow")
async def follow(request: AnyRequest, request_id: FromPath[int]) -> Response[Any]:
    """ "Me too", or no longer."""
    who, resident_id = require_subject(request, Scope.REPAIRS)
    node, form = house(request), await Form.read(request)
    ends = form.values.get("end") == "yes"

    def command(session: Session) -> None:
        if ends:
            following.unfollow(session, request_id=request_id, resident_id=resident_id)
            return
        following.follow(
            session,
            node.clock,
            request_id=request_id,
            resident_id=resident_id,
            recorded_by=who.actor,
        )

    await node.database.run(command)
    return Redirect("/repairs" if ends else f"/repairs/{request_id}", status_code=303)


def card(request: AnyRequest, session: Session, who: Caller) -> Card | None:
    """On the home page: my latest requests, or how much waits for staff."""
    if not who.is_known:
        return None
    names = views.status_names()
    if who.has(*STAFF) and who.acting_for is None:
        lines = [_line(names[status], total) for status, total in service.totals(session).items()]
        late = progress.overdue(session, house(request).clock)
        shown = [_line(_("overdue"), late), *lines[: CARD_LINES_MAX - 1]]
        return Card(_("Repairs"), shown, [Link("/repairs/work", _("My work")), _board_link()])
    if who.subject is None or not who.may_act_for(who.subject, Scope.REPAIRS):
        return None
    found = service.requests(
        session, limit=CARD_LINES_MAX, reporter_id=who.subject, newest_first=True
    )
    lines = [_line(one.title, views.row(request, one).status) for one in found.requests]
    links = [Link("/repairs/new", _("Report a repair")), Link("/repairs", _("My requests"))]
    return Card(_("My repairs"), lines or [_("You have not reported anything.")], links)


def _board_link() -> Link:
    return Link("/repairs", _("Open the board"))


def _line(what: str, where: object) -> str:
    return _("%(what)s: %(where)s") % {"what": what, "where": where}


def show_request(
    request: AnyRequest, request_id: int, form: Form, *, status: int = 200
) -> Response[str]:
    """The page of one request, with what was typed before if it has to be looked at again."""
    who, names = require(request), views.status_names()
    with house(request).database.read() as session:
        found = service.find(session, request_id)
        sees_all = must_see(request, session, who, found)
        row = views.row(request, found)
        steps = [(one, names[Status(one.after)]) for one in service.steps_of(session, request_id)]
        if found.merged_into is not None:  # nothing was completed by its last step
            steps[-1] = (steps[-1][0], row.status)
        _version, current = plan.current(session)
        team = plan.team(current, found.team)
        shown: dict[str, Any] = {
            "row": row,
            "steps": steps,
            "escalations": deadlines.escalations_of(session, request_id),
            "photos": photos.photos_of(session, request_id) if sees_all else [],
            "follower_count": following.count(session, request_id),
            "team": team.name if team else "",
            "merged": merging.merged_into(session, request_id) if who.has(*STAFF) else [],
        }
    may_work = who.has(*WORKERS)
    if may_work and not form.values:
        form.values = {"team": found.team or "", "assignee": found.assignee or ""}
    can_reopen = (
        found.completed_at is not None
        and found.merged_into is None
        and house(request).clock.now() <= found.completed_at + rules.REOPEN_TIME
    )
    context = {
        "form": form,
        "is_mine": is_own(who, found),
        "is_follower": not sees_all,
        "may_work": may_work,
        "can_reopen": can_reopen,
        "level_names": views.level_names(),
        "replies": {to: views.replies_for(current, to) for to, _name in row.next_steps},
        "teams": [("", _("none yet")), *((one.code, one.name) for one in current.teams)],
    }
    return page(request, "repairs/request.html", status=status, **shown, **context)


async def do(
    request: AnyRequest, request_id: int, form: Form, command: Any, *, field: str
) -> Response[Any]:
    """Run what a form asks for, and show the request; a refusal stands beside its field."""
    if not form.errors:
        try:
            await house(request).database.run(command)
        except DomainError as refusal:
            if refusal.code in ("kernel.not_allowed", "repairs.not_found"):
                raise
            form.refuse(refusal, field)
    if form.errors:
        return show_request(request, request_id, form, status=422)
    return Redirect(f"/repairs/{request_id}", status_code=303)


def _report_form(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    shown = {"form": form, "categories": views.category_names()}
    return page(request, "repairs/report.html", status=status, **shown)


def _page_number(request: AnyRequest) -> int:
    text = request.query_params.get("page", "1")
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(rules.PAGE_MAX))
    return min(max(1, int(text)), rules.PAGE_MAX) if is_number else 1


@post("/repairs/{request_id:int}/step", request_max_body_size=views.FORM_BYTES_MAX)
async def step(request: AnyRequest, request_id: FromPath[int]) -> Response[Any]:
    """Staff move the request on, say something, show a photo of the work."""
    who, node, form = require(request, *WORKERS), house(request), await Form.read(request)
    to = Status(form.choice("status", list(Status)))
    assignee = form.text("assignee", least=0, most=rules.ASSIGNEE_LENGTH_MAX)
    notes = form.text("notes", least=0, most=rules.TEXT_LENGTH_MAX)
    made = await views.read_photos(request, form)

    def command(session: Session) -> None:
        service.update(
            session,
            node.clock,
            request_id=request_id,
            changed_by=who.actor,
            status=to,
            notes=notes,
            assignee=assignee,
            team=form.values.get("team"),
            reply=form.values.get("reply"),
        )
        views.keep_photos(
            session, request, made, request_id=request_id, key=form.id, added_by=who.actor
        )

    return await do(request, request_id, form, command, field="status")


routes = [
    list_requests,
    show_report,
    do_report,
    show,
    show_photo,
    add_photos,
    step,
    rate,
    reopen,
    follow,
    *desk.routes,
    *plan_pages.routes,
    *public.routes,
    *merging_pages.routes,
]
