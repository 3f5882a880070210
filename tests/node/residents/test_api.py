"""Joining, signing in and acting for somebody, through the door that everybody uses."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from node.ledger import service as ledger
from node.ledger.model import Unit
from node.residents import api, pages
from node.residents.rules import Role
from tests.node.web.client import PIN, ClientHouse, house_at, key

WRONG_PIN = "975310"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*api.routes, *pages.routes]) as house:
        yield house


def test_joining_opens_two_accounts_and_repeats_safely(house: ClientHouse) -> None:
    headers = house.bearer(Role.CLERK) | key()
    body = {"name": "Li", "phone": "139 0000-9999", "pin": PIN, "birth_year": 1946}
    first = house.client.post("/api/residents", json=body, headers=headers)
    again = house.client.post("/api/residents", json=body, headers=headers)
    assert (first.status_code, first.json()) == (201, again.json())
    other = house.client.post("/api/residents", json=body | {"name": "Wu"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "kernel.id_reused")
    with house.database.read() as session:
        account = ledger.resident_account(UUID(first.json()["id"]), Unit.MINUTES)
        assert ledger.available(session, account) == 300
    taken = house.client.post("/api/residents", json=body, headers=headers | key())
    assert taken.json()["code"] == "residents.phone_taken"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"phone": "abc"}, "phone"),
        ({"pin": "123456"}, "pin"),
        ({"pin": "12"}, "pin"),
        ({"birth_year": 1700}, "birth_year"),
        ({"birth_year": "old"}, "birth_year"),
    ],
)
def test_bad_entries_name_their_field(
    house: ClientHouse, change: dict[str, object], field: str
) -> None:
    body = {"name": "Li", "phone": "13900001111"} | change
    answer = house.client.post(
        "/api/residents", json=body, headers=house.bearer(Role.CLERK) | key()
    )
    assert answer.status_code == 400
    assert answer.json()["code"] == "kernel.bad_input"
    assert answer.json()["details"]["field"] == field


def test_creating_needs_a_key_a_role_and_a_token(house: ClientHouse) -> None:
    body = {"name": "Li", "phone": "13900001111"}
    clerk = house.bearer(Role.CLERK)
    assert house.client.post("/api/residents", json=body, headers=clerk).status_code == 400
    bad = house.client.post("/api/residents", json=body, headers=clerk | {"Idempotency-Key": "7"})
    assert bad.json()["details"]["field"] == "Idempotency-Key"
    assert house.client.post("/api/residents", json=body, headers=key()).status_code == 401
    wrong = house.bearer(Role.PROPERTY) | key()
    assert house.client.post("/api/residents", json=body, headers=wrong).status_code == 403
    forged = {"Authorization": "Bearer nonsense"} | key()
    assert house.client.post("/api/residents", json=body, headers=forged).status_code == 401


def test_a_cookie_does_not_open_the_api(house: ClientHouse) -> None:
    house.open_browser(house.resident("Zhao", Role.CLERK))
    body = {"name": "Li", "phone": "13900001111"}
    assert house.client.post("/api/residents", json=body, headers=key()).status_code == 401


def test_a_resident_sees_themselves_alone(house: ClientHouse) -> None:
    me, other = house.resident("Li"), house.resident("Wu")
    mine = house.signed_in(me)
    assert house.client.get(f"/api/residents/{me}", headers=mine).json()["name"] == "Li"
    assert house.client.get(f"/api/residents/{other}", headers=mine).status_code == 403
    clerk = house.bearer(Role.CLERK)
    assert house.client.get(f"/api/residents/{other}", headers=clerk).status_code == 200
    assert house.client.get(f"/api/residents/{uuid4()}", headers=clerk).status_code == 404


def test_signing_in_locks_after_five_wrong_tries(house: ClientHouse) -> None:
    house.resident("Li", pin=PIN)
    body = {"phone": house.phone(1), "pin": PIN}
    token = house.client.post("/api/sessions", json=body).json()["token"]
    assert len(token) >= 40
    for _ in range(5):
        answer = house.client.post("/api/sessions", json=body | {"pin": WRONG_PIN})
        assert answer.json()["code"] == "residents.wrong_phone_or_pin"
    locked = house.client.post("/api/sessions", json=body)
    assert (locked.status_code, locked.json()["details"]) == (429, {"minutes": 15})
    house.clock.advance(timedelta(minutes=15))
    assert house.client.post("/api/sessions", json=body).status_code == 201


def test_an_unknown_number_answers_like_a_known_one(house: ClientHouse) -> None:
    body = {"phone": "13999999999", "pin": WRONG_PIN}
    codes = [house.client.post("/api/sessions", json=body).json()["code"] for _ in range(6)]
    assert codes == ["residents.wrong_phone_or_pin"] * 5 + ["residents.sign_in_locked"]


def test_a_sign_in_ends(house: ClientHouse) -> None:
    me = house.resident("Li")
    mine = house.signed_in(me)
    house.clock.advance(timedelta(days=14))
    assert house.client.get(f"/api/residents/{me}", headers=mine).status_code == 401


def test_a_relative_acts_within_the_agreement(house: ClientHouse) -> None:
    elder, daughter = house.resident("Li"), house.resident("Li Mei")
    ends_at = (house.clock.now() + timedelta(days=30)).isoformat()
    body = {"helper_id": str(daughter), "scope": "everything", "ends_at": ends_at}
    acting = house.signed_in(daughter) | {"X-Acting-For": str(elder)}
    path = f"/api/residents/{elder}"
    assert house.client.get(path, headers=acting).json()["code"] == "residents.no_proxy"
    agreed = house.client.post(f"{path}/proxies", json=body, headers=house.signed_in(elder) | key())
    assert agreed.status_code == 201
    assert house.client.get(path, headers=acting).status_code == 200
    house.clock.advance(timedelta(days=30))
    assert house.client.get(path, headers=house.signed_in(daughter)).status_code == 403


def test_the_operator_grants_a_role(house: ClientHouse) -> None:
    me = house.resident("Zhao")
    path, body = f"/api/residents/{me}/roles", {"role": "clerk"}
    assert house.client.post(path, json=body, headers=house.bearer(Role.CLERK)).status_code == 403
    granted = house.client.post(path, json=body, headers=house.bearer(Role.OPERATOR))
    assert granted.json()["roles"] == ["clerk", "resident"]
    wrong = house.client.post(path, json={"role": "king"}, headers=house.bearer(Role.OPERATOR))
    assert wrong.status_code == 400
