"""What staff change is written down with it, once, in the same transaction, and stays."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from litestar import get, post
from litestar.params import FromPath
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from node import settings
from node.acts import api, pages, rules, service
from node.acts.model import StaffAct
from node.kernel.db import open_engine
from node.kernel.errors import WrongState
from node.kernel.witness import witness_is
from node.ledger import service as ledger
from node.ledger.model import Unit
from node.repairs import api as repairs_api
from node.residents import api as residents_api
from node.residents.rules import Role
from node.web.session import AnyRequest, require
from node.web.session import house as house_of
from tests.node.commands import linli, make_node
from tests.node.web.client import ClientHouse, house_at, key


@post("/api/things/{code:str}/{thing_id:int}")
async def change(request: AnyRequest, code: FromPath[str], thing_id: FromPath[int]) -> None:
    require(request, Role.CLERK)

    def command(session: Any) -> None:
        ledger.open_account(
            session,
            account_id=ledger.house_account(f"thing {thing_id}", Unit.POINTS),
            unit=Unit.POINTS,
            kind="house",
            owner=code,
            floor=0,
        )
        if thing_id == 13:
            raise WrongState(what="thing", state="cursed", needed="another")

    await house_of(request).database.run(command)


@get("/api/things")
async def look(request: AnyRequest) -> list[str]:
    require(request, Role.CLERK)
    return []


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    slices = (api, pages, residents_api, repairs_api)
    routes = [route for part in slices for route in part.routes]
    with house_at(tmp_path, [*routes, change, look]) as house:
        yield house


def noted(house: ClientHouse) -> list[StaffAct]:
    with house.database.read() as session:
        return list(session.scalars(select(StaffAct).order_by(StaffAct.at, StaffAct.id)))


def test_what_a_clerk_changes_is_noted_without_the_code(house: ClientHouse) -> None:
    clerk = house.resident("Zhao", Role.CLERK)
    answer = house.client.post("/api/things/SECRET42/7", headers=house.signed_in(clerk))
    assert answer.status_code == 201
    [act] = noted(house)
    assert (act.actor, act.roles, act.for_resident) == (str(clerk), "clerk", None)
    assert act.what == "POST /api/things/{code}/{thing_id}"
    assert act.subject == "thing_id=7"
    assert act.at == house.clock.now()


def test_a_merger_is_noted_with_both_requests(house: ClientHouse) -> None:
    lin, zhao = house.resident("Lin"), house.resident("Zhao", Role.CLERK)
    body = {"title": "lift", "description": "stands", "location": "7", "isShared": True}
    for _ in range(2):
        house.client.post("/api/repairs", json=body, headers=house.signed_in(lin) | key())
    clerk = house.signed_in(zhao)
    assert house.client.put("/api/repairs/1/merged-into/1", headers=clerk).status_code == 409
    for _ in range(2):
        answer = house.client.put("/api/repairs/2/merged-into/1", headers=clerk)
        assert answer.status_code == 200
    act, *_again = noted(house)
    assert act.what == "PUT /api/repairs/{request_id}/merged-into/{kept_id}"
    assert (act.actor, act.subject) == (str(zhao), "kept_id=1,request_id=2")


def test_a_refused_act_and_a_look_leave_no_line(house: ClientHouse) -> None:
    clerk = house.signed_in(house.resident("Zhao", Role.CLERK))
    assert house.client.post("/api/things/A/13", headers=clerk).status_code == 409
    assert house.client.get("/api/things", headers=clerk).status_code == 200
    assert noted(house) == []


def test_residents_own_acts_are_their_own(house: ClientHouse) -> None:
    lin = house.resident("Lin")
    body = {"title": "tap", "description": "drips", "location": "3-2"}
    headers = house.signed_in(lin) | key()
    assert house.client.post("/api/repairs", json=body, headers=headers).status_code == 201
    assert noted(house) == []


def test_for_whom_a_program_acted_is_noted_and_told(house: ClientHouse) -> None:
    lin, operator = house.resident("Lin"), house.resident("Sun", Role.OPERATOR)
    body = {"title": "tap", "description": "drips", "location": "3-2"}
    headers = house.bearer(Role.CLERK, acting_for=lin) | key()
    assert house.client.post("/api/repairs", json=body, headers=headers).status_code == 201
    [act] = noted(house)
    assert (act.roles, act.for_resident) == ("clerk", lin)
    mine = house.client.get("/api/acts/mine", headers=house.signed_in(lin)).json()
    assert [one["what"] for one in mine["data"]] == ["POST /api/repairs"]
    everything = house.client.get("/api/acts", headers=house.signed_in(operator)).json()
    assert everything == mine
    assert house.client.get("/api/acts", headers=house.signed_in(lin)).status_code == 403


def test_a_role_given_is_noted_for_whom(house: ClientHouse) -> None:
    lin, operator = house.resident("Lin"), house.resident("Sun", Role.OPERATOR)
    house.client.post(
        f"/api/residents/{lin}/roles", json={"role": "clerk"}, headers=house.signed_in(operator)
    )
    assert [act.for_resident for act in noted(house)] == [lin]


def test_the_pages_name_who_and_for_whom(house: ClientHouse) -> None:
    lin, sun = house.resident("Lin Mei"), house.resident("Sun Wei", Role.CLERK, Role.OPERATOR)
    body = {"title": "tap", "description": "drips", "location": "3-2"}
    headers = house.signed_in(sun) | {"X-Acting-For": str(lin)} | key()
    house.client.post("/api/repairs", json=body, headers=headers)
    house.open_browser(sun)
    shown = house.client.get("/acts").text
    assert "Lin Mei" in shown
    assert "POST /api/repairs" in shown
    assert "clerk, operator" in shown
    house.open_browser(lin)
    assert "Sun Wei" in house.client.get("/acts/mine").text
    assert house.client.get("/acts").status_code == 403


def test_the_record_cannot_be_changed(house: ClientHouse) -> None:
    house.client.post(
        "/api/things/A/1", headers=house.signed_in(house.resident("Zhao", Role.CLERK))
    )
    for statement in ("UPDATE staff_act SET actor = 'nobody'", "DELETE FROM staff_act"):
        with pytest.raises(DBAPIError, match="append-only"):
            house.database.do(partial(Session.execute, statement=text(statement)))
    assert len(noted(house)) == 1


def test_a_command_line_is_noted_too(house: ClientHouse) -> None:
    def look(session: Any) -> None:
        service.note(
            session,
            house.clock,
            actor=rules.TERMINAL,
            roles=Role.OPERATOR,
            for_resident=None,
            what="linli-node limit",
            subject="",
        )

    with witness_is(look):
        house.database.do(lambda session: None)
    house.database.do(lambda session: None)
    assert [act.what for act in noted(house)] == ["linli-node limit"]
    house.open_browser(house.resident("Sun", Role.OPERATOR))
    assert "own machine" in house.client.get("/acts").text


@pytest.mark.parametrize(
    ("route", "roles", "acts_for_another", "expected"),
    [
        ("/api/repairs", [Role.RESIDENT], False, False),
        ("/api/repairs", [Role.RESIDENT], True, True),
        ("/api/repairs", [Role.RESIDENT, Role.CLERK], False, True),
        ("/council/motions/{motion_id}/ballot", [Role.SECRETARY], False, False),
        ("/council/motions/{motion_id}/ballot", [Role.CLERK], True, True),
        ("/sign-in", [Role.OPERATOR], False, False),
    ],
)
def test_whose_acts_are_noted(
    route: str, roles: list[Role], acts_for_another: bool, expected: bool
) -> None:
    assert rules.is_noted(route=route, roles=roles, acts_for_another=acts_for_another) == expected


def test_what_an_operator_types_is_noted(tmp_path: Path) -> None:
    directory = make_node(tmp_path / "plum")
    person = ["--name", "Lin", "--phone", "13900001111", "--json"]
    assert linli("node", "resident", "add", directory, *person).status == 0
    assert linli("node", "audit", directory).status == 0
    engine = open_engine(settings.load(directory).database_url, read_only=True)
    with Session(engine) as session:
        [act] = session.scalars(select(StaffAct)).all()
    engine.dispose()
    assert (act.actor, act.what) == ("terminal", "linli-node resident add")
