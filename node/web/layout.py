"""The application around all slices: templates, navigation, home page, headers, health.

For the composition root: `app(node, routes, cards)` is the whole site. For slices:
`page(request, "slice/name.html", …)` renders one of `node/<slice>/templates/`; every template
extends "page.html" and finds `_`, `caller`, `house`, `csrf()`, `now`, the filters `day` and
`minute`, and the macros of forms.html there. Handlers mark their arguments as Litestar's
`JSONBody`, `FromPath` and `FromQuery`; bodies are msgspec Structs.
A slice shows itself on the home page by a `HomeCard`: `(request, session, caller) -> Card | None`.
"""

import hashlib
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar, MediaType, Response, get
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException
from litestar.openapi.config import OpenAPIConfig
from litestar.static_files import create_static_files_router
from litestar.types import (
    ASGIApp,
    ControllerRouterHandler,
    HTTPScope,
    Message,
    Receive,
    Scope,
    Send,
)
from markupsafe import Markup
from sqlalchemy import text
from sqlalchemy.orm import Session

from node.acts.witness import witnessing
from node.kernel.errors import DomainError
from node.residents.rules import Role
from node.web import etag, language, limits, openapi, refusals
from node.web.answers import Answer
from node.web.language import gettext as _
from node.web.session import (
    COOKIE_SECONDS,
    SAFE_METHODS,
    VISIT_COOKIE,
    AnyRequest,
    Caller,
    Connection,
    House,
    caller,
    cookie,
    csrf_token,
    guard_forms,
    house,
    new_visit,
)

STAFF = (Role.CLERK, Role.PROPERTY, Role.SOCIAL_WORKER, Role.SECRETARY, Role.OPERATOR)
LANGUAGE_COOKIE, BIG_COOKIE = "linli_language", "linli_big"
BODY_BYTES_MAX = 1_000_000
KEPT = "public, max-age=31536000, immutable"
FOUND = (200, 206, 304)  # answers with a file, part of it, or word that the reader has it
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; worker-src 'self'; manifest-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_SAFE = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]
_SAFE_NAMES = frozenset(name for name, _value in _SAFE)
_KEPT = (b"cache-control", KEPT.encode())
_NOT_KEPT = (b"cache-control", b"no-store")
_NO_PAGES = ("/api", "/static", "/livez", "/readyz")
_NODE = Path(__file__).parent.parent
_STATIC = _NODE / "web" / "static"
MAIN_WAYS = ("/", "/repairs", "/points", "/timebank", "/council")


class Link(NamedTuple):
    """Where to go, and its name in the reader's language."""

    href: str
    name: str


class Card(NamedTuple):
    """One box of the home page: what the reader has here, and where to go on."""

    title: str
    lines: Sequence[str] = ()
    links: Sequence[Link] = ()


HomeCard = Callable[[AnyRequest, Session, Caller], Card | None]


def navigation(who: Caller) -> list[Link]:
    """The way to every slice that this reader can use."""
    links = [
        Link("/", _("Home")),
        Link("/repairs", _("Repairs")),
        Link("/points", _("Points")),
        Link("/timebank", _("Time bank")),
        Link("/council", _("Council")),
        Link("/forecast", _("Forecast")),
        Link("/left", _("What left the house")),
    ]
    if who.resident_id is not None:
        links += [
            Link("/inbox", _("Messages")),
            Link("/proxies", _("Who may act for me")),
            Link("/privacy", _("My data")),
        ]
    if who.has(Role.CLERK, Role.OPERATOR):
        links.append(Link("/residents", _("Residents")))
    return links


def _environment() -> Environment:
    folders = [_NODE / "web" / "templates", *sorted(_NODE.glob("*/templates"))]
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.install_gettext_callables(  # type: ignore[attr-defined]  # the extension adds it
        language.gettext, language.ngettext, newstyle=True
    )
    environment.globals["asset"] = cache(asset)
    environment.filters |= {"day": language.day, "minute": language.minute}
    return environment


def asset(name: str) -> str:
    """The address of a file in static/, with its content's hash: browsers keep it for good."""
    content = (_STATIC / name).read_bytes()
    return f"/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"


_templates = _environment()


def page(request: Connection, template: str, *, status: int = 200, **context: Any) -> Response[str]:
    """An HTML page from a template, with all that every page needs.

    `status` is the answer's HTTP status (422: the form needs another look), not for the template.
    """
    who = _caller_or_nobody(request)
    spoken, here, ways = language.language.get(), _here(request), navigation(who)
    is_big = bool(request.scope.get("linli.big", False))
    main_ways = MAIN_WAYS[:1] if is_big else MAIN_WAYS  # 长辈版: one thing at a time

    def here_with(**changes: object) -> str:
        query = dict(parse_qsl(request.scope["query_string"].decode("latin-1")))
        return f"{here}?{urlencode({**query, **changes})}"

    shared = {
        "request_path": here,
        "house": house(request),
        "caller": who,
        "is_staff": who.has(*STAFF),
        "navigation": [link for link in ways if link.href in main_ways],
        "more_ways": [link for link in ways if link.href not in main_ways],
        "language": spoken,
        "html_lang": language.HTML_LANG[spoken],
        "is_big": is_big,
        "here_with": here_with,
        "csrf": lambda: Markup('<input type="hidden" name="csrf" value="{}">').format(
            csrf_token(request)
        ),
        "now": house(request).clock.now(),
    }
    body = _templates.get_template(template).render(shared | context)
    return Response(body, status_code=status, media_type=MediaType.HTML)


