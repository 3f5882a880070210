"""Pages of evidence: the screen with the rotating code, typing it, and signing for a neighbour."""

from datetime import date, timedelta
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.params import FromPath
from litestar.response import Redirect
from sqlalchemy import select
from sqlalchemy.orm import Session

from node.kernel.errors import BadInput, DomainError
from node.kernel.ids import new_code
from node.points import codes, cosigning, onsite, rules, service
from node.points.api_onsite import HOST_ROLES
from node.points.model import Claim, Presence
from node.points.refusals import WrongOnsiteCode
from node.points.rules import ClaimState, EvidenceKind, Per
from node.points.service import SECRET_LENGTH
from node.points.words import activity_name
from node.residents import service as residents
from node.residents.model import Resident
from node.residents.rules import Scope, clean_phone
from node.web import qr
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import AnyRequest, caller, house, require, require_subject

HOURS_MAX = 12  # that a gathering lasts
CLAIM_ROWS = 20


@get("/points/gatherings")
async def show_gatherings(request: AnyRequest) -> Response[str]:
    """Where people are now; for staff, a form to open a gathering."""
    return _gatherings(request, Form.of({"hours": "2"}))


@post("/points/gatherings")
async def open_gathering(request: AnyRequest) -> Response[Any]:
    """Open a gathering and show its screen."""
    who, node = require(request, *HOST_ROLES), house(request)
    form = await Form.read(request)
    activity = form.text("activity", most=rules.ITEM_TITLE_LENGTH_MAX)
    place = form.text("place", most=onsite.PLACE_LENGTH_MAX)
    hours = form.integer("hours", least=1, most=HOURS_MAX)
    if form.errors:
        return _gatherings(request, form, status=422)
    try:
        await node.database.run(
            lambda session: onsite.open_gathering(
                session,
                node.clock,
                gathering_id=form.id,
                activity=activity,
                place=place,
                closes_at=node.clock.now() + timedelta(hours=hours),
                secret=new_code(SECRET_LENGTH),
                opened_by=who.hand,
            )
        )
    except DomainError as refusal:
        form.refuse(refusal, "activity")
        return _gatherings(request, form, status=409)
    return Redirect(f"/points/gatherings/{form.id}/screen", status_code=303)


@get("/points/gatherings/{gathering_id:uuid}/screen")
async def show_screen(request: AnyRequest, gathering_id: FromPath[UUID]) -> Response[str]:
    """For a screen at the place: the code as QR and digits; loads itself again, without script."""
    require(request, *HOST_ROLES)
    node = house(request)
    with node.database.read() as session:
        gathering = onsite.find(session, gathering_id)
        people = len(onsite.people_at(session, gathering_id, limit=200).rows)
    now = node.clock.now()
    code = codes.code_at(gathering.secret, now)
    address = f"{request.base_url}points/gatherings/{gathering_id}?code={code}"
    shown = page(
        request,
        "points/screen.html",
        gathering=gathering,
        is_open=now < gathering.closes_at,
        digits=f"{code[:3]} {code[3:]}",
        picture=qr.svg(address),
        people=people,
        activity=activity_name(gathering.activity),
    )
    if now < gathering.closes_at:
        # As a header, not in the page: a screen reader's check knows no refresh that is essential.
        shown.headers["Refresh"] = str(codes.seconds_left(now) + 1)
    return shown


@post("/points/gatherings/{gathering_id:uuid}/close")
async def close(request: AnyRequest, gathering_id: FromPath[UUID]) -> Redirect:
    """End a gathering before its time."""
    require(request, *HOST_ROLES)
    node = house(request)
    await node.database.run(
        lambda session: onsite.close_early(session, node.clock, gathering_id=gathering_id)
    )
    return Redirect("/points/gatherings", status_code=303)


@get("/points/gatherings/{gathering_id:uuid}")
async def show_check_in(request: AnyRequest, gathering_id: FromPath[UUID]) -> Response[str]:
    """Where the QR code leads: the digits are filled in, one button says that I am here."""
    require_subject(request, Scope.POINTS)
    typed = request.query_params.get("code", "")
    return _check_in(request, gathering_id, Form.of({"code": typed} if typed else {}))


@post("/points/gatherings/{gathering_id:uuid}")
async def check_in(request: AnyRequest, gathering_id: FromPath[UUID]) -> Response[Any]:
    """I am here; or, where hours count, I leave now."""
    who, resident_id = require_subject(request, Scope.POINTS)
    node, form = house(request), await Form.read(request)
    code = form.text("code", most=20)
    if form.errors:
        return _check_in(request, gathering_id, form, status=422)
    try:
        present = await node.database.run(
            lambda session: onsite.check_in(
                session,
                node.clock,
                gathering_id=gathering_id,
                resident_id=resident_id,
                code=code,
                recorded_by=who.recorder(resident_id),
            )
        )
        if present is None:
            raise WrongOnsiteCode
    except DomainError as refusal:
        form.refuse(refusal, "code")
        form.values.pop("code", None)
        return _check_in(request, gathering_id, form, status=409)
    return Redirect(f"/points/gatherings/{gathering_id}", status_code=303)


@get("/points/claims")
async def show_claims(request: AnyRequest) -> Response[str]:
    """What I ask others to sign, and what I am asked to sign."""
    return _claims(request, Form())


