"""Signing in as a person does: a form, a cookie, a page of one's own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from node.residents import api, pages
from node.residents.rules import Role
from tests.node.web.client import PIN, ClientHouse, house_at


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*api.routes, *pages.routes]) as house:
        house.open_browser()
        yield house


def test_signing_in_and_out(house: ClientHouse) -> None:
    house.resident("Li", pin=PIN)
    fields = {"phone": house.phone(1), "pin": PIN, "next": "/profile"}
    answer = house.post_form("/sign-in", page="/sign-in", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, "/profile")
    assert "<h1>Li</h1>" in house.client.get("/profile").text
    stolen = house.client.cookies["linli_sign_in"]
    house.post_form("/sign-out", page="/profile")
    house.client.cookies.set("linli_sign_in", stolen)
    assert house.client.get("/profile", follow_redirects=False).status_code == 303


def test_a_wrong_pin_is_said_beside_the_field(house: ClientHouse) -> None:
    house.resident("Li", pin=PIN)
    fields = {"phone": house.phone(1), "pin": "975310"}
    answer = house.post_form("/sign-in", page="/sign-in", **fields)
    assert answer.status_code == 422
    assert 'id="error-pin"' in answer.text
    assert "975310" not in answer.text


@pytest.mark.parametrize("path", ["https://elsewhere.example", "//elsewhere", "/\\elsewhere", ""])
def test_signing_in_leads_nowhere_else(path: str) -> None:
    assert pages.safe_path(path) == "/"


def test_changing_the_pin(house: ClientHouse) -> None:
    me = house.resident("Li", pin=PIN)
    elsewhere = house.signed_in(me)
    house.open_browser(me)
    wrong = house.post_form("/profile/pin", page="/profile", old_pin="111222", pin="630417")
    assert wrong.status_code == 422
    weak = house.post_form("/profile/pin", page="/profile", old_pin=PIN, pin="123456")
    assert weak.status_code == 422
    done = house.post_form("/profile/pin", page="/profile", old_pin=PIN, pin="630417")
    assert done.headers["location"] == "/profile?pin=changed"
    assert "Your PIN was changed." in house.client.get("/profile?pin=changed").text
    assert house.client.get(f"/api/residents/{me}", headers=elsewhere).status_code == 401
    house.open_browser()
    fields = {"phone": house.phone(1), "pin": "630417"}
    assert house.post_form("/sign-in", page="/sign-in", **fields).status_code == 303


def test_the_desk_registers_finds_and_acts(house: ClientHouse) -> None:
    house.open_browser(house.resident("Zhao", Role.CLERK))
    fields = {"name": "Chen", "phone": "13911112222", "building": "7-2-301", "pin": ""}
    done = house.post_form("/residents/new", page="/residents/new", **fields)
    assert done.status_code == 303
    found = house.client.get("/residents?q=Chen").text
    assert "7-2-301" in found
    resident_id = found.split('name="resident_id" value="')[1].split('"')[0]
    house.post_form("/acting", page="/residents", resident_id=resident_id)
    assert "You are acting for Chen" in house.client.get("/").text
    house.post_form("/acting", page="/residents", resident_id="")
    assert "You are acting for Chen" not in house.client.get("/").text
    bad = house.post_form("/residents/new", page="/residents/new", name="", phone="x")
    assert bad.status_code == 422


def test_the_list_is_for_the_desk(house: ClientHouse) -> None:
    house.open_browser(house.resident("Li"))
    assert house.client.get("/residents").status_code == 403
    assert house.client.get("/residents/new").status_code == 403
