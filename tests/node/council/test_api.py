"""The council over HTTP: the demo's straw vote today, and the whole way on a clock we turn."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from node.council import api, rules
from node.council.events import MotionCarried, MotionProposed
from node.points import service as points
from node.residents.rules import Role
from tests.node.web.client import ClientHouse, house_at, key

CHANGE = {"activities": {"waste_sorting": {"points": 15}}}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    reactions = {
        MotionProposed: [points.check_rule_change],
        MotionCarried: [points.adopt_rules_if_any],
    }
    with house_at(tmp_path, api.routes, reactions=reactions) as house:
        house.database.do(lambda session: points.prepare(session, house.clock))
        yield house


def propose(house: ClientHouse, headers: dict[str, str], **changes: Any) -> Any:
    body = {"title": "Charging points", "text": "Ten of them.", "electorate": "residents"}
    return house.client.post("/api/council/motions", json=body | changes, headers=headers | key())


def say(house: ClientHouse, motion: str, act: str, headers: dict[str, str], **body: Any) -> Any:
    path = f"/api/council/motions/{motion}/{act}"
    return house.client.post(path, json=body or None, headers=headers | key())


def test_a_meeting_is_asked_today_and_decides_nothing(house: ClientHouse) -> None:
    voters = [house.resident() for _ in range(3)]
    clerk, secretary = house.bearer(Role.CLERK), house.bearer(Role.SECRETARY)
    motion = propose(house, clerk).json()["id"]
    opened = say(house, motion, "straw", clerk)
    assert (opened.status_code, opened.json()["is_binding"]) == (201, False)
    for voter, choice in zip(voters, ("yes", "yes", "no"), strict=True):
        cast = say(house, motion, "ballots", clerk, voter_id=str(voter), choice=choice)
        assert (cast.status_code, cast.json()["channel"]) == (201, "desk")
    twice = say(house, motion, "ballots", clerk, voter_id=str(voters[0]), choice="no")
    assert (twice.status_code, twice.json()["code"]) == (409, "council.already_voted")
    assert "tally" not in house.client.get(f"/api/council/motions/{motion}").json()["votes"][0]
    tally = say(house, motion, "close", clerk).json()["tally"]
    assert tally == {"yes": 2, "no": 1, "abstain": 0, "quorum": True, "carried": True}
    shown = house.client.get(f"/api/council/motions/{motion}").json()
    assert (shown["step"], shown["is_carried"]) == ("collecting", None)
    assert len(shown["votes"][0]["ballots"]) == 3
    for step in ("screening", "publicity"):
        assert say(house, motion, "step", secretary, to=step).json()["step"] == step
    early = say(house, motion, "step", secretary, to="assembly")
    assert (early.status_code, early.json()["code"]) == (409, "council.publicity_too_short")


def test_the_whole_way_with_a_rule_change(house: ClientHouse) -> None:
    voters = [house.resident() for _ in range(3)]
    secretary = house.bearer(Role.SECRETARY)
    motion = propose(house, house.signed_in(voters[0]), rule_change=CHANGE).json()["id"]
    for step in ("screening", "publicity"):
        say(house, motion, "step", secretary, to=step)
    house.clock.advance(rules.PUBLICITY_TIME_MIN)
    say(house, motion, "step", secretary, to="assembly")
    for voter in voters:
        cast = say(house, motion, "ballots", house.signed_in(voter), choice="yes")
        assert cast.json()["channel"] == "web"
    closed = say(house, motion, "close", secretary).json()
    assert (closed["is_binding"], closed["tally"]["carried"]) == (True, True)
    with house.database.read() as session:
        current = points.in_force(session)
        assert (current.version, current.rules.activities["waste_sorting"].points) == (2, 15)
    due_on = (house.clock.now() + timedelta(days=30)).date().isoformat()
    task = say(house, motion, "work-items", secretary, title="Notice", owner="desk", due_on=due_on)
    say(house, motion, "step", secretary, to="executing")
    done = f"/api/council/work-items/{task.json()['id']}/done"
    assert house.client.post(done, headers=secretary).json()["is_done"]
    ended = say(house, motion, "step", secretary, to="feedback", note="It hangs.").json()
    assert (ended["step"], ended["note"], ended["next_steps"]) == ("feedback", "It hangs.", [])


def test_an_impossible_rule_change_is_refused_when_moved(house: ClientHouse) -> None:
    voter = house.signed_in(house.resident())
    answer = propose(house, voter, rule_change={"activities": {"waste_sorting": {"points": 0}}})
    assert (answer.status_code, answer.json()["code"]) == (400, "kernel.bad_input")
    assert house.client.get("/api/council/motions").json() == []


def test_votes_are_ones_own_or_the_desks(house: ClientHouse) -> None:
    voter, other = house.resident(), house.resident()
    clerk = house.bearer(Role.CLERK)
    motion = propose(house, clerk).json()["id"]
    say(house, motion, "straw", clerk)
    as_voter = house.signed_in(voter)
    stolen = say(house, motion, "ballots", as_voter, voter_id=str(other), choice="yes")
    assert stolen.status_code == 403
    forged = say(house, motion, "ballots", as_voter, holder_id=str(other), choice="yes")
    assert forged.status_code == 403
    proxy = {"voter_id": str(voter), "holder_id": str(other), "choice": "yes"}
    assert say(house, motion, "ballots", clerk, **proxy).json()["code"] == "council.proxy_missing"
    given = say(house, motion, "proxies", as_voter, holder_id=str(other)).json()
    assert (given["number"], given["is_paper"]) == (1, False)
    carried = say(house, motion, "ballots", clerk, **proxy)
    assert carried.json()["channel"] == "proxy"


@pytest.mark.parametrize(
    ("act", "body"),
    [("step", {"to": "screening"}), ("straw", {}), ("close", {}), ("work-items", {})],
)
def test_residents_do_not_run_the_office(
    house: ClientHouse, act: str, body: dict[str, str]
) -> None:
    resident = house.resident()
    motion = propose(house, house.signed_in(resident)).json()["id"]
    body = body or {"title": "x", "owner": "y", "due_on": "2027-01-01"}
    assert say(house, motion, act, house.signed_in(resident), **body).status_code == 403


def test_strangers_and_operators_move_nothing(house: ClientHouse) -> None:
    assert propose(house, {}).status_code == 401
    assert propose(house, house.bearer(Role.OPERATOR)).status_code == 403
    unknown = f"/api/council/motions/{UUID(int=1)}"
    assert house.client.get(unknown).status_code == 404
