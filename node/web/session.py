"""Who is calling: bearer tokens for programs, a signed-in cookie for people, never mixed.

For handlers: `house(request)` is the node, `caller(request)` is who asks (possibly nobody),
`require(request, Role.CLERK, ...)` is who asks or a refusal. `/api` reads the Authorization header
alone, pages read the cookie alone, so that no foreign page can use the API with a reader's cookie.
Forms carry a token bound to the reader's own cookie; `guard_forms` refuses every other POST.
"""

import asyncio
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, cast
from uuid import UUID

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie

from node.kernel.db import Database
from node.kernel.errors import BadInput, DomainError, NotAllowed
from node.kernel.ids import new_id
from node.kernel.ports import Clock
from node.residents import proxies
from node.residents import service as residents
from node.residents.holders import holder
from node.residents.refusals import NotSignedIn, WrongPhoneOrPin
from node.residents.rules import ACTING_ROLES, Role, Scope, clean_phone

SIGN_IN_COOKIE = "linli_sign_in"
VISIT_COOKIE = "linli_visit"  # random, for everyone: what a form's token is bound to
ACTING_COOKIE = "linli_acting"  # for whom a clerk or relative acts on pages
COOKIE_SECONDS = 14 * 24 * 3600
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})

AnyRequest = Request[Any, Any, Any]
Connection = ASGIConnection[Any, Any, Any, Any]


class HouseSettings(Protocol):
    """The settings that slices read."""

    @property
    def credit_limit_minutes(self) -> int: ...
    @property
    def directory(self) -> Path: ...
    @property
    def exports(self) -> Path: ...
    @property
    def training(self) -> bool: ...
    @property
    def count_epsilon(self) -> float: ...
    @property
    def weekly_limit(self) -> int: ...
    @property
    def requests_per_person(self) -> int: ...
    @property
    def people_on_duty(self) -> int: ...


