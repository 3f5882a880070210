"""Who does what by when is data: the most specific route wins, versions stay, nobody overwrites."""

from datetime import timedelta
from typing import Any

import msgspec
import pytest
from sqlalchemy import select

from node.kernel.errors import BadInput
from node.repairs import plan
from node.repairs.model import RepairPlan
from node.repairs.plan import Plan, Reply, Route, Step, Team
from node.repairs.rules import CATEGORIES, Status
from node.residents.rules import Role
from tests.node.repairs.desk import Desk
from tests.node.web.client import ClientHouse

TEAMS = (Team("a", "A"), Team("b", "B"), Team("c", "C"), Team("d", "D"))
ROUTES = (Route("a"), Route("b", "lift"), Route("c", "", "7"), Route("d", "lift", "7"))


@pytest.mark.parametrize(
    ("category", "building", "team"),
    [
        ("other", None, "a"),
        ("other", "9", "a"),
        ("lift", None, "b"),
        ("lift", "9", "b"),
        ("other", "7", "c"),
        ("lift", "7", "d"),
    ],
)
def test_the_most_specific_route(category: str, building: str | None, team: str) -> None:
    planned = plan.check(Plan(teams=TEAMS, routes=ROUTES))
    assert plan.team_for(planned, category=category, building=building) == team
    backwards = Plan(teams=TEAMS, routes=tuple(reversed(ROUTES)))
    assert plan.team_for(backwards, category=category, building=building) == team
    assert plan.team_for(Plan(), category=category, building=building) is None


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (Plan(teams=(Team("a", "A"), Team("a", "B"))), "teams"),
        (Plan(routes=(Route("nobody"),)), "routes"),
        (Plan(teams=TEAMS, routes=(Route("a"), Route("b"))), "routes"),
        (Plan(steps=(Step(1, 5), Step(2, 4), Step(3, 9))), "steps"),
        (Plan(steps=(Step(1, 5),)), "steps"),
        (Plan(replies=(Reply("x", Status.PENDING, "一", "1"),) * 2), "replies"),
    ],
)
def test_a_plan_that_contradicts_itself(wrong: Plan, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        plan.check(wrong)
    assert refused.value.details["field"] == field


def test_every_version_stays(house: ClientHouse, desk: Desk) -> None:
    first = Plan(due_hours={"lift": 2})
    assert desk.plan(first) == 1
    assert desk.plan(first) == 1, "the same again is no new version"
    assert desk.plan(Plan(due_hours={"lift": 3})) == 2
    with house.database.read() as session:
        assert plan.current(session) == (2, Plan(due_hours={"lift": 3}))
        kept = session.scalars(select(RepairPlan).order_by(RepairPlan.version)).all()
        assert msgspec.json.decode(kept[0].content, type=Plan) == first
    due = desk.report(house.resident(), category="lift").due_at
    assert due == desk.clock.now() + timedelta(hours=3)


def test_a_reporter_s_building_decides(house: ClientHouse, desk: Desk) -> None:
    desk.plan(Plan(teams=TEAMS, routes=ROUTES))
    assert desk.report(house.resident(), building="7").team == "c"
    assert desk.report(house.resident()).team == "a"


def put(house: ClientHouse, headers: dict[str, str], version: int, **change: Any) -> Any:
    body = house.client.get("/api/repairs/plan", headers=headers).json()
    body = {"version": version, "plan": body["plan"] | change}
    return house.client.put("/api/repairs/plan", json=body, headers=headers)


def test_programs_change_it_too(house: ClientHouse) -> None:
    clerk, worker = house.bearer(Role.CLERK), house.bearer(Role.PROPERTY)
    made = put(house, clerk, 0, due_hours={"lift": 1})
    assert (made.status_code, made.json()["version"]) == (200, 1)
    late = put(house, clerk, 0, due_hours={"lift": 2})
    assert (late.status_code, late.json()["code"]) == (409, "repairs.plan_changed")
    assert put(house, worker, 1, due_hours={}).status_code == 403
    for wrong in ({"due_hours": {"lift": 0}}, {"teams": [{"code": "A b", "name": "x"}]}):
        assert put(house, clerk, 1, **wrong).status_code == 400
    stranger = house.signed_in(house.resident())
    assert house.client.get("/api/repairs/plan", headers=stranger).status_code == 403


def test_the_desk_changes_each_part_by_form(house: ClientHouse, desk: Desk) -> None:
    worker = house.resident("Zhao", Role.PROPERTY)
    house.open_browser(house.resident("Wang", Role.CLERK))

    def send(part: str, version: int, **fields: Any) -> int:
        answer = house.post_form(
            "/repairs/plan", page="/repairs/plan", part=part, version=version, **fields
        )
        return int(answer.status_code)

    assert send("teams_add", 0, team_name="Water crew") == 303
    member = {f"member-{worker}": "1"}
    assert send("teams_change", 1, team="team_1", team_name="Water", **member) == 303
    assert send("routes_add", 2, category="water_power", building="", team="team_1") == 303
    due = {f"due-{code}": 9 for code in CATEGORIES}
    assert send("due_set", 3, **due) == 303
    hours = {"hours-1": 1, "hours-2": 2, "hours-3": 3}
    teams = {"team-1": "", "team-2": "team_1", "team-3": ""}
    assert send("steps_set", 4, **hours, **teams) == 303
    assert send("replies_add", 5, status="completed", zh="好了", en="Done") == 303
    assert send("replies_remove", 6, reply="parts") == 303
    assert send("due_set", 3, **{**due, "due-lift": 8}) == 422, "somebody changed it meanwhile"
    with house.database.read() as session:
        version, current = plan.current(session)
    assert version == 7
    assert current.teams == (Team("team_1", "Water", (worker,)),)
    assert current.routes == (Route("team_1", "water_power", ""),)
    assert current.steps == (Step(1, 1), Step(2, 2, "team_1"), Step(3, 3))
    assert [one.code for one in current.replies] == ["on_the_way", "done", "reply_1"]
    assert "Water" in house.client.get("/repairs/plan").text
    assert send("teams_remove", 7, team="team_1") == 303
    assert send("teams_add", 8, team_name="") == 422
    with house.database.read() as session:
        assert plan.current(session)[1].routes == ()
    house.open_browser(worker)
    assert house.client.get("/repairs/plan").status_code == 403