@post("/points/claims")
async def claim(request: AnyRequest) -> Response[Any]:
    """Say what I did and who was there."""
    who, resident_id = require_subject(request, Scope.POINTS)
    node, form = house(request), await Form.read(request)
    activity = form.text("activity", most=rules.ITEM_TITLE_LENGTH_MAX)
    phone = form.check("phone", lambda: clean_phone(form.text("phone")))
    day = form.check("day", lambda: _day(form.text("day")))
    minutes = None
    if form.values.get("minutes", "").strip():
        minutes = form.integer("minutes", least=1, most=rules.MINUTES_MAX)
    if form.errors or phone is None or day is None:
        return _claims(request, form, status=422)

    def command(session: Session) -> UUID:
        cosigner = session.scalar(select(Resident.id).where(Resident.phone == phone))
        if cosigner is None:
            raise BadInput(field="phone", problem="nobody here has this number")
        if cosigner == resident_id:
            raise BadInput(field="phone", problem="name another person who was there")
        return cosigning.claim(
            session,
            node.clock,
            claim_id=form.id,
            resident_id=resident_id,
            cosigner_id=cosigner,
            activity=activity,
            minutes=minutes,
            day=day,
            recorded_by=who.recorder(resident_id),
        ).id

    try:
        await node.database.run(command)
    except DomainError as refusal:
        form.refuse(refusal, "activity")
        return _claims(request, form, status=409)
    return Redirect("/points/claims", status_code=303)


@post("/points/claims/{claim_id:uuid}/{answer:str}")
async def answer_claim(
    request: AnyRequest, claim_id: FromPath[UUID], answer: FromPath[str]
) -> Response[Any]:
    """Yes, I was there and it was so; or no."""
    who, resident_id = require_subject(request, Scope.POINTS)
    node, by = house(request), who.recorder(resident_id)

    def command(session: Session) -> None:
        if answer == "sign":
            cosigning.sign(
                session, node.clock, claim_id=claim_id, cosigner_id=resident_id, signed_by=by
            )
        else:
            cosigning.refuse(
                session, node.clock, claim_id=claim_id, cosigner_id=resident_id, refused_by=by
            )

    try:
        await node.database.run(command)
    except DomainError as refusal:
        form = Form()
        form.refuse(refusal, "to-sign")
        return _claims(request, form, status=409)
    return Redirect("/points/claims", status_code=303)


def _gatherings(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    who, node = caller(request), house(request)
    with node.database.read() as session:
        running = list(onsite.open_now(session, node.clock))
        if who.subject:
            running += onsite.to_leave(session, node.clock, who.subject)
        activities = service.in_force(session).rules.activities.values()
    return page(
        request,
        "points/gatherings.html",
        status=status,
        form=form,
        gatherings=running,
        may_host=who.has(*HOST_ROLES),
        activity_name=activity_name,
        activities=[
            (rule.activity, activity_name(rule.activity))
            for rule in activities
            if EvidenceKind.ONSITE_CODE in rule.evidence
        ],
    )


def _check_in(
    request: AnyRequest, gathering_id: UUID, form: Form, *, status: int = 200
) -> Response[str]:
    _who, resident_id = require_subject(request, Scope.POINTS)
    with house(request).database.read() as session:
        gathering = onsite.find(session, gathering_id)
        present = onsite.presence(session, gathering_id, resident_id)
        rule = service.in_force(session).rules.activities.get(gathering.activity)
        award = service.find_award(session, present.award_id) if present else None
    by_the_hour = rule is not None and rule.per is Per.HOUR
    return page(
        request,
        "points/here.html",
        status=status,
        form=form,
        gathering=gathering,
        activity=activity_name(gathering.activity),
        present=present,
        points=award.points if award else 0,
        by_the_hour=by_the_hour,
        is_over=_is_over(present, by_the_hour=by_the_hour),
    )


def _is_over(present: Presence | None, *, by_the_hour: bool) -> bool:
    """Nothing more is to be typed here."""
    return present is not None and (not by_the_hour or present.left_at is not None)


def _claims(request: AnyRequest, form: Form, *, status: int = 200) -> Response[str]:
    _who, resident_id = require_subject(request, Scope.POINTS)
    node = house(request)
    today = rules.local_day(node.clock.now())
    form.values.setdefault("day", today.isoformat())
    with node.database.read() as session:
        asked = cosigning.to_sign(session, node.clock, resident_id)
        found = cosigning.claims_of(session, resident_id, limit=CLAIM_ROWS).rows
        mine = [row for row in found if row.resident_id == resident_id]
        names = {
            one: residents.resident(session, one).name
            for row in (*asked, *mine)
            for one in (row.resident_id, row.cosigner_id)
        }
        activities = service.in_force(session).rules.activities.values()
    return page(
        request,
        "points/claims.html",
        status=status,
        form=form,
        asked=asked,
        mine=mine,
        names=names,
        claim_names={row.id: _claim_name(row) for row in mine},
        activity_name=activity_name,
        activities=[
            (rule.activity, activity_name(rule.activity))
            for rule in activities
            if EvidenceKind.COSIGNATURE in rule.evidence
        ],
        earliest=(today - timedelta(days=rules.CLAIM_DAYS - 1)).isoformat(),
    )


def _claim_name(row: Claim) -> str:
    return {
        ClaimState.ASKED: _("waits for the signature"),
        ClaimState.SIGNED: _("signed"),
        ClaimState.REFUSED: _("not signed"),
        ClaimState.EXPIRED: _("not answered in time"),
    }[ClaimState(row.state)]


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput(field="day", problem="give a day like 2026-11-24") from None


routes = [
    show_gatherings,
    open_gathering,
    show_screen,
    close,
    show_check_in,
    check_in,
    show_claims,
    claim,
    answer_claim,
]
