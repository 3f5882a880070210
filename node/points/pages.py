"""My points, the rules in plain words, the shelf, the public journal, and the desk's two forms."""

from datetime import datetime
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.kernel.ids import derived_id, new_code, new_id
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.points import rules, service, shelf
from node.points.api import AWARDING_ROLES, COUNTER_ROLES, recorder
from node.points.model import PointsAward
from node.points.rules import EvidenceKind, Per, RedemptionState
from node.points.service import Evidence
from node.residents import service as residents
from node.residents.rules import Scope
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import Card, Link, page
from node.web.session import AnyRequest, Caller, caller, house, require, require_subject

SHEET_LENGTH_MAX = 40  # of the number on a list, slip or sign


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
                reserved_by=recorder(who, resident_id),
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
            released_by=recorder(who, resident_id),
        )

    await node.database.run(command)
    return Redirect("/points?released=1", status_code=303)


@get("/points/journal")
async def journal(request: AnyRequest) -> Response[str]:
    """Everybody's awards under pseudonyms; who signed in sees which one is theirs."""
    who, node = caller(request), house(request)
    with node.database.read() as session:
        lines = [
            (_pseudonym(row.resident_id, row.awarded_at), row) for row in service.journal(session)
        ]
    mine = _pseudonym(who.subject, node.clock.now()) if who.subject else None
    return page(request, "points/journal.html", lines=lines, mine=mine, activity_name=activity_name)


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
                awarded_by=who.resident_id or who.via,
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
        by = who.resident_id or who.via
        shelf.collect(session, node.clock, redemption_id=row.id, code=code, collected_by=by)
        return row.item_code

    try:
        item_code = await node.database.run(command)
    except DomainError as refusal:
        form.refuse(refusal, "code")
        return _desk(request, form, status=409)
    return Redirect(f"/points/desk?collected={item_code}", status_code=303)


def card(request: AnyRequest, session: Session, who: Caller) -> Card | None:
    """My points on the home page; for everybody else, what earns some."""
    resident_id = _reader(who)
    links = [Link("/points", _("Points and shelf"))]
    if resident_id is None:
        return Card(_("Points"), [_("Help where you live, and be thanked for it.")], links)
    balance = ledger.balance(session, ledger.resident_account(resident_id, Unit.POINTS))
    return Card(_("Points"), [_("You have %(points)s points.") % {"points": balance}], links)


DESK_EVIDENCE = (EvidenceKind.ATTENDANCE, EvidenceKind.COSIGNATURE, EvidenceKind.ONSITE_CODE)


def activity_name(code: str) -> str:
    """An act in the reader's language; its code where a motion has brought a new one."""
    return {
        "waste_sorting": _("Guiding waste sorting"),
        "council_session": _("Taking part in the council"),
        "volunteering": _("Volunteering, such as helping elders"),
        "suggestion_adopted": _("A suggestion that was adopted"),
        "repair_feedback": _("Telling how a repair went"),
    }.get(code, code)


def _evidence_names() -> list[tuple[str, str]]:
    names = {
        EvidenceKind.ATTENDANCE: _("Signed list of the meeting"),
        EvidenceKind.COSIGNATURE: _("A second person signed"),
        EvidenceKind.ONSITE_CODE: _("Code shown at the place"),
    }
    return [(kind.value, names[kind]) for kind in DESK_EVIDENCE]


def _per_names() -> dict[Per, str]:
    return {
        Per.TIME: _("each time"),
        Per.HOUR: _("an hour"),
        Per.SUGGESTION: _("each suggestion"),
    }


def _state_names() -> dict[str, str]:
    return {
        RedemptionState.RESERVED: _("waits for you"),
        RedemptionState.COLLECTED: _("collected"),
        RedemptionState.RELEASED: _("given back"),
    }


def _reader(who: Caller) -> UUID | None:
    """Whose points this reader may see here."""
    subject = who.subject
    return subject if subject is not None and who.may_act_for(subject, Scope.POINTS) else None


def _pseudonym(resident_id: UUID, moment: datetime) -> str:
    return rules.pseudonym(resident_id, year=rules.local_day(moment).year)


def _show(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    resident_id = _reader(caller(request))
    balance = available = 0
    awards: list[PointsAward] = []
    redemptions: list[Any] = []
    with house(request).database.read() as session:
        current = service.in_force(session)
        items = shelf.catalogue(session)
        titles = {item.code: _(item.title) for item in items}
        if resident_id is not None:
            account_id = ledger.resident_account(resident_id, Unit.POINTS)
            balance, available = (
                ledger.balance(session, account_id),
                ledger.available(session, account_id),
            )
            awards = list(service.awards_of(session, resident_id, limit=10))
            redemptions = list(shelf.redemptions_of(session, resident_id, limit=10))
    return page(
        request,
        "points/show.html",
        status=status,
        form=form,
        is_mine=resident_id is not None,
        balance=balance,
        available=available,
        version=current.version,
        lines=current.rules.activities.values(),
        daily_points_max=current.rules.daily_points_max,
        shelf=items,
        form_ids={item.code: new_id() for item in items},
        titles=titles,
        awards=awards,
        redemptions=redemptions,
        activity_name=activity_name,
        per_names=_per_names(),
        state_names=_state_names(),
        done=_done(request),
        may_desk=caller(request).has(*AWARDING_ROLES),
    )


def _done(request: AnyRequest) -> str:
    if "reserved" in request.query_params:
        return _("It is put aside for you. Show the code at the desk.")
    if "released" in request.query_params:
        return _("It is back on the shelf, and your points are free again.")
    return ""


def _desk(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    who = require(request, *AWARDING_ROLES)
    with house(request).database.read() as session:
        current = service.in_force(session).rules
        titles = {item.code: _(item.title) for item in shelf.catalogue(session)}
        name = residents.resident(session, who.acting_for).name if who.acting_for else ""
    done = ""
    if (points := request.query_params.get("awarded", "")).isdigit():
        done = _("%(points)s points were awarded.") % {"points": points}
    elif item_code := request.query_params.get("collected", ""):
        done = _("Hand over: %(item)s") % {"item": titles.get(item_code, item_code)}
    return page(
        request,
        "points/desk.html",
        status=status,
        form=form,
        acting_name=name,
        activities=[(code, activity_name(code)) for code in current.activities],
        evidence=_evidence_names(),
        may_collect=who.has(*COUNTER_ROLES),
        done=done,
    )


routes = [show, reserve, release, journal, show_desk, award, collect]
