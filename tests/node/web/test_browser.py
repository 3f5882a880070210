"""What a browser makes of the pages: nothing sticks out, nothing is blocked, targets are large.

Method: the site of our slices on a loopback port, Debian's Chromium, a telephone's 360 pixels.
"""

import json
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from node.forecast import api as forecast_api
from node.forecast import pages as forecast_pages
from node.forecast import service as forecast
from node.kernel.ids import new_id
from node.repairs import api as repairs_api
from node.repairs import pages as repairs_pages
from node.residents import pages as residents_pages
from node.residents.rules import Role
from node.web.session import SIGN_IN_COOKIE
from tests.node.forecast.answer import answer
from tests.node.web.client import ClientHouse, house_at

pytestmark = pytest.mark.browser
PATHS = ("/", "/repairs", "/repairs/new", "/repairs/1", "/forecast", "/profile", "/residents")
ROUTES = (
    *forecast_api.routes,
    *forecast_pages.routes,
    *repairs_api.routes,
    *repairs_pages.routes,
    *residents_pages.routes,
)
SMALL_TARGETS = """() => [...document.querySelectorAll(
    'nav a, .tools a, button, .button, input, select')]
  .filter(one => one.offsetParent && one.getBoundingClientRect().height < %d)
  .map(one => one.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("Chromium is not installed here")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=program, args=[*arguments, "--no-first-run", "--no-proxy-server"]
        )
        yield browser
        browser.close()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    cards = [repairs_pages.card, forecast_pages.card]
    with house_at(tmp_path, ROUTES, cards) as house:
        house.database.do(
            lambda session: forecast.record_evaluation(
                session, house.clock, evaluation_id=new_id(), result=answer()
            )
        )
        yield house


@contextmanager
def served(house: ClientHouse) -> Iterator[str]:
    """The house on a loopback port of its own."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(house.client.app, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def everybody(house: ClientHouse) -> str:
    """The sign-in of somebody with every role, who has reported something with a long word."""
    me = house.resident("Zhao", *Role)
    house.open_browser(me)
    words = {"title": "L" * 120, "description": "dark", "location": "7-2", "category": "lift"}
    house.post_form("/repairs/new", page="/repairs/new", **words)
    return str(house.client.cookies[SIGN_IN_COOKIE])


@pytest.mark.parametrize(("spoken", "big", "target"), [("zh", "1", 48), ("en", "0", 24)])
def test_a_telephone_shows_every_page(
    house: ClientHouse, chromium: Any, spoken: str, big: str, target: int
) -> None:
    cookies = {"linli_language": spoken, "linli_big": big, SIGN_IN_COOKIE: everybody(house)}
    with served(house) as site:
        context = chromium.new_context(viewport={"width": 360, "height": 740})
        context.add_cookies([{"name": k, "value": v, "url": site} for k, v in cookies.items()])
        page, complaints = context.new_page(), []
        page.on("console", lambda said: complaints.append(said.text))
        for path in PATHS:
            assert page.goto(site + path).status == 200, path
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 360, f"{path} is {wide} pixels wide"
            small = page.evaluate(SMALL_TARGETS % target)
            assert not small, f"{path}: {json.dumps(small)}"
        assert not complaints
        context.close()


def test_the_keyboard_reaches_the_content_first(house: ClientHouse, chromium: Any) -> None:
    with served(house) as site:
        page = chromium.new_page()
        page.goto(site + "/?lang=en")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.close()


def test_a_form_works_without_script(house: ClientHouse, chromium: Any) -> None:
    sign_in = everybody(house)
    with served(house) as site:
        context = chromium.new_context(java_script_enabled=False)
        context.add_cookies([{"name": SIGN_IN_COOKIE, "value": sign_in, "url": site}])
        page = context.new_page()
        page.goto(site + "/repairs/new?lang=en")
        page.fill("[name=title]", "Lamp")
        page.click("main button[type=submit]")
        assert page.locator(".errors").inner_text().startswith("Please check your entries")
        page.fill("[name=location]", "7-2")
        page.fill("[name=description]", "dark")
        page.click("main button[type=submit]")
        assert page.locator("h1").inner_text() == "Lamp"
        context.close()
