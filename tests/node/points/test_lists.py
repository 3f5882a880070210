"""Points as lists over the API: pages by key, who may read them, and 304 for who knows already."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from node.points import api, codes, onsite, service
from node.residents.rules import Role
from tests.node.points.test_api import award, award_body
from tests.node.web.client import ClientHouse, key
from tests.node.web.client import house_at as open_house


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with open_house(tmp_path, api.routes) as house:
        house.database.do(lambda session: service.prepare(session, house.clock))
        yield house


def pages(house: ClientHouse, path: str, headers: dict[str, str], **asked: str) -> list[Any]:
    """All rows, two at a time, following `next`."""
    rows, after = [], None
    while True:
        params = {"limit": "2"} | asked | ({"after": after} if after else {})
        answer = house.client.get(path, params=params, headers=headers)
        assert answer.status_code == 200, answer.text
        rows += answer.json()["data"]
        after = answer.json()["next"]
        if after is None:
            return rows


def test_awards_and_the_journal_are_read_page_by_page(house: ClientHouse) -> None:
    elder, other, clerk = house.resident("Wang"), house.resident(), house.bearer(Role.CLERK)
    for _ in range(5):
        award(house, elder, clerk)
        house.clock.advance(timedelta(days=1))
    mine = house.signed_in(elder)
    rows = pages(house, "/api/points/awards", mine, resident_id=str(elder))
    days = [row["awarded_at"] for row in rows]
    assert len(set(days)) == 5
    assert days == sorted(days, reverse=True)
    path = f"/api/points/awards?resident_id={elder}"
    assert house.client.get(path, headers=house.signed_in(other)).status_code == 403
    public = pages(house, "/api/points/journal", {})
    assert len(public) == 5
    assert {row["points"] for row in public} == {120}
    assert str(elder) not in str(public)


def test_an_unchanged_list_is_not_sent_again(house: ClientHouse) -> None:
    first = house.client.get("/api/points/catalogue")
    known = {"If-None-Match": first.headers["etag"]}
    again = house.client.get("/api/points/catalogue", headers=known)
    assert (again.status_code, again.content) == (304, b"")
    body = {"title": "Tea", "points": 40}
    clerk = house.bearer(Role.CLERK)
    assert house.client.put("/api/points/catalogue/tea", json=body, headers=clerk).json() == {
        "code": "tea",
        "title": "Tea",
        "points": 40,
        "stock": 0,
        "is_offered": True,
    }
    assert house.client.get("/api/points/catalogue", headers=known).status_code == 200


def test_the_clerk_alone_changes_the_shelf(house: ClientHouse) -> None:
    elder, clerk = house.signed_in(house.resident()), house.bearer(Role.CLERK)
    path, body = "/api/points/catalogue/market_voucher_10", {"change": 5, "reason": "delivered"}
    once = key()
    assert house.client.post(f"{path}/stock", json=body, headers=elder | once).status_code == 403
    for _ in range(2):
        changed = house.client.post(f"{path}/stock", json=body, headers=clerk | once)
        assert (changed.status_code, changed.json()["stock"]) == (200, 105)
    put = house.client.put(path, json={"title": "V", "points": 1}, headers=elder)
    assert put.status_code == 403


def test_versions_say_since_when_and_by_which_motion(house: ClientHouse) -> None:
    first = house.client.get("/api/points/rules/versions").json()["data"]
    assert [(row["version"], row["motion_id"]) for row in first] == [(1, None)]
    assert first[0]["activities"]["waste_sorting"]["evidence"] == ["cosignature", "onsite_code"]


def test_the_code_of_a_place_over_the_api(house: ClientHouse) -> None:
    elder, clerk = house.resident(), house.bearer(Role.CLERK)
    closes_at = (house.clock.now() + timedelta(hours=2)).isoformat()
    body = {"activity": "waste_sorting", "place": "Gate 3", "closes_at": closes_at}
    made = house.client.post("/api/points/gatherings", json=body, headers=clerk | key())
    assert made.status_code == 201, made.text
    assert "secret" not in made.json()
    path = f"/api/points/gatherings/{made.json()['id']}"
    assert house.client.get(f"{path}/code", headers=house.signed_in(elder)).status_code == 403
    shown = house.client.get(f"{path}/code", headers=clerk).json()
    with house.database.read() as session:
        secret = onsite.open_now(session, house.clock)[0].secret
    assert shown["code"] == codes.code_at(secret, house.clock.now())
    mine = house.signed_in(elder)
    wrong = house.client.post(f"{path}/presence", json={"code": "1"}, headers=mine)
    assert (wrong.status_code, wrong.json()["code"]) == (409, "points.wrong_onsite_code")
    came = house.client.post(f"{path}/presence", json={"code": shown["code"]}, headers=mine)
    assert came.json()["award_id"]
    people = house.client.get(f"{path}/presence", headers=clerk).json()["data"]
    assert [row["resident_id"] for row in people] == [str(elder)]
    naive = body | {"closes_at": "2026-01-01T10:00:00"}
    refused = house.client.post("/api/points/gatherings", json=naive, headers=clerk | key())
    assert refused.status_code == 400


def test_a_claim_over_the_api(house: ClientHouse) -> None:
    elder, helper = house.resident(), house.resident()
    body = {
        "resident_id": str(elder),
        "cosigner_id": str(helper),
        "activity": "volunteering",
        "minutes": 60,
        "day": "2026-01-01",
    }
    mine, theirs = house.signed_in(elder), house.signed_in(helper)
    made = house.client.post("/api/points/claims", json=body, headers=mine | key())
    assert made.status_code == 201, made.text
    path = f"/api/points/claims/{made.json()['id']}"
    assert house.client.post(f"{path}/sign", headers=mine).status_code == 404
    assert house.client.post(f"{path}/sign", headers=theirs).json()["state"] == "signed"
    assert house.client.post(f"{path}/refuse", headers=theirs).status_code == 409
    listed = house.client.get(f"/api/points/claims?resident_id={elder}", headers=mine).json()
    assert [row["state"] for row in listed["data"]] == ["signed"]


def test_the_ranking_can_be_left(house: ClientHouse) -> None:
    elder, clerk = house.resident("Wang"), house.bearer(Role.CLERK)
    award(house, elder, clerk)
    ranked = house.client.get("/api/points/ranking").json()
    assert [(row["place"], row["points"]) for row in ranked] == [(1, 120)]
    assert ranked[0]["name"] != "Wang"
    path, mine = f"/api/points/ranking/{elder}", house.signed_in(elder)
    for shown, names in (("name", ["Wang"]), ("not", [])):
        house.client.put(path, json={"shown": shown}, headers=mine)
        listed = house.client.get("/api/points/ranking").json()
        assert [row["name"] for row in listed] == names
    stranger = house.signed_in(house.resident())
    assert house.client.put(path, json={"shown": "name"}, headers=stranger).status_code == 403


def test_evidence_that_the_rules_do_not_accept_is_refused(house: ClientHouse) -> None:
    body = award_body(house.resident()) | {"activity": "council_session", "minutes": None}
    headers = house.bearer(Role.CLERK) | key()
    answer = house.client.post("/api/points/awards", json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (409, "points.evidence_not_accepted")
