"""Points over HTTP: who may do what, and that saying it twice does it once."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from node.kernel.ids import new_id
from node.points import api, service
from node.residents.rules import Role
from tests.node.web.client import ClientHouse, key
from tests.node.web.client import house_at as open_house

VOUCHER = {"item": "market_voucher_10"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with open_house(tmp_path, api.routes) as house:
        house.database.do(lambda session: service.prepare(session, house.clock))
        yield house


def award_body(resident_id: UUID, *, minutes: int | None = 240) -> dict[str, Any]:
    evidence = {"kind": "cosignature", "reference": str(new_id())}
    activity = {"activity": "volunteering", "minutes": minutes}
    return {"resident_id": str(resident_id), "evidence": evidence, **activity}


def award(house: ClientHouse, resident_id: UUID, headers: dict[str, str]) -> Any:
    body = award_body(resident_id)
    return house.client.post("/api/points/awards", json=body, headers=headers | key())


def test_the_rules_and_the_catalogue_are_public(house: ClientHouse) -> None:
    shown = house.client.get("/api/points/rules").json()
    assert (shown["version"], shown["activities"]["volunteering"]["points"]) == (1, 30)
    items = house.client.get("/api/points/catalogue").json()
    assert [item["points"] for item in items] == [100, 200, 500, 1000]


def test_points_are_earned_and_redeemed(house: ClientHouse) -> None:
    elder, clerk = house.resident(), house.bearer(Role.CLERK)
    earned = award(house, elder, clerk)
    assert (earned.status_code, earned.json()["points"]) == (201, 120)
    mine, once = house.signed_in(elder), key()
    body = {"resident_id": str(elder), **VOUCHER}
    for _ in range(2):
        kept = house.client.post("/api/points/redemptions", json=body, headers=mine | once)
        assert (kept.status_code, kept.json()["state"]) == (201, "reserved")
    balance = f"/api/points/balance/{elder}"
    shown = house.client.get(balance, headers=mine).json()
    assert (shown["balance"], shown["available"]) == (120, 20)
    collect = f"/api/points/redemptions/{kept.json()['id']}/collect"
    wrong = house.client.post(collect, json={"code": "22222222"}, headers=clerk)
    assert (wrong.status_code, wrong.json()["code"]) == (409, "points.wrong_pickup_code")
    code = {"code": kept.json()["code"]}
    assert house.client.post(collect, json=code, headers=mine).status_code == 403
    assert house.client.post(collect, json=code, headers=clerk).json()["state"] == "collected"
    assert house.client.get(balance, headers=clerk).json()["balance"] == 20


def test_a_reservation_can_be_given_back(house: ClientHouse) -> None:
    elder, other = house.resident(), house.resident()
    award(house, elder, house.bearer(Role.CLERK))
    body = {"resident_id": str(elder), **VOUCHER}
    mine = house.signed_in(elder)
    kept = house.client.post("/api/points/redemptions", json=body, headers=mine | key()).json()
    path = f"/api/points/redemptions/{kept['id']}/release"
    assert house.client.post(path, headers=house.signed_in(other)).status_code == 403
    assert house.client.post(path, headers=mine).json()["state"] == "released"


def test_only_staff_award_and_never_themselves(house: ClientHouse) -> None:
    elder, clerk = house.resident(), house.resident("Clerk", Role.CLERK)
    assert award(house, elder, house.signed_in(elder)).status_code == 403
    own = award(house, clerk, house.signed_in(clerk))
    assert (own.status_code, own.json()["code"]) == (409, "points.own_award")


def test_a_mistake_is_reversed(house: ClientHouse) -> None:
    elder, clerk = house.resident(), house.bearer(Role.CLERK)
    earned = award(house, elder, clerk).json()
    path = f"/api/points/awards/{earned['id']}/reverse"
    assert house.client.post(path, headers=clerk).json()["reversed"]
    balance = house.client.get(f"/api/points/balance/{elder}", headers=clerk).json()
    assert balance["balance"] == 0


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"activity": "nothing"}, 409),
        ({"minutes": -5}, 400),
        ({"evidence": {"kind": "hearsay", "reference": str(new_id())}}, 400),
        ({"evidence": {"kind": "cosignature", "reference": "her word"}}, 400),
        ({"resident_id": "x"}, 400),
    ],
)
def test_bad_input_is_refused_with_a_sentence(
    house: ClientHouse, change: dict[str, Any], status: int
) -> None:
    body = award_body(house.resident()) | change
    headers = house.bearer(Role.CLERK) | key()
    answer = house.client.post("/api/points/awards", json=body, headers=headers)
    assert answer.status_code == status
    assert answer.json()["detail"]
