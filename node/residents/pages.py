"""Sign in and out, my page, acting for somebody, and the desk's list of residents."""

import asyncio
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.residents import rules, service
from node.residents.model import Resident
from node.residents.rules import ACTING_ROLES, Role, Scope
from node.web.forms import Form
from node.web.language import gettext as _
from node.web.layout import page
from node.web.session import (
    ACTING_COOKIE,
    SIGN_IN_COOKIE,
    AnyRequest,
    as_uuid,
    caller,
    cookie,
    house,
    require,
    sign_in,
)

DESK = (Role.CLERK, Role.SOCIAL_WORKER, Role.OPERATOR)


@get("/sign-in")
async def show_sign_in(request: AnyRequest) -> Response[str]:
    """The form: phone and PIN."""
    return page(request, "residents/sign_in.html", form=Form({"next": _next(request)}))


@post("/sign-in")
async def do_sign_in(request: AnyRequest) -> Response[Any]:
    """Let a resident in, or say what does not fit."""
    form = await Form.read(request)
    phone, pin = form.text("phone"), form.text("pin")
    if not form.errors:
        try:
            secret = await sign_in(request, phone=phone, pin=pin)
        except DomainError as refusal:
            form.refuse(refusal, "pin")
        else:
            answer = Redirect(safe_path(form.values.get("next", "/")), status_code=303)
            answer.cookies.append(cookie(request, SIGN_IN_COOKIE, secret))
            answer.cookies.append(cookie(request, ACTING_COOKIE, "", max_age=0))
            return answer
    form.values.pop("pin", None)
    return page(request, "residents/sign_in.html", form=form, status=422)


@post("/sign-out")
async def sign_out(request: AnyRequest) -> Redirect:
    """Close this sign-in for good, not only in this browser."""
    who, node = caller(request), house(request)
    if (token_id := who.via) is not None:
        await node.database.run(
            lambda session: service.revoke_token(session, node.clock, token_id=token_id)
        )
    answer = Redirect("/", status_code=303)
    for name in (SIGN_IN_COOKIE, ACTING_COOKIE):
        answer.cookies.append(cookie(request, name, "", max_age=0))
    return answer


@get("/profile")
async def profile(request: AnyRequest) -> Response[str]:
    """What the house knows about me, and for whom I may act."""
    return _profile(request, Form(), changed="pin" in request.query_params)


@post("/profile/pin")
async def change_pin(request: AnyRequest) -> Response[Any]:
    """Give myself a new PIN; the old one is asked for first."""
    resident_id, node = _own_id(request), house(request)
    form = await Form.read(request)
    old, new = form.text("old_pin"), form.text("pin")
    form.check("pin", lambda: rules.check_pin(new))
    if not form.errors:
        with node.database.read() as session:
            phone = service.resident(session, resident_id).phone
        assert phone is not None, "who is signed in was not erased"
        try:
            await sign_in(request, phone=phone, pin=old)  # counts wrong tries like any sign-in
        except DomainError as refusal:
            form.refuse(refusal, "old_pin")
    if form.errors:
        return _profile(request, form, status=422)
    pin_hash = await asyncio.to_thread(service.hash_pin, new)
    this_sign_in = caller(request).via
    assert this_sign_in is not None, "who has a page of their own is signed in"

    def command(session: Session) -> None:
        service.set_pin(session, node.clock, resident_id=resident_id, pin_hash=pin_hash)
        service.sign_out_elsewhere(session, node.clock, resident_id=resident_id, keep=this_sign_in)

    await node.database.run(command)
    return Redirect("/profile?pin=changed", status_code=303)


@post("/acting")
async def act_for(request: AnyRequest) -> Redirect:
    """From now on act for this resident (empty: for myself again). Every request checks anew."""
    who, node = require(request), house(request)
    form = await Form.read(request)
    chosen = form.values.get("resident_id", "").strip()
    answer = Redirect("/", status_code=303)
    if not chosen:
        answer.cookies.append(cookie(request, ACTING_COOKIE, "", max_age=0))
        return answer
    elder_id = as_uuid(chosen, field="resident_id")
    with node.database.read() as session:
        service.resident(session, elder_id)
        if not who.has(*ACTING_ROLES):
            helper_id = _own_id(request)
            service.scopes_for(session, node.clock, helper_id=helper_id, elder_id=elder_id)
    answer.cookies.append(cookie(request, ACTING_COOKIE, str(elder_id)))
    return answer


