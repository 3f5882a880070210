"""A resolution's tasks show how far the repairs are that carry them out."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from node.council import api, pages, rules
from node.kernel.ids import new_id
from node.points import service as points
from node.reactions import REACTIONS
from node.repairs import api as repairs_api
from node.repairs import service as repairs
from node.repairs.rules import Status
from node.residents.pages import routes as residents_routes
from node.residents.rules import Role
from tests.node.web.client import ClientHouse, house_at, key

DONE = (Status.DISPATCHED, Status.PROCESSING, Status.COMPLETED)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    routes = [*api.routes, *pages.routes, *residents_routes, *repairs_api.routes]
    with house_at(tmp_path, routes, reactions=REACTIONS) as house:
        house.database.do(lambda session: points.prepare(session, house.clock))
        yield house


def carried_motion(house: ClientHouse, headers: dict[str, str]) -> str:
    body = {"title": "Lights", "text": "In the yard."}
    made = house.client.post("/api/council/motions", json=body, headers=headers | key())
    path = f"/api/council/motions/{made.json()['id']}"
    for step in ("screening", "publicity", "assembly"):
        if step == "assembly":
            house.clock.advance(rules.PUBLICITY_TIME_MIN)
        house.client.post(f"{path}/step", json={"to": step}, headers=headers)
    house.client.post(f"{path}/ballots", json={"choice": "yes"}, headers=headers | key())
    assert house.client.post(f"{path}/close", headers=headers).json()["tally"]["carried"]
    return path


def add_task(house: ClientHouse, path: str, headers: dict[str, str]) -> str:
    due_on = (house.clock.now() + timedelta(days=30)).date().isoformat()
    body = {"title": "Mend the lights", "owner": "property", "due_on": due_on}
    added = house.client.post(f"{path}/work-items", json=body, headers=headers | key())
    return str(added.json()["id"])


def move(house: ClientHouse, number: int, *steps: Status) -> None:
    for step in steps:
        update = partial(repairs.update, clock=house.clock, request_id=number, changed_by="desk")
        house.database.do(partial(update, status=step))


def shown(house: ClientHouse, path: str) -> Any:
    return house.client.get(path).json()["work_items"][0]


def test_progress_comes_from_real_tickets(house: ClientHouse) -> None:
    headers = house.signed_in(house.resident("Secretary", Role.SECRETARY))
    path = carried_motion(house, headers)
    item = add_task(house, path, headers)
    assert (shown(house, path)["percent"], shown(house, path)["tickets"]) == (0, [])
    tickets = f"/api/council/work-items/{item}/tickets"
    where = {"category": "other", "location": "Yard, two lamps"}
    again = key()
    for _ in range(2):  # asked twice, one ticket
        assert house.client.post(tickets, json=where, headers=headers | again).status_code == 201
    house.client.post(tickets, json=where | {"location": "Gate"}, headers=headers | key())
    numbers = [one["number"] for one in shown(house, path)["tickets"]]
    assert len(numbers) == len(set(numbers)) == 2
    assert all(numbers)
    move(house, numbers[0], *DONE)
    assert shown(house, path)["percent"] == 50
    move(house, numbers[1], *DONE)
    assert (shown(house, path)["percent"], shown(house, path)["is_done"]) == (100, False)
    house.database.do(
        lambda session: repairs.reopen(
            session, house.clock, request_id=numbers[1], changed_by="desk"
        )
    )
    assert shown(house, path)["percent"] == 50
    house.client.post(f"/api/council/work-items/{item}/done", headers=headers)
    assert (shown(house, path)["percent"], shown(house, path)["is_done"]) == (100, True)
    late = house.client.post(tickets, json=where, headers=headers | key())
    assert late.json()["code"] == "kernel.wrong_state"


def test_a_refused_ticket_leaves_nothing_behind(house: ClientHouse) -> None:
    headers = house.signed_in(house.resident("Secretary", Role.SECRETARY))
    path = carried_motion(house, headers)
    item = add_task(house, path, headers)
    bad = {"category": "x" * 300, "location": "Yard"}
    tickets = f"/api/council/work-items/{item}/tickets"
    assert house.client.post(tickets, json=bad, headers=headers | key()).status_code == 400
    program = house.bearer(Role.SECRETARY)
    good = {"category": "other", "location": "Yard"}
    assert house.client.post(tickets, json=good, headers=program | key()).status_code == 400
    assert shown(house, path)["tickets"] == []


def test_the_offices_form_opens_a_ticket_and_the_motion_shows_it(house: ClientHouse) -> None:
    secretary = house.resident("Secretary", Role.SECRETARY)
    headers = house.signed_in(secretary)
    api_path = carried_motion(house, headers)
    item = add_task(house, api_path, headers)
    path = api_path.removeprefix("/api")
    house.open_browser(secretary)
    form = {"location": "Yard", "form_id": str(new_id())}
    sent = house.post_form(f"{path}/tasks/{item}/ticket", page=path, **form)
    assert sent.status_code == 303
    assert "Repair no. 1" in house.client.get(path).text
