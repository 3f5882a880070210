"""The time bank over HTTP: an hour through a clerk and through its two sides."""

from collections.abc import Iterator
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
