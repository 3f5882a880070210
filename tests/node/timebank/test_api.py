"""The time bank over HTTP: an hour through a clerk and through its two sides."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from node.kernel.events import Reactions
from node.points import service as points
from node.residents.rules import Role
from node.timebank import api
from node.timebank.events import ExchangeConfirmed
from tests.node.web.client import ClientHouse, house_at, key


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    reactions: Reactions = {ExchangeConfirmed: [points.award_for_exchange]}
    with house_at(tmp_path, api.routes, reactions=reactions) as house:
        house.database.do(lambda session: points.prepare(session, house.clock))
        yield house


def request(
    house: ClientHouse, *, provider: UUID, receiver: UUID, headers: dict[str, str], **changes: Any
) -> Any:
    body = {
        "provider_id": str(provider),
        "receiver_id": str(receiver),
        "service": "meal_delivery",
        "minutes": 60,
    }
    path = "/api/timebank/exchanges"
    return house.client.post(path, json=body | changes, headers=headers | key())


def act(house: ClientHouse, exchange: str, act: str, headers: dict[str, str], **body: Any) -> Any:
    path = f"/api/timebank/exchanges/{exchange}/{act}"
    return house.client.post(path, json=body or None, headers=headers)


def test_a_clerk_writes_down_an_hour_for_two_people(house: ClientHouse) -> None:
    elder, neighbour = house.resident(), house.resident()
    for_elder = house.bearer(Role.CLERK, acting_for=elder)
    for_neighbour = house.bearer(Role.CLERK, acting_for=neighbour)
    asked = request(house, provider=neighbour, receiver=elder, headers=for_elder)
    assert (asked.status_code, asked.json()["state"]) == (201, "requested")
    hour = asked.json()["id"]
    assert act(house, hour, "accept", for_neighbour).json()["state"] == "accepted"
    delivered = act(house, hour, "deliver", for_neighbour, minutes=50).json()
    assert (delivered["state"], delivered["delivered_minutes"]) == ("delivered", 45)
    assert act(house, hour, "confirm", for_neighbour).json()["state"] == "delivered"
    assert act(house, hour, "confirm", for_elder).json()["state"] == "captured"
    shown = house.client.get(f"/api/timebank/balance/{elder}", headers=for_elder).json()
    assert (shown["balance"], shown["available"]) == (-45, 255)


def test_the_two_do_it_themselves_and_volunteering_earns_points(house: ClientHouse) -> None:
    elder, neighbour, stranger = (house.resident() for _ in range(3))
    as_elder, as_neighbour = house.signed_in(elder), house.signed_in(neighbour)
    asked = request(house, provider=neighbour, receiver=elder, headers=as_elder)
    hour = asked.json()["id"]
    assert act(house, hour, "accept", as_elder).status_code == 403
    assert act(house, hour, "accept", house.signed_in(stranger)).status_code == 403
    path = f"/api/timebank/exchanges/{hour}"
    assert house.client.get(path, headers=house.signed_in(stranger)).status_code == 403
    early = act(house, hour, "confirm", as_elder)
    assert (early.status_code, early.json()["code"]) == (409, "kernel.wrong_state")
    act(house, hour, "accept", as_neighbour)
    act(house, hour, "deliver", as_neighbour, minutes=60)
    act(house, hour, "confirm", as_neighbour)
    act(house, hour, "confirm", as_elder)
    assert house.client.get(path, headers=as_elder).json()["state"] == "captured"
    with house.database.read() as session:
        awards = points.awards_of(session, neighbour, limit=5).rows
        assert [(row.activity, row.points) for row in awards] == [("volunteering", 30)]


def test_a_dispute_is_settled_by_a_social_worker(house: ClientHouse) -> None:
    elder, neighbour = house.resident(), house.resident()
    as_elder, as_neighbour = house.signed_in(elder), house.signed_in(neighbour)
    hour = request(house, provider=neighbour, receiver=elder, headers=as_elder).json()["id"]
    act(house, hour, "accept", as_neighbour)
    act(house, hour, "deliver", as_neighbour, minutes=60)
    assert act(house, hour, "dispute", as_elder).json()["state"] == "disputed"
    assert act(house, hour, "settle", as_elder, minutes=0).status_code == 403
    worker = house.bearer(Role.SOCIAL_WORKER)
    assert act(house, hour, "settle", worker, minutes=30).json()["delivered_minutes"] == 30


@pytest.mark.parametrize("act_name", ["decline", "cancel"])
def test_no_help_no_minutes(house: ClientHouse, act_name: str) -> None:
    elder, neighbour = house.resident(), house.resident()
    as_elder = house.signed_in(elder)
    hour = request(house, provider=neighbour, receiver=elder, headers=as_elder).json()["id"]
    who = house.signed_in(neighbour) if act_name == "decline" else as_elder
    answer = act(house, hour, act_name, who)
    assert answer.json()["state"] == {"decline": "declined", "cancel": "cancelled"}[act_name]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"minutes": 20}, "timebank.not_in_steps"),
        ({"service": "magic"}, "kernel.bad_input"),
        ({"minutes": "an hour"}, "kernel.bad_input"),
    ],
)
def test_bad_requests_are_refused(house: ClientHouse, change: dict[str, Any], code: str) -> None:
    elder, neighbour = house.resident(), house.resident()
    as_elder = house.signed_in(elder)
    answer = request(house, provider=neighbour, receiver=elder, headers=as_elder, **change)
    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_nobody_asks_or_looks_for_somebody_else(house: ClientHouse) -> None:
    elder, neighbour = house.resident(), house.resident()
    as_neighbour = house.signed_in(neighbour)
    assert (
        request(house, provider=neighbour, receiver=elder, headers=as_neighbour).status_code == 403
    )
    path = f"/api/timebank/balance/{elder}"
    assert house.client.get(path, headers=as_neighbour).status_code == 403
    assert house.client.get(path).status_code == 401


def test_services_name_their_standard(house: ClientHouse) -> None:
    assert all(kind["standard"] for kind in house.client.get("/api/timebank/services").json())


def test_lists_are_read_page_by_page_by_whom_they_concern(house: ClientHouse) -> None:
    elder, neighbour, stranger = (house.resident() for _ in range(3))
    as_elder = house.signed_in(elder)
    body = {"provider_id": str(neighbour), "receiver_id": str(elder), "service": "errands"}
    asked = []
    for _ in range(3):
        made = house.client.post(
            "/api/timebank/exchanges", json=body | {"minutes": 60}, headers=as_elder | key()
        )
        asked.append(made.json()["id"])
        house.clock.advance(timedelta(minutes=1))
    params = {"resident_id": str(elder), "limit": "2"}
    first = house.client.get("/api/timebank/exchanges", params=params, headers=as_elder).json()
    params["after"] = first["next"]
    rest = house.client.get("/api/timebank/exchanges", params=params, headers=as_elder).json()
    seen = [row["id"] for row in first["data"] + rest["data"]]
    assert (seen, rest["next"]) == (asked[::-1], None)
    for path in ("/api/timebank/exchanges", "/api/timebank/pool/movements"):
        asking = {"resident_id": str(elder)}
        others = house.client.get(path, params=asking, headers=house.signed_in(stranger))
        assert others.status_code == 403
        assert house.client.get(path, params=asking, headers=as_elder).status_code == 200
    own = house.client.get(f"/api/timebank/statement/{elder}", headers=as_elder).json()
    assert own == {"data": [], "next": None}
    for path in ("/api/timebank/disputes", "/api/timebank/pool/movements"):
        assert house.client.get(path, headers=as_elder).status_code == 403
    assert house.client.get("/api/timebank/exchanges", params=params).status_code == 401


def test_a_need_and_its_matches(house: ClientHouse) -> None:
    elder, neighbour = house.resident(), house.resident()
    body = {
        "service": "errands",
        "times": [{"day": 0, "part": "morning"}, {"day": 1, "part": "evening"}],
        "minutes": 60,
    }
    as_elder, as_neighbour = house.signed_in(elder), house.signed_in(neighbour)
    path = "/api/timebank/listings"
    need = house.client.post(
        path, json=body | {"resident_id": str(elder), "kind": "need"}, headers=as_elder | key()
    )
    assert need.status_code == 201, need.text
    assert need.json()["times"] == body["times"]
    offer = house.client.post(
        path,
        json=body | {"resident_id": str(neighbour), "kind": "offer"},
        headers=as_neighbour | key(),
    )
    matches = f"{path}/{need.json()['id']}/matches"
    found = house.client.get(matches, headers=as_elder).json()
    assert [(one["listing_id"], one["score"]) for one in found] == [(offer.json()["id"], 70)]
    assert sum(reason["points"] for reason in found[0]["reasons"]) == 70
    assert house.client.get(matches, headers=as_neighbour).status_code == 403
    listed = house.client.get(path, params={"kind": "offer"}, headers=as_elder).json()
    assert [row["id"] for row in listed["data"]] == [offer.json()["id"]]
    own = body | {"resident_id": str(elder), "kind": "need"}
    assert house.client.post(path, json=own, headers=as_neighbour | key()).status_code == 403


def test_a_dispute_after_the_payment_over_the_api(house: ClientHouse) -> None:
    elder, neighbour = house.resident(), house.resident()
    as_elder, as_neighbour = house.signed_in(elder), house.signed_in(neighbour)
    body = {"provider_id": str(neighbour), "receiver_id": str(elder), "service": "errands"}
    made = house.client.post(
        "/api/timebank/exchanges", json=body | {"minutes": 60}, headers=as_elder | key()
    )
    path = f"/api/timebank/exchanges/{made.json()['id']}"
    for act_name, headers in (
        ("accept", as_neighbour),
        ("deliver", as_neighbour),
        ("confirm", as_neighbour),
        ("confirm", as_elder),
    ):
        used = {"minutes": 60} if act_name == "deliver" else None
        assert (
            house.client.post(f"{path}/{act_name}", json=used, headers=headers).status_code == 200
        )
    said = {"reason": "shorter", "words": "Half an hour."}
    contested = house.client.post(f"{path}/dispute", json=said, headers=as_elder)
    assert contested.json()["state"] == "contested"
    silence = house.client.post(f"{path}/dispute", json={"reason": "silence"}, headers=as_elder)
    assert silence.status_code == 400
    worker = house.bearer(Role.SOCIAL_WORKER)
    listed = house.client.get("/api/timebank/disputes", headers=worker).json()["data"]
    assert [row["dispute"]["paid_before"] for row in listed] == [60]
    ruling = {"minutes": 30, "verdict": "Both say thirty."}
    settled = house.client.post(f"{path}/settle", json=ruling, headers=worker).json()
    assert (settled["state"], settled["delivered_minutes"]) == ("captured", 30)
    shown = house.client.get(path, headers=as_neighbour).json()
    assert (shown["dispute"]["minutes"], shown["dispute"]["verdict"]) == (30, "Both say thirty.")
    statement = house.client.get(f"/api/timebank/statement/{elder}", headers=as_elder).json()
    assert [row["minutes"] for row in statement["data"]] == [30, -60]
