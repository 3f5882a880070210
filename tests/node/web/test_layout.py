"""The frame: every answer is safe, in the reader's language, and says no in one voice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from litestar import Response, get, post

from node.kernel.errors import NotFound
from node.residents.rules import Role
from node.web import session
from node.web.layout import Card, Link
from node.web.session import AnyRequest
from tests.node.web.client import ClientHouse, house_at


@get("/api/refuse")
async def refuse() -> None:
    raise NotFound(what="repair", id="7")


@get("/api/break", sync_to_thread=False)
def break_down() -> None:
    raise RuntimeError("the phone number 13900000000 must not be shown")


@get("/desk")
async def desk(request: AnyRequest) -> Response[str]:
    session.require(request, Role.CLERK)
    return Response("desk", media_type="text/html")


@post("/form")
async def form() -> Response[str]:
    return Response("taken", media_type="text/html")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    def card(request: AnyRequest, session: Any, who: session.Caller) -> Card:
        return Card("My repairs", ["None are open."], [Link("/repairs", "See them")])

    with house_at(tmp_path, [refuse, break_down, desk, form], [card]) as house:
        yield house


def test_home_speaks_chinese_until_asked_otherwise(house: ClientHouse) -> None:
    assert 'lang="zh-CN"' in house.client.get("/").text
    assert 'lang="en"' in house.client.get("/?lang=en").text
    assert "Welcome to Lane House" in house.client.get("/").text  # the cookie remembers
    assert "See them" in house.client.get("/").text


def test_large_print_is_remembered(house: ClientHouse) -> None:
    house.client.get("/?big=1")
    assert 'class="big"' in house.client.get("/").text


@pytest.mark.parametrize("path", ["/", "/nothing", "/static/linli.css", "/livez", "/api/refuse"])
def test_every_answer_carries_the_safe_headers(house: ClientHouse, path: str) -> None:
    headers = house.client.get(path).headers
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_only_what_is_there_is_kept_for_good(house: ClientHouse) -> None:
    found = house.client.get("/static/linli.css?v=1")
    missing = house.client.get("/static/nothing.css?v=1")
    assert "immutable" in found.headers["cache-control"]
    assert (missing.status_code, missing.headers["cache-control"]) == (404, "no-store")


def test_a_program_gets_a_problem(house: ClientHouse) -> None:
    answer = house.client.get("/api/refuse", headers={"Cookie": "linli_language=en"})
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("application/problem+json")
    body = answer.json()
    assert body["code"] == "kernel.not_found"
    assert body["detail"] == body["error"] == "There is no repair with the id 7."


def test_what_breaks_shows_nothing(house: ClientHouse) -> None:
    answer = house.client.get("/api/break")
    assert answer.status_code == 500
    assert "13900000000" not in answer.text
    assert answer.json()["code"] == "web.internal_error"


def test_a_wrong_address_and_a_wrong_method_are_sentences(house: ClientHouse) -> None:
    assert house.client.get("/api/none").json()["code"] == "web.not_found"
    assert house.client.get("/none").status_code == 404
    assert house.client.put("/api/refuse").json()["code"] == "web.request_refused"


def test_a_role_opens_the_door(house: ClientHouse) -> None:
    house.open_browser()
    assert (
        house.client.get("/desk", follow_redirects=False).headers["location"].startswith("/sign-in")
    )
    house.open_browser(house.resident("Wang"))
    assert house.client.get("/desk").status_code == 403
    house.open_browser(house.resident("Zhao", Role.CLERK))
    assert house.client.get("/desk").text == "desk"
    assert "At the desk" in house.client.get("/").text
    assert "Free space" not in house.client.get("/").text
    house.open_browser(house.resident("Sun", Role.OPERATOR))
    assert "Free space" in house.client.get("/").text


def test_a_form_from_elsewhere_is_refused(house: ClientHouse) -> None:
    house.client.get("/")
    assert house.client.post("/form", data={"csrf": "forged"}).status_code == 403
    assert house.client.post("/form").status_code == 403


def test_health(house: ClientHouse) -> None:
    assert house.client.get("/livez").json() == {"live": True}
    assert house.client.get("/readyz").json() == {"ready": True}
