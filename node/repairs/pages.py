"""The report form, my requests, one request, and the dispatcher's board."""

from typing import Any, NamedTuple

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.repairs import rules, service
from node.repairs.access import STAFF, WORKERS, must_own, must_see, whose
from node.repairs.model import ServiceRequest
from node.repairs.rules import STEPS, Status
from node.residents.rules import Scope
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import Card, Link, page
from node.web.session import AnyRequest, Caller, house, require, require_subject

PAGE_SIZE = 20
CARD_LINES_MAX = 3


class Row(NamedTuple):
    """A request as pages show it."""

    request: ServiceRequest
    status: str
    category: str
    is_late: bool
    next_steps: list[tuple[Status, str]]


@get("/repairs")
async def list_requests(request: AnyRequest) -> Response[str]:
    """My requests; for staff the board, one status at a time."""
    who = require(request)
    reporter_id = whose(request, who)
    number = _page_number(request)
    status = _status(request) if reporter_id is None else None
    with house(request).database.read() as session:
        found = service.requests(
            session,
            page=number,
            limit=PAGE_SIZE,
            status=status,
            reporter_id=reporter_id,
            newest_first=reporter_id is not None,
        )
        rows = [_row(request, one) for one in found.requests]
        totals = service.totals(session) if reporter_id is None else {}
    shown: dict[str, Any] = {"rows": rows, "totals": totals, "chosen": status, "number": number}
    last = max(1, -(-found.total // PAGE_SIZE))
    template = "repairs/board.html" if reporter_id is None else "repairs/mine.html"
    may_work = who.has(*WORKERS)
    names = status_names()
    return page(request, template, last=last, status_names=names, may_work=may_work, **shown)


@get("/repairs/new")
async def show_report(request: AnyRequest) -> Response[str]:
    """The form: what, where, what kind."""
    require_subject(request, Scope.REPAIRS)
    form = Form({"category": rules.CATEGORY_DEFAULT})
    return page(request, "repairs/report.html", form=form, categories=category_names())


@post("/repairs/new")
async def do_report(request: AnyRequest) -> Response[Any]:
    """Write the request down and show it."""
    who, reporter_id = require_subject(request, Scope.REPAIRS)
    node, form = house(request), await Form.read(request)
    words = {
        "title": form.text("title", most=rules.TITLE_LENGTH_MAX),
        "description": form.text("description", most=rules.TEXT_LENGTH_MAX),
        "location": form.text("location", most=rules.LOCATION_LENGTH_MAX),
        "contact": form.text("contact", least=0, most=rules.CONTACT_LENGTH_MAX),
        "category": form.choice("category", rules.CATEGORIES),
    }
    if form.errors:
        names = category_names()
        return page(request, "repairs/report.html", form=form, categories=names, status=422)

    def command(session: Session) -> int:
        return service.report(
            session,
            node.clock,
            key=form.id,
            reporter_id=reporter_id,
            recorded_by=who.actor,
            title=words["title"],
            description=words["description"],
            location=words["location"],
            contact=words["contact"],
            category=words["category"],
        ).id

    return Redirect(f"/repairs/{await node.database.run(command)}", status_code=303)


@get("/repairs/{request_id:int}")
async def show(request: AnyRequest, request_id: FromPath[int]) -> Response[str]:
    """One request, its steps, and what its reader can do now."""
    return _show(request, request_id, Form())


@post("/repairs/{request_id:int}/step")
async def step(request: AnyRequest, request_id: FromPath[int]) -> Response[Any]:
    """Staff move the request on."""
    who, node, form = require(request, *WORKERS), house(request), await Form.read(request)
    to = Status(form.choice("status", list(Status)))
    assignee = form.text("assignee", least=0, most=rules.ASSIGNEE_LENGTH_MAX)
    notes = form.text("notes", least=0, most=rules.TEXT_LENGTH_MAX)

    def command(session: Session) -> None:
        service.update(
            session,
            node.clock,
            request_id=request_id,
            changed_by=who.actor,
            status=to,
            notes=notes,
            assignee=assignee,
        )

    return await _do(request, request_id, form, command, field="status")


@post("/repairs/{request_id:int}/rate")
async def rate(request: AnyRequest, request_id: FromPath[int]) -> Response[Any]:
    """The reporter says how it was."""
    who, node, form = require(request), house(request), await Form.read(request)
    rating = form.integer("rating", least=rules.RATING_MIN, most=rules.RATING_MAX)
    comment = form.text("comment", least=0, most=rules.TEXT_LENGTH_MAX)

    def command(session: Session) -> None:
        must_own(request, who, service.find(session, request_id))
        service.rate(session, node.clock, request_id=request_id, rating=rating, comment=comment)

    return await _do(request, request_id, form, command, field="rating")


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

    return await _do(request, request_id, form, command, field="reason")


def card(request: AnyRequest, session: Session, who: Caller) -> Card | None:
    """On the home page: my latest requests, or how much waits for staff."""
    if not who.is_known:
        return None
    names = status_names()
    if who.has(*STAFF) and who.acting_for is None:
        lines = [_line(names[status], total) for status, total in service.totals(session).items()]
        return Card(_("Repairs"), lines[:CARD_LINES_MAX], [Link("/repairs", _("Open the board"))])
    if who.subject is None or not who.may_act_for(who.subject, Scope.REPAIRS):
        return None
    found = service.requests(
        session, limit=CARD_LINES_MAX, reporter_id=who.subject, newest_first=True
    )
    lines = [_line(one.title, names[Status(one.status)]) for one in found.requests]
    links = [Link("/repairs/new", _("Report a repair")), Link("/repairs", _("My requests"))]
    return Card(_("My repairs"), lines or [_("You have not reported anything.")], links)


def _line(what: str, where: object) -> str:
    return _("%(what)s: %(where)s") % {"what": what, "where": where}


def status_names() -> dict[Status, str]:
    """Each status in the reader's language."""
    return {
        Status.PENDING: _("reported"),
        Status.DISPATCHED: _("dispatched"),
        Status.PROCESSING: _("being worked on"),
        Status.COMPLETED: _("completed"),
    }


def step_names() -> dict[Status, str]:
    """What moving a request to a status is called on its button."""
    return {
        Status.PENDING: _("Send back"),
        Status.DISPATCHED: _("Dispatch"),
        Status.PROCESSING: _("Start the work"),
        Status.COMPLETED: _("Work is done"),
    }


def category_names() -> list[tuple[str, str]]:
    """Each category's code and its name in the reader's language."""
    return [(code, _(category.name)) for code, category in rules.CATEGORIES.items()]


def _row(request: AnyRequest, one: ServiceRequest) -> Row:
    status, names = Status(one.status), step_names()
    late = status != Status.COMPLETED and house(request).clock.now() > one.due_at
    steps = [(to, names[to]) for to in Status if to in STEPS[status]]
    known = rules.CATEGORIES.get(one.category)
    category = _(known.name) if known else one.category
    return Row(one, status_names()[status], category, late, steps)


def _show(request: AnyRequest, request_id: int, form: Form, *, status: int = 200) -> Response[str]:
    who, names = require(request), status_names()
    with house(request).database.read() as session:
        found = service.find(session, request_id)
        must_see(request, session, who, found)
        row = _row(request, found)
        steps = [(one, names[Status(one.after)]) for one in service.steps_of(session, request_id)]
        is_mine = who.subject == found.reporter_id
    may_work = who.has(*WORKERS)
    shown: dict[str, Any] = {"row": row, "steps": steps, "is_mine": is_mine, "form": form}
    return page(request, "repairs/request.html", status=status, may_work=may_work, **shown)


async def _do(
    request: AnyRequest, request_id: int, form: Form, command: Any, *, field: str
) -> Response[Any]:
    if not form.errors:
        try:
            await house(request).database.run(command)
        except DomainError as refusal:
            if refusal.code in ("kernel.not_allowed", "repairs.not_found"):
                raise
            form.refuse(refusal, field)
    if form.errors:
        return _show(request, request_id, form, status=422)
    return Redirect(f"/repairs/{request_id}", status_code=303)


def _page_number(request: AnyRequest) -> int:
    text = request.query_params.get("page", "1")
    is_number = text.isascii() and text.isdigit() and len(text) <= len(str(rules.PAGE_MAX))
    return min(max(1, int(text)), rules.PAGE_MAX) if is_number else 1


def _status(request: AnyRequest) -> Status:
    text = request.query_params.get("status", Status.PENDING.value)
    return Status(text) if text in list(Status) else Status.PENDING


routes = [list_requests, show_report, do_report, show, step, rate, reopen]
