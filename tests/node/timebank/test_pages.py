"""The pages of the time bank: an hour from form to statement, seen by its two sides only."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from node.kernel.ids import new_id
from node.residents.pages import routes as residents_routes
from node.residents.rules import Role
from node.timebank import pages, rules
from node.timebank.words import act_names, state_names
from node.web import language
from tests.node.web.client import ClientHouse, house_at


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*pages.routes, *residents_routes], [pages.card]) as house:
        yield house


def ask(house: ClientHouse, *, phone: str, minutes: str = "60") -> tuple[str, Any]:
    form_id = str(new_id())
    fields = {"service": "cleaning", "phone": phone, "minutes": minutes, "form_id": form_id}
    answer = house.post_form("/timebank/request", page="/timebank/request", **fields)
    return f"/timebank/exchanges/{form_id}", answer


def press(house: ClientHouse, path: str, act: str, **fields: str) -> Any:
    return house.post_form(f"{path}/{act}", page=path, **fields)


def two(house: ClientHouse) -> tuple[UUID, UUID, str]:
    """The elder who asks, the neighbour who helps, and the neighbour's number."""
    return house.resident("Elder"), house.resident("Neighbour"), house.phone(2)


def test_an_hour_from_the_form_to_the_statement(house: ClientHouse) -> None:
    elder, neighbour, phone = two(house)
    house.open_browser(elder)
    path, asked = ask(house, phone=phone)
    assert (asked.status_code, asked.headers["location"]) == (303, path)
    assert "It waits for an answer." in house.client.get("/timebank").text
    house.open_browser(neighbour)
    assert "1 exchanges wait for your answer." in house.client.get("/").text
    assert press(house, path, "accept").status_code == 303
    assert press(house, path, "deliver", minutes="50").status_code == 303
    assert press(house, path, "confirm").status_code == 303
    assert "It waits for the other side" not in house.client.get(path).text  # may still dispute
    house.open_browser(elder)
    assert "Yes, it was so" in house.client.get(path).text
    press(house, path, "confirm")
    assert "confirmed and paid" in house.client.get(path).text
    statement = house.client.get("/timebank/statement").text
    assert "-45" in statement
    assert "Help between neighbours" in statement


@pytest.mark.parametrize(
    ("phone", "minutes", "words"),
    [
        ("99999", "60", "nobody here has this number"),
        ("x", "60", "give 5 to 15 digits"),
        ("13900000002", "50", "in steps of 15"),
        ("13900000002", "soon", "A number from"),
        ("13900000001", "60", "nobody helps themselves"),
    ],
)
def test_what_does_not_fit_is_said_beside_the_field(
    house: ClientHouse, phone: str, minutes: str, words: str
) -> None:
    elder, _neighbour, _phone = two(house)
    house.open_browser(elder)
    _path, answer = ask(house, phone=phone, minutes=minutes)
    assert answer.status_code == 422
    assert words in answer.text
    assert 'role="alert"' in answer.text


def test_strangers_see_nothing(house: ClientHouse) -> None:
    elder, _neighbour, phone = two(house)
    house.open_browser(elder)
    path, _answer = ask(house, phone=phone)
    house.open_browser(house.resident("Stranger"))
    assert house.client.get(path).status_code == 403
    assert press(house, "/timebank/request", "accept").status_code in (403, 404, 405)
    house.open_browser()
    assert house.client.get("/timebank").status_code == 200
    assert house.client.get(path, follow_redirects=False).status_code == 303


def test_a_dispute_reaches_the_social_worker(house: ClientHouse) -> None:
    elder, neighbour, phone = two(house)
    house.open_browser(elder)
    path, _answer = ask(house, phone=phone)
    house.open_browser(neighbour)
    press(house, path, "accept")
    press(house, path, "deliver", minutes="60")
    house.open_browser(elder)
    press(house, path, "dispute", reason="shorter", words="Half an hour, no more.")
    assert "kept back until" in house.client.get(path).text
    house.open_browser(house.resident("Worker", Role.SOCIAL_WORKER))
    assert path in house.client.get("/timebank").text
    assert press(house, path, "settle", minutes="999").status_code == 422
    assert press(house, path, "settle", minutes="0").status_code == 422  # no reason given
    ruling = {"minutes": "0", "verdict": "Nobody was at home."}
    assert press(house, path, "settle", **ruling).status_code == 303
    assert "called off" in house.client.get(path).text


def test_everything_shown_has_chinese_words() -> None:
    words = language.load()
    for kind in rules.SERVICES.values():
        assert words.get(kind.title)
        assert words.get(kind.standard)
    assert all(words.get(rules.needed_state(act)) for act in rules.Act)
    assert set(state_names()) == set(rules.ExchangeState)
    assert set(act_names()) == set(rules.Act)