class House(Protocol):
    """What handlers get of the node."""

    @property
    def community(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def database(self) -> Database: ...
    @property
    def settings(self) -> HouseSettings: ...


class FormExpired(DomainError):
    code = "web.form_expired"
    message = "This form has expired. Please send it again."
    retryable = True


@dataclass(frozen=True)
class Caller:
    """Who asks, for whom, and through which token."""

    resident_id: UUID | None = None
    roles: frozenset[Role] = field(default_factory=frozenset)
    acting_for: UUID | None = None
    via: UUID | None = None
    scopes: frozenset[Scope] = field(default_factory=frozenset)  # what acting_for covers
    acting_name: str = ""  # shown on every page, so that nobody acts for the wrong person

    @property
    def is_known(self) -> bool:
        return self.via is not None

    @property
    def subject(self) -> UUID | None:
        """Whose act this is: the elder's when somebody acts for them, else the caller's own."""
        return self.acting_for or self.resident_id

    @property
    def hand(self) -> UUID | None:
        """Who really did it, for the record: a resident's id, or that of a program's token."""
        return self.resident_id or self.via

    @property
    def actor(self) -> str:
        """The same as text; empty for a stranger."""
        return str(self.hand or "")

    def recorder(self, resident_id: UUID | None) -> UUID | None:
        """Who wrote it down where that was not the resident: the second id on a record."""
        return None if self.resident_id == resident_id else self.hand

    def has(self, *roles: Role) -> bool:
        return not self.roles.isdisjoint(roles)

    def may_act_for(self, resident_id: UUID, scope: Scope) -> bool:
        """Is this the resident's own act, a clerk's for them, or a relative's within its scope?"""
        if self.has(*ACTING_ROLES):
            return True
        if self.acting_for == resident_id:
            return bool(self.scopes & {Scope.EVERYTHING, scope})
        return self.resident_id == resident_id


def house(request: Connection) -> House:
    """The node this request came to."""
    return cast(House, request.app.state.node)


def caller(request: Connection) -> Caller:
    """Who asks; a Caller that `is_known == False` when nobody signed in. Read once per request."""
    known = request.scope.get("linli.caller")
    if known is None:
        known = _find_caller(request)
        request.scope["linli.caller"] = known  # type: ignore[typeddict-unknown-key]  # our own key
    return cast(Caller, known)


def require(request: Connection, *roles: Role) -> Caller:
    """Who asks, if they hold one of the roles (any known caller when none is named)."""
    who = caller(request)
    if not who.is_known:
        raise NotSignedIn
    if roles and not who.has(*roles):
        raise NotAllowed(what=request.url.path)
    return who


def require_for(request: Connection, resident_id: UUID, scope: Scope, *staff: Role) -> Caller:
    """Who asks, if the act is this resident's own, is done for them, or `staff` may do it."""
    who = require(request)
    if not (who.may_act_for(resident_id, scope) or (staff and who.has(*staff))):
        raise NotAllowed(what=request.url.path)
    return who


def require_subject(request: Connection, scope: Scope) -> tuple[Caller, UUID]:
    """Who asks and whose act it is: the caller's own, or the elder's they act for (within scope).

    A program's token has no resident of its own: it names one in X-Acting-For.
    """
    who = require(request)
    if who.subject is None:
        raise BadInput(field="X-Acting-For", problem="name the resident you act for")
    if not who.may_act_for(who.subject, scope):
        raise NotAllowed(what=request.url.path)
    return who, who.subject


def csrf_token(request: Connection) -> str:
    """What a form must carry: only this reader's own pages know it."""
    visit = request.scope.get("linli.visit") or request.cookies.get(VISIT_COOKIE, "")
    return form_token(visit=str(visit), sign_in=request.cookies.get(SIGN_IN_COOKIE, ""))


def form_token(*, visit: str, sign_in: str) -> str:
    """The form token of a reader with these two cookies."""
    return hmac.new(visit.encode(), b"form" + sign_in.encode(), hashlib.sha256).hexdigest()


async def guard_forms(request: AnyRequest) -> None:
    """Refuse a form that did not come from the reader's own page (before every handler)."""
    if request.method in SAFE_METHODS or is_api(request):
        return
    form = await request.form()
    token = str(form.get("csrf", ""))
    same_site = request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")
    has_cookie = VISIT_COOKIE in request.cookies
    if not (same_site and has_cookie and hmac.compare_digest(token, csrf_token(request))):
        raise FormExpired


def is_api(request: Connection) -> bool:
    """Does a program ask (JSON, problem+json) or a person (pages)?"""
    return request.scope["path"].startswith("/api/")


def new_visit() -> str:
    """A fresh secret for VISIT_COOKIE."""
    return secrets.token_urlsafe(32)


def cookie(request: Connection, name: str, value: str, *, max_age: int = COOKIE_SECONDS) -> Cookie:
    """A cookie no script can read and no other site can send; `max_age=0` deletes it."""
    return Cookie(
        key=name,
        value=value,
        max_age=max_age,
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def _find_caller(request: Connection) -> Caller:
    if is_api(request):
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        secret = secret.strip() if scheme.lower() == "bearer" else ""
        acting = request.headers.get("x-acting-for")
    else:
        secret = request.cookies.get(SIGN_IN_COOKIE, "")
        acting = request.cookies.get(ACTING_COOKIE)
    if not secret:
        return Caller()
    node = house(request)
    access = holder(node.database, node.clock, secret)
    if access is None:
        if is_api(request):
            raise NotSignedIn
        return Caller()
    known = Caller(access.resident_id, access.roles, None, access.token_id)
    return _acting_for(node, known, acting) if acting else known


def _acting_for(node: House, known: Caller, acting: str) -> Caller:
    """The same caller, acting for an elder: staff for anybody, a relative within their scope."""
    elder_id = as_uuid(acting, field="X-Acting-For")
    with node.database.read() as session:
        elder = residents.resident(session, elder_id)
        scopes = frozenset({Scope.EVERYTHING})
        if not known.has(*ACTING_ROLES):
            if known.resident_id is None:
                raise NotAllowed(what="X-Acting-For")
            scopes = proxies.scopes_for(
                session, node.clock, helper_id=known.resident_id, elder_id=elder_id
            )
        return replace(known, acting_for=elder.id, acting_name=elder.name, scopes=scopes)


def as_uuid(text: str, *, field: str) -> UUID:
    """The UUID a caller wrote, or a refusal that names the field."""
    try:
        return UUID(text)
    except ValueError:
        raise BadInput(field=field, problem="this is not a UUID") from None


async def sign_in(request: AnyRequest, *, phone: str, pin: str) -> str:
    """The secret of a fresh sign-in; refuses a wrong PIN and a number with too many tries."""
    node, number = house(request), clean_phone(phone)

    def look() -> UUID | None:
        with node.database.read() as session:
            return residents.pin_fits(session, phone=number, pin=pin)

    resident_id = await asyncio.to_thread(look)  # slow on purpose: outside the loop and the writer
    secret = await node.database.run(
        lambda session: residents.sign_in(
            session, node.clock, token_id=new_id(), phone=number, resident_id=resident_id
        )
    )
    if secret is None:
        raise WrongPhoneOrPin
    return secret
