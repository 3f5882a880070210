"""Ballots one screen at a time, proxies, the desk, the office, the roll: what each reader sees."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from node.council import api, pages, rules
from node.kernel.ids import new_id
from node.residents.model import Resident
from node.residents.pages import routes as residents_routes
from node.residents.rules import Role
from tests.node.web.client import ClientHouse, house_at, key


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    routes = [*api.routes, *pages.routes, *residents_routes]
    with house_at(tmp_path, routes, [pages.card]) as house:
        yield house


def press(house: ClientHouse, path: str, act: str, **fields: str) -> Any:
    return house.post_form(f"{path}/{act}", page=path, **({"form_id": str(new_id())} | fields))


def open_motion(house: ClientHouse, **terms: Any) -> str:
    """A motion whose binding vote is open; returns its page."""
    secretary = house.bearer(Role.SECRETARY)
    body = {"title": "Charging points", "text": "Ten."} | terms
    made = house.client.post("/api/council/motions", json=body, headers=secretary | key())
    path = f"/api/council/motions/{made.json()['id']}"
    for step in ("screening", "publicity", "assembly"):
        if step == "assembly":
            house.clock.advance(rules.PUBLICITY_TIME_MIN)
        answer = house.client.post(f"{path}/step", json={"to": step}, headers=secretary)
        assert answer.status_code == 200, answer.json()
    return path.removeprefix("/api")


def phone_of(house: ClientHouse, resident_id: UUID) -> str:
    with house.database.read() as session:
        return str(session.get_one(Resident, resident_id).phone)


def test_a_choice_is_shown_once_more_before_it_counts(house: ClientHouse) -> None:
    voter = house.resident("Voter")
    path = open_motion(house)
    house.open_browser(voter)
    assert "Do you agree?" in house.client.get(f"{path}/ballot").text
    again = press(house, path, "ballot", choice="no")
    assert (again.status_code, "Is this right?" in again.text) == (200, True)
    assert "Do you agree?" in house.client.get(f"{path}/ballot").text, "nothing counted yet"
    assert f'href="{path}/ballot">Vote<' in house.client.get("/").text
    done = press(house, path, "ballot", choice="no", sure="yes")
    assert "Counted once, as: No" in done.text
    assert "data:image/svg+xml" in done.text
    assert "You have voted" in house.client.get("/council").text
    assert f"{path}/ballot" not in house.client.get("/").text
    twice = press(house, path, "ballot", choice="yes", sure="yes")
    assert (twice.status_code, "already voted" in twice.text) == (409, True)


def test_a_holder_votes_with_a_written_proxy_and_nobody_else_does(house: ClientHouse) -> None:
    elder, holder, other = (house.resident(name) for name in ("Elder", "Holder", "Other"))
    path = open_motion(house)
    house.open_browser(elder)
    unknown = press(house, path, "proxy", holder_name="Holder", holder_phone="13999999999")
    assert (unknown.status_code, "Nobody of this name" in unknown.text) == (409, True)
    wrong = {"holder_name": "Other", "holder_phone": phone_of(house, holder)}
    assert press(house, path, "proxy", **wrong).status_code == 409
    right = wrong | {"holder_name": "Holder"}
    assert press(house, path, "proxy", **right).status_code == 303
    form = house.client.get(f"{path}/proxy").text
    assert re.search(r"Proxy no\. [0-9A-F]{6}-001", form)
    assert "Holder" in form
    for_elder = f"{path}/ballot?voter={elder}"
    house.open_browser(other)
    assert house.client.get(for_elder).status_code == 403
    assert press(house, path, "ballot", choice="no", sure="yes", voter=str(elder)).status_code in (
        403,
        409,
    )
    house.open_browser(holder)
    assert "Vote for Elder, by written proxy" in house.client.get(path).text
    assert "For: Elder" in house.client.get(for_elder).text
    done = press(house, path, "ballot", choice="yes", sure="yes", voter=str(elder))
    assert "Counted once, as: Yes" in done.text
    house.open_browser(elder)
    assert "A ballot was put in with this proxy" in house.client.get(f"{path}/proxy").text
    mine = press(house, path, "ballot", choice="no", sure="yes")
    assert mine.status_code == 409


def test_a_proxy_is_taken_back_by_its_giver_alone(house: ClientHouse) -> None:
    elder, holder = house.resident("Elder"), house.resident("Holder")
    path = open_motion(house)
    house.open_browser(elder)
    fields = {"holder_name": "Holder", "holder_phone": phone_of(house, holder)}
    press(house, path, "proxy", **fields)
    act = re.search(
        r'action="(/council/proxies/[^"]+/revoke)"', house.client.get(f"{path}/proxy").text
    )
    assert act is not None
    house.open_browser(holder)
    assert house.post_form(act[1], page=path).status_code == 403
    house.open_browser(elder)
    assert house.post_form(act[1], page=path).status_code == 303
    assert "Name of who votes for you" in house.client.get(f"{path}/proxy").text
    house.open_browser(holder)
    assert "by written proxy" not in house.client.get(path).text


def test_the_desk_sees_who_has_voted_and_enters_papers(house: ClientHouse) -> None:
    elder, holder = house.resident("Elder"), house.resident("Holder")
    clerk = house.resident("Clerk", Role.CLERK)
    path = open_motion(house)
    house.open_browser(elder)
    assert house.client.get(f"{path}/desk").status_code == 403
    house.open_browser(clerk)
    assert "0 of 3 have voted" in house.client.get(f"{path}/desk").text
    house.client.cookies.set("linli_acting", str(elder))
    assert "Vote for Elder here" in house.client.get(f"{path}/desk").text
    fields = {"holder_name": "Holder", "holder_phone": phone_of(house, holder)}
    assert press(house, path, "proxy", **fields).status_code == 303
    desk = house.client.get(f"{path}/desk").text
    assert ("Elder → Holder" in desk, "on paper" in desk) == (True, True)
    assert press(house, path, "ballot", choice="yes", sure="yes").status_code == 200
    desk = house.client.get(f"{path}/desk").text
    assert ("1 of 3 have voted" in desk, "This ballot is in" in desk) == (True, True)


def test_the_office_sets_terms_and_nobody_else(house: ClientHouse) -> None:
    resident, secretary = house.resident("R"), house.resident("S", Role.SECRETARY)
    clerk = house.bearer(Role.CLERK)
    body = {"title": "Lift", "text": "A lift."}
    made = house.client.post("/api/council/motions", json=body, headers=clerk | key())
    path = f"/council/motions/{made.json()['id']}"
    house.open_browser(resident)
    assert house.client.get(f"{path}/office").status_code == 403
    house.open_browser(secretary)
    terms = {"matter": "fund_use", "secrecy": "open", "publicity_days": "10", "voting_days": "5"}
    assert press(house, path, "terms", **(terms | {"publicity_days": "6"})).status_code == 409
    secret = press(house, path, "terms", **(terms | {"secrecy": "secret"}))
    assert (secret.status_code, "would tell who voted how" in secret.text) == (409, True)
    assert press(house, path, "terms", **terms).status_code == 303
    shown = house.client.get(path).text
    assert "The owners, by head and by floor area" in shown
    assert "using the maintenance fund (item 5)" in shown


def test_a_result_prints_the_electorate_and_the_rule_it_was_counted_by(house: ClientHouse) -> None:
    owner, tenant = house.resident("Owner"), house.resident("Tenant")

    def own(session: Any) -> None:
        flat = session.get_one(Resident, owner)
        flat.is_owner, flat.floor_area_dm2 = True, 8_850

    house.database.do(own)
    path = open_motion(house, electorate="owners", matter="rebuilding")
    house.open_browser(tenant)
    assert "You are not on the roll" in house.client.get(path).text
    house.open_browser(owner)
    assert "88.50" not in house.client.get(path).text, "no figure of it before the close"
    press(house, path, "ballot", choice="yes", sure="yes")
    house.client.post(f"/api{path}/close", headers=house.bearer(Role.CLERK))
    shown = house.client.get(path).text
    assert "The owners, by head and by floor area" in shown
    assert "three quarters of those" in shown
    assert "article 278" in shown
    assert "88.50 m²" in shown
    assert "Needed to take part: at least two thirds of the roll." in shown
    vote = re.search(r"/council/votes/([^/\"]+)/roll", shown)
    assert vote is not None
    roll = house.client.get(f"/council/votes/{vote[1]}/roll").text
    mark = re.search(r"<code>([0-9a-f]{32})</code>", roll)
    assert mark is not None
    assert f"{mark[1]} 8850\n" in house.client.get(f"/council/votes/{vote[1]}/roll.txt").text
    archive = house.client.get(f"/council/votes/{vote[1]}/archive.json")
    assert archive.json()["format"] == "linli/vote/v1"
    house.open_browser()
    assert house.client.get(f"/council/votes/{vote[1]}/roll").status_code == 200
    for file in ("roll.txt", "archive.json"):
        answer = house.client.get(f"/council/votes/{vote[1]}/{file}", follow_redirects=False)
        assert answer.status_code == 303, "sign in first"


def test_the_way_shows_every_step_with_its_date(house: ClientHouse) -> None:
    house.open_browser(house.resident("Reader"))
    path = open_motion(house)
    shown = house.client.get(path).text
    way = shown.split('class="timeline"')[1].split("</ol>")[0]
    assert way.count("<li") == 7
    assert (way.count('class="past"'), way.count('class="now"')) == (3, 1)
    assert "the vote ends on" in way
    assert 'aria-current="step"' in way
