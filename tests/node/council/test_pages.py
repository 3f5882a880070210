"""The pages of the council: move, ask, vote, read the receipt, carry out."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from node.council import pages, rules, words
from node.council.electorates import Choice
from node.kernel.ids import new_id
from node.residents.pages import routes as residents_routes
from node.residents.rules import Role
from tests.node.web.client import ClientHouse, house_at


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*pages.routes, *residents_routes], [pages.card]) as house:
        yield house


def move(house: ClientHouse) -> str:
    fields = {"title": "Charging points", "text": "Ten.\nBetween 3 and 5.", "form_id": new_id()}
    answer = house.post_form("/council/new", page="/council/new", **fields)
    assert answer.status_code == 303
    return str(answer.headers["location"])


def press(house: ClientHouse, path: str, act: str, **fields: str) -> Any:
    return house.post_form(f"{path}/{act}", page=path, **({"form_id": str(new_id())} | fields))


def test_a_meeting_is_asked(house: ClientHouse) -> None:
    voter, clerk = house.resident("Voter"), house.resident("Clerk", Role.CLERK)
    house.open_browser(voter)
    path = move(house)
    assert press(house, path, "straw").status_code == 403
    house.open_browser(clerk)
    assert press(house, path, "straw").status_code == 303
    house.client.cookies.set("linli_acting", str(voter))
    assert "For: Voter" in house.client.get(f"{path}/ballot").text
    assert "Is this right?" in press(house, path, "ballot", choice="yes").text
    receipt = press(house, path, "ballot", choice="yes", sure="yes")
    assert "Counted once, as: Yes" in receipt.text
    code = re.search(r'class="code">([2-9A-Z]{8})<', receipt.text)
    assert code is not None
    assert "This ballot is in" in house.client.get(f"{path}/ballot").text
    assert code[1] not in house.client.get(path).text
    press(house, path, "close")
    shown = house.client.get(path).text
    assert "In favour" in shown
    assert code[1] in shown
    assert "binds nobody" in shown


def test_the_whole_way(house: ClientHouse) -> None:
    voters = [house.resident(f"Voter {number}") for number in range(2)]
    secretary = house.resident("Secretary", Role.SECRETARY)
    house.open_browser(voters[0])
    path = move(house)
    house.open_browser(secretary)
    for step in ("screening", "publicity"):
        assert press(house, path, "step", to=step).status_code == 303
    assert "Nobody can shorten this" in house.client.get(path).text
    early = press(house, path, "step", to="assembly")
    assert (early.status_code, "at least 7 days" in early.text) == (409, True)
    house.clock.advance(rules.PUBLICITY_TIME_MIN)
    press(house, path, "step", to="assembly")
    for voter in (*voters, secretary):
        house.open_browser(voter)
        assert "Charging points" in house.client.get("/").text
        assert press(house, path, "ballot", choice="yes", sure="yes").status_code == 200
    house.open_browser(secretary)
    press(house, path, "close")
    assert press(house, path, "step", to="executing").status_code == 409
    due_on = (house.clock.now() + timedelta(days=9)).date().isoformat()
    wrong = press(house, path, "tasks", title="Dig", owner="Property", due_on="soon")
    assert (wrong.status_code, "give a day" in wrong.text) == (409, True)
    assert press(house, path, "tasks", title="Dig", owner="Property", due_on=due_on).is_redirect
    press(house, path, "step", to="executing")
    done = re.search(r'action="([^"]+/tasks/[^"]+/done)"', house.client.get(path).text)
    assert done is not None
    assert house.post_form(done[1], page=path).status_code == 303
    assert press(house, path, "step", to="feedback").status_code == 409
    assert press(house, path, "step", to="feedback", note="Ten stand.").status_code == 303
    assert "Ten stand." in house.client.get(path).text


def test_a_ballot_needs_a_choice_and_a_voter(house: ClientHouse) -> None:
    voter, clerk = house.resident("Voter"), house.resident("Clerk", Role.CLERK)
    house.open_browser(clerk)
    path = move(house)
    press(house, path, "straw")
    house.open_browser(voter)
    assert press(house, path, "ballot").status_code == 422
    house.open_browser()
    shown = house.client.get(path).text
    assert "Sign in to vote" in shown
    assert house.client.get("/council").status_code == 200


def test_text_is_text(house: ClientHouse) -> None:
    house.open_browser(house.resident("Voter"))
    fields = {"title": "<script>alert(1)</script>", "text": "<b>x</b>", "form_id": new_id()}
    answer = house.post_form("/council/new", page="/council/new", **fields)
    shown = house.client.get(answer.headers["location"]).text
    assert "<script>alert" not in shown
    assert "<b>x</b>" not in shown


def test_every_step_and_choice_has_a_name() -> None:
    assert set(words.step_names()) == set(rules.Step)
    assert set(words.choice_names()) == set(Choice)
