"""The desk's own acts: the way back in, corrections, roles, and who may do which of them."""

import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from node.residents import api, pages, service
from node.residents.model import Resident
from node.residents.rules import Role
from tests.node.web.client import PIN, ClientHouse, house_at

NEW_PIN = "630417"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*api.routes, *pages.routes]) as house:
        yield house


def tried(house: ClientHouse, pin: str) -> int:
    body = {"phone": house.phone(1), "pin": pin}
    return int(house.client.post("/api/sessions", json=body).status_code)


def stored(house: ClientHouse, resident_id: UUID) -> Resident:
    with house.database.read() as session:
        return service.resident(session, resident_id)


def sent(house: ClientHouse, resident_id: UUID, what: str, **fields: str) -> Any:
    page = f"/residents/{resident_id}"
    return house.post_form(f"{page}/{what}", page=page, **fields)


def test_the_desk_lets_a_locked_resident_back_in(house: ClientHouse) -> None:
    me = house.resident("Li", pin=PIN)
    house.open_browser(house.resident("Zhao", Role.CLERK))
    assert [tried(house, NEW_PIN) for _ in range(5)] == [401] * 5
    assert tried(house, PIN) == 429
    assert "Locked until" in house.client.get(f"/residents/{me}").text
    sent(house, me, "unlock")
    assert tried(house, PIN) == 201
    assert [tried(house, "975310") for _ in range(5)] == [401] * 5
    assert sent(house, me, "pin", pin=NEW_PIN).status_code == 303
    assert tried(house, NEW_PIN) == 201
    assert tried(house, PIN) == 401


def test_a_new_pin_ends_every_older_sign_in(house: ClientHouse) -> None:
    me = house.resident("Li", pin=PIN)
    elsewhere = house.signed_in(me)
    house.open_browser(house.resident("Zhao", Role.CLERK))
    assert house.client.get(f"/api/residents/{me}", headers=elsewhere).status_code == 200
    sent(house, me, "pin", pin=NEW_PIN)
    assert house.client.get(f"/api/residents/{me}", headers=elsewhere).status_code == 401


def test_a_clerk_cannot_become_the_operator(house: ClientHouse) -> None:
    boss = house.resident("Sun", Role.OPERATOR, pin=PIN)
    house.open_browser(house.resident("Zhao", Role.CLERK))
    assert sent(house, boss, "pin", pin=NEW_PIN).status_code == 403
    fields = {"name": "Sun", "phone": "13988887777"}
    assert sent(house, boss, "correct", **fields).status_code == 403
    assert stored(house, boss).phone == house.phone(1)
    assert sent(house, boss, "roles", **{"role-clerk": "1"}).status_code == 403
    assert sent(house, boss, "erase", erase_name="Sun").status_code == 403
    assert tried(house, PIN) == 201


def test_particulars_are_put_right_and_co_owners_share_an_area(house: ClientHouse) -> None:
    husband, wife = house.resident("Li"), house.resident("Wu")
    house.open_browser(house.resident("Zhao", Role.CLERK))
    flat = {"household": "7-2-301", "is_owner": "1", "building": "7"}
    for one, phone, area in ((husband, house.phone(1), "89"), (wife, house.phone(2), "89.53")):
        fields = flat | {"name": "Li", "phone": phone, "floor_area": area, "birth_year": "1946"}
        assert sent(house, one, "correct", **fields).status_code == 303
    assert stored(house, husband).floor_area_dm2 == 8953
    assert stored(house, wife).birth_year == 1946
    taken = flat | {"name": "Li", "phone": house.phone(1)}
    assert "registered with this phone" in sent(house, wife, "correct", **taken).text
    for wrong in ({"floor_area": "90"}, {"is_owner": "1"}, {"birth_year": "1"}, {"phone": "x"}):
        fields = {"name": "Wu", "phone": house.phone(2)} | wrong
        assert sent(house, wife, "correct", **fields).status_code == 422, wrong


def test_the_operator_gives_and_takes_roles_but_stays(house: ClientHouse) -> None:
    me, boss = house.resident("Li"), house.resident("Sun", Role.OPERATOR)
    house.open_browser(boss)
    assert sent(house, me, "roles", **{"role-clerk": "1", "role-secretary": "1"}).status_code == 303
    with house.database.read() as session:
        assert service.roles_of(session, me) == {Role.RESIDENT, Role.CLERK, Role.SECRETARY}
    assert sent(house, me, "roles").status_code == 303
    with house.database.read() as session:
        assert service.roles_of(session, me) == {Role.RESIDENT}
    refused = sent(house, boss, "roles")
    assert refused.status_code == 422
    assert "the only operator" in refused.text


def test_first_steps_tick_themselves(house: ClientHouse) -> None:
    house.open_browser(house.resident("Sun", Role.OPERATOR))
    assert "2 of 7 are done." in house.client.get("/first-steps").text  # operator, district
    house.resident("Zhao", Role.CLERK)
    house.resident("Qian", Role.PROPERTY)
    assert "4 of 7 are done." in house.client.get("/first-steps").text
    house.open_browser(house.resident("Li"))
    assert house.client.get("/first-steps").status_code == 403


def test_signing_in_renews_every_secret_of_the_browser(house: ClientHouse) -> None:
    house.resident("Li", pin=PIN)
    house.open_browser()
    planted = house.client.cookies["linli_visit"]
    fields = {"phone": house.phone(1), "pin": PIN}
    house.post_form("/sign-in", page="/sign-in", **fields)
    first = house.client.cookies["linli_sign_in"]
    assert house.client.cookies["linli_visit"] != planted
    house.clock.advance(timedelta(minutes=1))
    house.post_form("/sign-in", page="/sign-in", **fields)
    house.client.cookies.set("linli_sign_in", first)
    assert house.client.get("/profile", follow_redirects=False).status_code == 303


@pytest.mark.parametrize("pin", ["a garden of plums", "春天的梅花开在院子里面", "Aa1!Bb2@Cc"])
def test_a_password_does_as_well_as_a_pin(house: ClientHouse, pin: str) -> None:
    house.resident("Li", pin=pin)
    assert tried(house, pin) == 201
    assert tried(house, pin + "x") == 401


def test_an_unknown_number_costs_the_same_work(house: ClientHouse) -> None:
    """The processor's own time of this thread: what a patient listener could measure."""
    house.resident("Li", pin=PIN)

    def cost_seconds(phone: str) -> float:
        with house.database.read() as session:
            began = time.thread_time()
            assert service.pin_fits(session, phone=phone, pin=NEW_PIN) is None
            return time.thread_time() - began

    known, unknown = (
        min(cost_seconds(phone) for _ in range(7)) for phone in (house.phone(1), "13999999999")
    )
    assert known > 0.004, "slow on purpose"
    assert 0.7 < unknown / known < 1.4
