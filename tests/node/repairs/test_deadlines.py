"""Overdue requests go up level by level, once each, and everybody can see it."""

from datetime import timedelta

from node.kernel.events import Event
from node.repairs import deadlines, service
from node.repairs.events import RepairOverdue, RepairReopened
from node.repairs.plan import Plan, Route, Step, Team
from node.repairs.rules import Level, Status
from tests.node.repairs.desk import DONE, Desk, of_kind
from tests.node.web.client import ClientHouse

LIFT_HOURS = 4


def levels(happened: list[Event]) -> list[int]:
    return [event.level for event in of_kind(happened, RepairOverdue)]


def test_three_levels_by_the_clock(house: ClientHouse, desk: Desk, happened: list[Event]) -> None:
    number = desk.report(house.resident(), category="lift").id
    desk.clock.advance(timedelta(hours=LIFT_HOURS, minutes=-1))
    assert desk.hand_up() == 0
    seen = []
    for hours in (1, 24, 48, 1_000):
        desk.clock.advance(timedelta(hours=hours))
        seen.append((desk.hand_up(), desk.hand_up()))  # looking twice is looking once
    assert seen == [(1, 0), (1, 0), (1, 0), (0, 0)]
    assert levels(happened) == [Level.BUILDING, Level.PROPERTY, Level.COMMUNITY]
    with house.database.read() as session:
        assert service.find(session, number).level == Level.COMMUNITY
        steps = deadlines.escalations_of(session, number)
        assert [(one.turn, one.level) for one in steps] == [(0, 1), (0, 2), (0, 3)]


def test_a_node_that_slept_tells_every_level(
    house: ClientHouse, desk: Desk, happened: list[Event]
) -> None:
    desk.report(house.resident(), category="lift")
    desk.clock.advance(timedelta(days=30))
    while desk.hand_up():
        pass
    assert levels(happened) == [1, 2, 3]


def test_what_is_done_stays_where_it_is(
    house: ClientHouse, desk: Desk, happened: list[Event]
) -> None:
    number = desk.report(house.resident(), category="lift").id
    desk.move(number, *DONE)
    desk.clock.advance(timedelta(days=30))
    assert desk.hand_up() == 0
    assert levels(happened) == []


def test_a_reopened_request_begins_below_again(
    house: ClientHouse, desk: Desk, happened: list[Event]
) -> None:
    number = desk.report(house.resident(), category="lift").id
    desk.clock.advance(timedelta(hours=LIFT_HOURS + 1))
    desk.hand_up()
    desk.move(number, *DONE)
    house.database.do(
        lambda session: service.reopen(session, desk.clock, request_id=number, changed_by="me")
    )
    [reopened] = of_kind(happened, RepairReopened)
    assert reopened.turn == 1
    with house.database.read() as session:
        again = service.find(session, number)
        assert (again.level, again.status) == (0, Status.PENDING)
        assert again.due_at == desk.clock.now() + timedelta(hours=LIFT_HOURS)
    desk.clock.advance(timedelta(hours=LIFT_HOURS))
    assert desk.hand_up() == 1
    assert [(event.turn, event.level) for event in of_kind(happened, RepairOverdue)] == [
        (0, 1),
        (1, 1),
    ]


def test_the_plan_says_when_and_to_whom(
    house: ClientHouse, desk: Desk, happened: list[Event]
) -> None:
    worker = house.resident("Zhao")
    steps = (Step(1, 2), Step(2, 5, "office"), Step(3, 9))
    teams = (Team("crew", "Crew"), Team("office", "Office", (worker,)))
    desk.plan(Plan(teams=teams, routes=(Route("crew"),), due_hours={"lift": 1}, steps=steps))
    request = desk.report(house.resident(), category="lift")
    assert (request.team, request.due_at) == ("crew", desk.clock.now() + timedelta(hours=1))
    desk.clock.advance(timedelta(hours=3))
    desk.hand_up()
    with house.database.read() as session:
        assert service.find(session, request.id).team == "crew", "level 1 names no team"
    desk.clock.advance(timedelta(hours=3))
    desk.hand_up()
    assert of_kind(happened, RepairOverdue)[-1].member_ids == (worker,)
    with house.database.read() as session:
        assert service.find(session, request.id).team == "office"


def test_the_pages_show_it(house: ClientHouse, desk: Desk) -> None:
    me = house.resident("Li")
    number = desk.report(me, category="lift").id
    desk.clock.advance(timedelta(hours=LIFT_HOURS + 1))
    desk.hand_up()
    house.open_browser(me)
    page = house.client.get(f"/repairs/{number}").text
    assert "handed up to the building&#39;s steward" in page
    assert "overdue" in house.client.get("/repairs/progress").text
