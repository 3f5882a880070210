"""The desk's pages of points: thank, hand out, take back, and keep the shelf."""

from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.kernel.ids import derived_id, new_id
from node.points import clawback, rules, service, shelf, stock
from node.points.api import AWARDING_ROLES
from node.points.api_shelf import COUNTER_ROLES
from node.points.rules import EvidenceKind, Per, ReversalReason, StockReason
from node.points.service import Evidence
from node.points.words import (
    DESK_EVIDENCE,
    activity_name,
    evidence_names,
    reversal_names,
    stock_names,
)
from node.residents import service as residents
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest, house, require

SHEET_LENGTH_MAX = 40  # of the number on a list, slip or sign
AWARDS_SHOWN = 10  # of the resident one acts for, to take back
CLERK_REASONS = (ReversalReason.MISTAKE, ReversalReason.TWICE, ReversalReason.NOT_DONE)


@get("/points/desk")
async def show_desk(request: AnyRequest) -> Response[str]:
    """For the desk: thank the resident one acts for, and hand things out."""
    return _desk(request, Form())


@post("/points/desk/award")
async def award(request: AnyRequest) -> Response[Any]:
    """Thank the resident one acts for. The number on the paper makes the evidence, once."""
    who = require(request, *AWARDING_ROLES)
    node, form = house(request), await Form.read(request)
    kind = EvidenceKind(form.choice("kind", [kind.value for kind in DESK_EVIDENCE]))
    sheet = form.text("sheet", most=SHEET_LENGTH_MAX)
    with node.database.read() as session:
        current = service.in_force(session).rules
    activity = form.choice("activity", current.activities)
    minutes = None
    if current.activities[activity].per is Per.HOUR:
        minutes = form.integer("minutes", least=1, most=rules.MINUTES_MAX)
    resident_id = who.acting_for
    if resident_id is None or form.errors:
        return _desk(request, form, status=422)
    reference = derived_id("evidence", kind, rules.local_day(node.clock.now()), sheet.casefold())
    try:
        row = await node.database.run(
            lambda session: service.award(
                session,
                node.clock,
                award_id=form.id,
                resident_id=resident_id,
                activity=activity,
                evidence=Evidence(kind, reference),
                minutes=minutes,
                awarded_by=who.hand,
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "activity")
        return _desk(request, form, status=409)
    return Redirect(f"/points/desk?awarded={row.points}", status_code=303)


@post("/points/desk/collect")
async def collect(request: AnyRequest) -> Response[Any]:
    """Hand over what waits under a code."""
    who = require(request, *COUNTER_ROLES)
    node, form = house(request), await Form.read(request)
    code = form.text("code")

    def command(session: Session) -> str:
        row = shelf.reserved_under(session, code)
        by = who.hand
        shelf.collect(session, node.clock, redemption_id=row.id, code=code, collected_by=by)
        return row.item_code

    try:
        item_code = await node.database.run(command)
    except DomainError as refusal:
        form.refuse(refusal, "code")
        return _desk(request, form, status=409)
    return Redirect(f"/points/desk?collected={item_code}", status_code=303)


@post("/points/desk/awards/{award_id:uuid}/reverse")
async def take_back(request: AnyRequest, award_id: FromPath[UUID]) -> Response[Any]:
    """Take back the points of an act that did not take place."""
    who, node = require(request, *AWARDING_ROLES), house(request)
    form = await Form.read(request)
    reason = ReversalReason(form.choice("reason", [reason.value for reason in CLERK_REASONS]))
    try:
        row = await node.database.run(
            lambda session: clawback.take_back(
                session,
                node.clock,
                award_id=award_id,
                reason=reason,
                reversed_by=who.hand,
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "reason")
        return _desk(request, form, status=409)
    return Redirect(f"/points/desk?taken={row.points}", status_code=303)


@get("/points/shelf")
async def show_shelf(request: AnyRequest) -> Response[str]:
    """For the clerk: what stands on the shelf, how many, and how the numbers changed."""
    return _shelf(request, Form())


@post("/points/shelf")
async def put_item(request: AnyRequest) -> Response[Any]:
    """Put something new on the shelf, with the first delivery of it."""
    who, node = require(request, *COUNTER_ROLES), house(request)
    form = await Form.read(request)
    title = form.text("title", most=rules.ITEM_TITLE_LENGTH_MAX)
    points = form.integer("points", least=1, most=rules.DAILY_POINTS_MAX)
    count = form.integer("stock", least=1, most=rules.STOCK_MAX)
    if form.errors:
        return _shelf(request, form, status=422)
    code = f"item_{form.id.hex}"

    def command(session: Session) -> None:
        stock.put_item(session, code=code, title=title, points=points)
        stock.change_stock(
            session,
            node.clock,
            change_id=form.id,
            item_code=code,
            change=count,
            reason=StockReason.DELIVERED,
            done_by=who.hand,
        )

    await node.database.run(command)
    return Redirect("/points/shelf", status_code=303)


@post("/points/shelf/{code:str}/stock")
async def change_stock(request: AnyRequest, code: FromPath[str]) -> Response[Any]:
    """Add to the stock or take from it, and say why."""
    who, node = require(request, *COUNTER_ROLES), house(request)
    form = await Form.read(request)
    change = form.integer("change", least=-rules.STOCK_MAX, most=rules.STOCK_MAX)
    reason = StockReason(form.choice("reason", list(StockReason)))
    if form.errors:
        return _shelf(request, form, status=422)
    try:
        await node.database.run(
            lambda session: stock.change_stock(
                session,
                node.clock,
                change_id=form.id,
                item_code=code,
                change=change,
                reason=reason,
                done_by=who.hand,
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "change")
        return _shelf(request, form, status=409)
    return Redirect("/points/shelf", status_code=303)


@post("/points/shelf/{code:str}/offer")
async def offer(request: AnyRequest, code: FromPath[str]) -> Redirect:
    """Take an item off the shelf, or put it back."""
    require(request, *COUNTER_ROLES)
    form = await Form.read(request)
    is_offered = form.values.get("is_offered") == "yes"
    await house(request).database.run(
        lambda session: stock.offer(session, item_code=code, is_offered=is_offered)
    )
    return Redirect("/points/shelf", status_code=303)


def _desk(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    who, awards = require(request, *AWARDING_ROLES), []
    with house(request).database.read() as session:
        current = service.in_force(session).rules
        titles = {one.code: _(one.title) for one in shelf.catalogue(session, is_whole=True)}
        name = residents.resident(session, who.acting_for).name if who.acting_for else ""
        if who.acting_for:
            found = service.awards_of(session, who.acting_for, limit=AWARDS_SHOWN)
            awards = [row for row in found.rows if row.reversed_at is None]
    kinds = dict(evidence_names())
    reasons = reversal_names()
    return page(
        request,
        "points/desk.html",
        status=status,
        form=form,
        acting_name=name,
        activities=[(code, activity_name(code)) for code in current.activities],
        evidence=[(kind.value, kinds[kind.value]) for kind in DESK_EVIDENCE],
        may_collect=who.has(*COUNTER_ROLES),
        awards=awards,
        reasons=[(reason.value, reasons[reason]) for reason in CLERK_REASONS],
        activity_name=activity_name,
        done=_done(request, titles),
    )


def _done(request: AnyRequest, titles: dict[str, str]) -> str:
    asked = request.query_params
    if (points := asked.get("awarded", "")).isdigit():
        return _("%(points)s points were awarded.") % {"points": points}
    if (points := asked.get("taken", "")).isdigit():
        return _("%(points)s points were taken back.") % {"points": points}
    if item_code := asked.get("collected", ""):
        return _("Hand over: %(item)s") % {"item": titles.get(item_code, item_code)}
    return ""


def _shelf(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    require(request, *COUNTER_ROLES)
    with house(request).database.read() as session:
        items = shelf.catalogue(session, is_whole=True)
        changes = stock.changes(session)
    return page(
        request,
        "points/shelf.html",
        status=status,
        form=form,
        items=items,
        titles={item.code: _(item.title) for item in items},
        form_ids={item.code: new_id() for item in items},
        changes=changes,
        reasons=list(stock_names().items()),
        stock_names=stock_names(),
    )


routes = [
    show_desk,
    award,
    collect,
    take_back,
    show_shelf,
    put_item,
    change_stock,
    offer,
]