@get("/residents")
async def list_residents(request: AnyRequest) -> Response[str]:
    """The desk's search: name or phone."""
    who, text = require(request, *DESK), request.query_params.get("q", "")
    with house(request).database.read() as session:
        found = [(one, service.roles_of(session, one.id)) for one in service.search(session, text)]
    shown: dict[str, Any] = {"found": found, "text": text, "may_act": who.has(*ACTING_ROLES)}
    return page(request, "residents/list.html", role_names=role_names(), **shown)


@get("/residents/new")
async def show_join(request: AnyRequest) -> Response[str]:
    """The desk's form for a new resident."""
    require(request, Role.CLERK, Role.OPERATOR)
    return page(request, "residents/join.html", form=Form())


@post("/residents/new")
async def do_join(request: AnyRequest) -> Response[Any]:
    """Welcome a new resident at the desk."""
    require(request, Role.CLERK, Role.OPERATOR)
    node, form = house(request), await Form.read(request)
    name, phone = form.text("name", most=rules.NAME_LENGTH_MAX), form.text("phone")
    pin, building = (
        form.text("pin", least=0),
        form.text("building", least=0, most=rules.BUILDING_LENGTH_MAX),
    )
    form.check("phone", lambda: rules.clean_phone(phone) if phone else None)
    if pin:
        form.check("pin", lambda: rules.check_pin(pin))
    if not form.errors:
        pin_hash = await asyncio.to_thread(service.hash_pin, pin) if pin else None
        try:
            await node.database.run(
                lambda session: service.join(
                    session,
                    node.clock,
                    resident_id=form.id,
                    name=name,
                    phone=phone,
                    pin_hash=pin_hash,
                    building=building,
                    credit_limit_minutes=node.settings.credit_limit_minutes,
                )
            )
        except DomainError as refusal:
            form.refuse(refusal, "phone")
    if form.errors:
        return page(request, "residents/join.html", form=form, status=422)
    return Redirect(f"/residents?q={rules.clean_phone(phone).lstrip('+')}", status_code=303)


def role_names() -> dict[Role, str]:
    """Each role in the reader's language."""
    return {
        Role.RESIDENT: _("resident"),
        Role.CLERK: _("clerk"),
        Role.PROPERTY: _("property"),
        Role.SOCIAL_WORKER: _("social worker"),
        Role.SECRETARY: _("secretary"),
        Role.OPERATOR: _("operator"),
    }


def scope_names() -> dict[Scope, str]:
    """What a proxy covers, in the reader's language."""
    return {
        Scope.EVERYTHING: _("everything but voting"),
        Scope.REPAIRS: _("repairs"),
        Scope.TIMEBANK: _("time bank"),
        Scope.POINTS: _("points"),
    }


def safe_path(path: str) -> str:
    """A path on this site, never an address elsewhere."""
    is_here = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_here and path.isprintable() else "/"


def _next(request: AnyRequest) -> str:
    return safe_path(request.query_params.get("next", "/"))


def _own_id(request: AnyRequest) -> UUID:
    who = require(request, Role.RESIDENT)
    assert who.resident_id is not None, "a cookie is always a resident's"
    return who.resident_id


def _profile(
    request: AnyRequest, form: Form, *, status: int = 200, changed: bool = False
) -> Response[str]:
    resident_id, node = _own_id(request), house(request)
    with node.database.read() as session:
        me: Resident = service.resident(session, resident_id)
        roles = service.roles_of(session, resident_id)
        elders = service.elders_of(session, node.clock, helper_id=resident_id)
    names = [name for role, name in role_names().items() if role in roles]
    shown = {"me": me, "roles": names, "elders": elders, "form": form, "changed": changed}
    return page(request, "residents/profile.html", status=status, **shown)


routes = [
    show_sign_in,
    do_sign_in,
    sign_out,
    profile,
    change_pin,
    act_for,
    list_residents,
    show_join,
    do_join,
]
