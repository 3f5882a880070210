"""Duplicates: alike requests are offered before sending, and "me too" makes no second ticket."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from node.kernel.events import Event
from node.repairs import following, rules
from node.repairs.events import RepairClosed, RepairFollowed, RepairMoved
from node.repairs.model import ServiceRequest
from tests.node.repairs.desk import DONE, Desk, of_kind
from tests.node.web.client import ClientHouse

LIFT: dict[str, Any] = {"category": "lift", "location": "7号楼", "building": "7", "is_shared": True}


@pytest.mark.parametrize(
    ("one", "other", "is_alike"),
    [
        ("电梯停了", "7号楼电梯停了", True),
        ("电梯坏了 7号楼", "电梯坏了！7 号楼", True),
        ("The lift stands still", "lift stands still", True),
        ("电梯停了", "楼道灯不亮", False),
        ("", "电梯停了", False),
        ("坏", "坏", False),  # too short to say
    ],
)
def test_likeness(one: str, other: str, is_alike: bool) -> None:
    assert (rules.likeness(one, other) >= rules.LIKENESS_MIN) is is_alike
    assert rules.likeness(one, other) == rules.likeness(other, one)


def alike(house: ClientHouse, desk: Desk, building: str | None = "7") -> list[int]:
    with house.database.read() as session:
        found = following.similar(
            session, desk.clock, category="lift", building=building, words="电梯停了 7号楼"
        )
        return [one.id for one in found]


def test_only_open_recent_shared_ones_of_the_place_are_offered(
    house: ClientHouse, desk: Desk
) -> None:
    li = house.resident("Li")
    right = desk.report(li, "电梯停了", **LIFT).id
    desk.report(li, "电梯停了", **LIFT | {"is_shared": False})
    desk.report(li, "电梯停了", **LIFT | {"category": "other"})
    elsewhere = desk.report(li, "电梯停了", **LIFT | {"building": "9"}).id
    done = desk.report(li, "电梯停了", **LIFT).id
    desk.move(done, *DONE)
    assert alike(house, desk) == [right]
    assert alike(house, desk, None) == [right, elsewhere]
    desk.clock.advance(timedelta(days=rules.SIMILAR_DAYS + 1))
    assert alike(house, desk) == []


def test_me_too_is_no_second_ticket(house: ClientHouse, desk: Desk, happened: list[Event]) -> None:
    number = desk.report(house.resident("Li"), "电梯停了", **LIFT).id
    wu = house.resident("Wu")
    house.open_browser(wu)
    typed = {"title": "电梯停了", "description": "不动", "location": "7号楼", "category": "lift"}
    typed |= {"place": "home", "building": "7"}  # but a lift is nobody's home
    asked = house.post_form("/repairs/new", page="/repairs/new", **typed)
    assert asked.status_code == 200
    assert "Has it been reported already?" in asked.text
    assert house.post_form(f"/repairs/{number}/follow", page="/repairs").status_code == 303
    with house.database.read() as session:
        assert session.scalar(select(func.count()).select_from(ServiceRequest)) == 1
        assert following.is_following(session, number, wu)
    assert "电梯停了" in house.client.get("/repairs").text
    shown = house.client.get(f"/repairs/{number}").text
    assert "No longer follow" in shown
    assert ">dark<" not in shown, "what the reporter wrote is for staff"
    desk.move(number, *DONE)
    told = of_kind(happened, RepairMoved) + of_kind(happened, RepairClosed)
    assert [event.follower_ids for event in told] == [(wu,)] * 4
    assert [event.follower_id for event in of_kind(happened, RepairFollowed)] == [wu]


def test_mine_is_something_else(house: ClientHouse, desk: Desk) -> None:
    desk.report(house.resident("Li"), "电梯停了", **LIFT)
    house.open_browser(house.resident("Wu"))
    typed = {"title": "电梯停了", "description": "不动", "location": "7号楼", "category": "lift"}
    sent = house.post_form(
        "/repairs/new", page="/repairs/new", place="shared", is_new="yes", **typed
    )
    assert sent.headers["location"] == "/repairs/2"


def follow(house: ClientHouse, headers: dict[str, str], number: int) -> Any:
    return house.client.put(f"/api/repairs/{number}/follow", headers=headers)


def test_following_by_program(house: ClientHouse, desk: Desk, happened: list[Event]) -> None:
    li, wu = house.resident("Li"), house.signed_in(house.resident("Wu"))
    shared = desk.report(li, contact="13900000000", **LIFT).id
    home = desk.report(li).id
    seen = [follow(house, wu, shared).json() for _ in range(2)]
    assert seen[0] == seen[1]
    assert (seen[0]["contact"], seen[0]["description"], seen[0]["reporterId"]) == (None, "", None)
    assert house.client.get(f"/api/repairs/{shared}", headers=wu).json() == seen[0]
    assert follow(house, wu, home).json()["code"] == "repairs.not_shared"
    assert follow(house, wu, 99).status_code == 404
    assert follow(house, house.signed_in(li), shared).json()["contact"] == "13900000000"
    assert len(of_kind(happened, RepairFollowed)) == 1
    query = {"title": "Lamp", "category": "lift", "location": "7号楼"}
    found = house.client.get("/api/repairs/similar", params=query, headers=wu).json()["data"]
    assert [one["id"] for one in found] == [shared]
    assert "contact" not in found[0]
    for _ in range(2):
        ended = house.client.delete(f"/api/repairs/{shared}/follow", headers=wu)
        assert ended.status_code == 204
    assert house.client.get(f"/api/repairs/{shared}", headers=wu).status_code == 403
    desk.move(shared, *DONE)
    assert follow(house, wu, shared).json()["code"] == "repairs.wrong_state"
