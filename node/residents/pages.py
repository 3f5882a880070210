"""Sign in and out, my own page, and acting for somebody."""

import asyncio
from typing import Any
from uuid import UUID

from litestar import Response, get, post
from litestar.response import Redirect
from sqlalchemy.orm import Session

from node.kernel.errors import DomainError
from node.residents import (
    pages_desk,
    pages_import,
    pages_privacy,
    pages_proxies,
    pages_start,
    proxies,
    rules,
    service,
)
from node.residents.model import Resident
from node.residents.rules import ACTING_ROLES, Role
from node.residents.words import role_names
from node.web.forms import Form
from node.web.layout import page
from node.web.session import (
    ACTING_COOKIE,
    SIGN_IN_COOKIE,
    VISIT_COOKIE,
    AnyRequest,
    as_uuid,
    caller,
    cookie,
    house,
    new_visit,
    require,
    sign_in,
)


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
            await _close_sign_in(request)
            answer = Redirect(safe_path(form.values.get("next", "/")), status_code=303)
            answer.cookies.append(cookie(request, SIGN_IN_COOKIE, secret))
            answer.cookies.append(cookie(request, VISIT_COOKIE, new_visit()))
            answer.cookies.append(cookie(request, ACTING_COOKIE, "", max_age=0))
            return answer
    form.values.pop("pin", None)
    return page(request, "residents/sign_in.html", form=form, status=422)


@post("/sign-out")
async def sign_out(request: AnyRequest) -> Redirect:
    """Close this sign-in for good, not only in this browser."""
    await _close_sign_in(request)
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
            proxies.scopes_for(session, node.clock, helper_id=helper_id, elder_id=elder_id)
    answer.cookies.append(cookie(request, ACTING_COOKIE, str(elder_id)))
    return answer


def safe_path(path: str) -> str:
    """A path on this site, never an address elsewhere."""
    is_here = path.startswith("/") and not path.startswith(("//", "/\\"))
    return path if is_here and path.isprintable() else "/"


def _next(request: AnyRequest) -> str:
    return safe_path(request.query_params.get("next", "/"))


async def _close_sign_in(request: AnyRequest) -> None:
    """End what this browser held until now, so that nobody who knew it can go on."""
    who, node = caller(request), house(request)
    if (token_id := who.via) is not None:
        await node.database.run(
            lambda session: service.revoke_token(session, node.clock, token_id=token_id)
        )


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
        elders = proxies.elders_of(session, node.clock, helper_id=resident_id)
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
    *pages_desk.routes,
    *pages_import.routes,
    *pages_proxies.routes,
    *pages_privacy.routes,
    *pages_start.routes,
]
