"""What district officers look at: communities, trainings, rounds, batches, health. Reads only."""

from functools import cache
from pathlib import Path
from typing import Any

from babel.messages.pofile import read_po
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Litestar, MediaType, Request, Response, get
from litestar.datastructures import ResponseHeader
from litestar.params import FromQuery

from coordinator import directory
from coordinator.overview import overview
from node.kernel.db import Database
from node.kernel.ports import Clock

HERE = Path(__file__).parent
LANGUAGES = ("zh", "en")
LANGUAGE_COOKIE = "linli_language"
LANGUAGE_COOKIE_SECONDS = 365 * 24 * 3600
POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'none'; base-uri 'none'"
HEADERS = (
    ResponseHeader(name="Content-Security-Policy", value=POLICY),
    ResponseHeader(name="X-Content-Type-Options", value="nosniff"),
    ResponseHeader(name="Referrer-Policy", value="no-referrer"),
    ResponseHeader(name="Cache-Control", value="no-store"),
)


class Dashboard:
    """The pages over one office's database."""

    def __init__(self, database: Database, clock: Clock, *, district: str) -> None:
        self._database = database
        self._clock = clock
        self._district = district

    def facts(self) -> dict[str, Any]:
        """The district as it is now."""
        with self._database.read() as session:
            return overview(session, district=self._district, now=self._clock.now())

    def is_ready(self) -> bool:
        """Whether the database answers and the office knows its own address."""
        with self._database.read() as session:
            return bool(directory.fact(session, directory.MEMBER_ADDRESS))

    def page(self, language: str) -> str:
        return (
            _templates()
            .get_template("dashboard.html")
            .render(**self.facts(), _=translator(language), language=language)
        )


def web_app(dashboard: Dashboard) -> Litestar:
    """The office's HTTP port."""

    @get("/", media_type=MediaType.HTML, sync_to_thread=True)
    def show(request: Request[Any, Any, Any], lang: FromQuery[str | None] = None) -> Response[str]:
        language = _language(lang, request.cookies.get(LANGUAGE_COOKIE))
        response = Response(dashboard.page(language), media_type=MediaType.HTML)
        if lang is not None:
            response.set_cookie(
                LANGUAGE_COOKIE,
                language,
                max_age=LANGUAGE_COOKIE_SECONDS,
                samesite="lax",
                httponly=True,
            )
        return response

    @get("/office.css", media_type="text/css", sync_to_thread=False)
    def style() -> bytes:
        return _style()

    @get("/api/status", sync_to_thread=True)
    def status() -> dict[str, Any]:
        return dashboard.facts()

    @get("/livez", media_type=MediaType.TEXT, sync_to_thread=False)
    def is_alive() -> str:
        return "ok"

    @get("/readyz", media_type=MediaType.TEXT, sync_to_thread=True)
    def is_ready() -> Response[str]:
        ready = dashboard.is_ready()
        return Response("ok" if ready else "not ready", status_code=200 if ready else 503)

    return Litestar(
        route_handlers=[show, style, status, is_alive, is_ready],
        response_headers=HEADERS,
        openapi_config=None,
        logging_config=None,
    )


def translator(language: str) -> Any:
    """From an English sentence to the reader's language."""
    catalogue = _chinese() if language == "zh" else {}
    return lambda text: catalogue.get(text, text)


def _language(asked: str | None, remembered: str | None) -> str:
    for wish in (asked, remembered):
        if wish in LANGUAGES:
            return str(wish)
    return LANGUAGES[0]


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined
    )
    environment.filters["moment"] = lambda text: (text or "")[:16].replace("T", " ")
    environment.filters["hours"] = lambda minutes: f"{minutes / 60:+.1f}" if minutes else "0"
    return environment


@cache
def _chinese() -> dict[str, str]:
    with (HERE / "locale" / "zh.po").open("rb") as file:
        return {
            str(message.id): str(message.string)
            for message in read_po(file, locale="zh")
            if message.id and message.string
        }


@cache
def _style() -> bytes:
    return (HERE / "static" / "office.css").read_bytes()