def picture(template: str, **context: Any) -> Response[str]:
    """An SVG picture from a template, for an <img> or a page of its own."""
    body = _templates.get_template(template).render(context)
    return Response(body, media_type="image/svg+xml")


def _here(request: Connection) -> str:
    """The page's own address; for the answer to a form, the page on which the form stood."""
    if request.scope.get("method") in SAFE_METHODS:
        return request.url.path
    path = urlsplit(request.headers.get("referer", "")).path
    return path if path.startswith("/") and not path.startswith("//") else "/"


def _caller_or_nobody(request: Connection) -> Caller:
    try:
        return caller(request)
    except DomainError:
        return Caller()


def app(
    node: House,
    routes: Sequence[ControllerRouterHandler],
    cards: Sequence[HomeCard] = (),
) -> Litestar:
    """The whole site over `node`: `routes` of the slices, and their `cards` for the home page."""
    from node.web import home, installing  # they render pages: one of two must wait

    shared = [home.home, livez, readyz, openapi.schema, _static(), *installing.routes]
    site = Litestar(
        route_handlers=[*shared, *routes],
        before_request=_admit,
        exception_handlers={
            DomainError: refusals.answer_refusal,
            HTTPException: refusals.answer_http,
            Exception: refusals.answer_failure,
        },
        openapi_config=OpenAPIConfig(
            title="Linli", version="1", path="/api/schema", render_plugins=[openapi.Described()]
        ),
        request_max_body_size=BODY_BYTES_MAX,
        response_class=Answer,
        logging_config=None,
        debug=False,
    )
    site.state.node = node
    site.state.cards = tuple(cards)
    site.state.limiter = limits.Limiter()
    site.asgi_handler = _framed(etag.tagged(witnessing(site.asgi_handler, node.clock)))
    return site


async def _admit(request: AnyRequest) -> None:
    """Before every handler: not too often, and only from the reader's own pages."""
    limits.admit(request.app.state.limiter, request)
    await guard_forms(request)


@get("/livez", include_in_schema=False)
async def livez() -> dict[str, bool]:
    """Is the process alive? Touches nothing."""
    return {"live": True}


@get("/readyz", include_in_schema=False)
async def readyz(request: AnyRequest) -> dict[str, bool]:
    """Can the node serve? Reads the database."""
    with house(request).database.read() as session:
        session.execute(text("SELECT 1"))
    return {"ready": True}


def _static() -> Any:
    return create_static_files_router(path="/static", directories=[_STATIC])


def _framed(inner: ASGIApp) -> ASGIApp:
    """Around every answer, refusals and files too: language, reader's cookies, safe headers."""

    async def frame(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await inner(scope, receive, send)
            return
        path = scope["path"]
        lines = _choose(scope, is_page=not path.startswith(_NO_PAGES))
        cookies = [(b"set-cookie", line.encode("latin-1")) for line in lines]
        is_named = path.startswith("/static") and scope["query_string"].startswith(b"v=")

        async def send_framed(message: Message) -> None:
            if message["type"] == "http.response.start":
                names = [name.lower() for name, _ in message["headers"]]
                others = [
                    one
                    for one, name in zip(message["headers"], names, strict=True)
                    if name not in _SAFE_NAMES
                ]
                is_kept = is_named and message["status"] in FOUND  # its content never changes
                said = () if b"cache-control" in names else (_KEPT if is_kept else _NOT_KEPT,)
                message["headers"] = [*others, *said, *_SAFE, *cookies]
            await send(message)

        await inner(scope, receive, send_framed)

    return frame


def _choose(scope: HTTPScope, *, is_page: bool) -> list[str]:
    """Settle language, size and visit for this request; returns the Set-Cookie lines it causes."""
    asked, names = scope["query_string"], [name for name, _ in scope["headers"]]
    if not (is_page or b"cookie" in names or b"lang=" in asked or b"big=" in asked):  # a program
        language.language.set("zh")
        return []
    reader: Connection = ASGIConnection(scope)
    query, lines = reader.query_params, []
    spoken = query.get("lang") or reader.cookies.get(LANGUAGE_COOKIE, "zh")
    language.language.set(spoken if spoken in language.LANGUAGES else "zh")
    if query.get("lang") in language.LANGUAGES:
        lines.append(cookie(reader, LANGUAGE_COOKIE, query["lang"], max_age=COOKIE_SECONDS))
    big = query.get("big") or reader.cookies.get(BIG_COOKIE, "0")
    scope["linli.big"] = big == "1"  # type: ignore[typeddict-unknown-key]  # our own key
    if query.get("big") in ("0", "1"):
        lines.append(cookie(reader, BIG_COOKIE, query["big"], max_age=COOKIE_SECONDS))
    if is_page and VISIT_COOKIE not in reader.cookies:
        visit = new_visit()
        scope["linli.visit"] = visit  # type: ignore[typeddict-unknown-key]  # our own key
        lines.append(cookie(reader, VISIT_COOKIE, visit))
    return [line.to_header(header="") for line in lines]
