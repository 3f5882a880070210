"""A repair as people do it: forms, my requests, the board."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from node.repairs import api, pages
from node.residents import pages as residents_pages
from node.residents.rules import Role
from tests.node.web.client import ClientHouse, house_at

LAMP = {"title": "Lamp", "description": "Dark", "location": "7-2", "category": "lift"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    routes = [*api.routes, *pages.routes, *residents_pages.routes]
    with house_at(tmp_path, routes, [pages.card]) as house:
        yield house


@pytest.fixture
def me(house: ClientHouse) -> UUID:
    me = house.resident("Li")
    house.open_browser(me)
    return me


def test_report_work_rate_reopen(house: ClientHouse, me: UUID) -> None:
    sent = house.post_form("/repairs/new", page="/repairs/new", **LAMP)
    assert sent.headers["location"] == "/repairs/1"
    assert "Lamp" in house.client.get("/repairs").text
    assert "Lamp: reported" in house.client.get("/").text
    house.open_browser(house.resident("Zhao", Role.PROPERTY))
    assert "Dispatch" in house.client.get("/repairs").text
    for status in ("dispatched", "processing", "completed"):
        done = house.post_form(
            "/repairs/1/step", page="/repairs/1", status=status, assignee="Crew 1", notes="ok"
        )
        assert done.status_code == 303
    house.open_browser(me)
    page = house.client.get("/repairs/1").text
    assert "How was it?" in page
    assert "Crew 1" in page
    rated = house.post_form("/repairs/1/rate", page="/repairs/1", rating=5, comment="")
    assert rated.status_code == 303
    reopened = house.post_form("/repairs/1/reopen", page="/repairs/1", reason="Dark again")
    assert reopened.status_code == 303
    assert "reported" in house.client.get("/repairs/1").text


def test_an_empty_report_names_its_fields(house: ClientHouse, me: UUID) -> None:
    answer = house.post_form("/repairs/new", page="/repairs/new", title="Lamp", category="lift")
    assert answer.status_code == 422
    assert 'href="#field-location"' in answer.text
    assert 'value="Lamp"' in answer.text


def test_sending_a_form_twice_reports_once(house: ClientHouse, me: UUID) -> None:
    fields = LAMP | {"form_id": "0198f1c2-0000-7000-8000-000000000001"}
    answers = [house.post_form("/repairs/new", page="/repairs/new", **fields) for _ in range(2)]
    assert [one.headers["location"] for one in answers] == ["/repairs/1"] * 2


def test_a_jump_and_a_stranger_are_refused(house: ClientHouse, me: UUID) -> None:
    house.post_form("/repairs/new", page="/repairs/new", **LAMP)
    forbidden = house.post_form("/repairs/1/step", page="/repairs/1", status="dispatched")
    assert forbidden.status_code == 403
    house.open_browser(house.resident("Zhao", Role.CLERK))
    jump = house.post_form("/repairs/1/step", page="/repairs/1", status="completed")
    assert jump.status_code == 422
    assert "needs processing" in jump.text
    house.open_browser(house.resident("Wu"))
    assert house.client.get("/repairs/1").status_code == 403
    assert house.client.get("/repairs/9").status_code == 404


def test_text_is_never_markup(house: ClientHouse, me: UUID) -> None:
    title = "<script>alert(1)</script>"
    house.post_form("/repairs/new", page="/repairs/new", **LAMP | {"title": title})
    assert title not in house.client.get("/repairs").text + house.client.get("/repairs/1").text
