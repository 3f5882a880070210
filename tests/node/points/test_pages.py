"""The pages of points: reserve at home, award and hand out at the desk, nobody's name in public."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from node.kernel.ids import derived_id, new_id
from node.points import pages, rules, service, shelf
from node.points.rules import FIRST_CATALOGUE, FIRST_RULES, EvidenceKind
from node.points.service import Evidence
from node.points.words import activity_name
from node.residents.pages import routes as residents_routes
from node.residents.rules import Role
from node.web import language
from tests.node.web.client import ClientHouse, house_at

NAME = "Wang Xiulan"


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*pages.routes, *residents_routes], [pages.card]) as house:
        house.database.do(lambda session: service.prepare(session, house.clock))
        yield house


def thank(house: ClientHouse, resident_id: UUID, *, minutes: int = 240) -> None:
    house.database.do(
        lambda session: service.award(
            session,
            house.clock,
            award_id=new_id(),
            resident_id=resident_id,
            activity="volunteering",
            evidence=Evidence(EvidenceKind.COSIGNATURE, new_id()),
            minutes=minutes,
        )
    )


def reserve(house: ClientHouse) -> Any:
    fields = {"form_id": str(new_id()), "item": "market_voucher_10"}
    return house.post_form("/points/redemptions", page="/points", **fields)


def test_everybody_sees_rules_and_shelf(house: ClientHouse) -> None:
    house.open_browser()
    text = house.client.get("/points").text
    assert "Supermarket voucher, 10 yuan" in text
    assert "Guiding waste sorting" in text
    assert "Put aside for me" not in text
    assert "10 元超市券" in house.client.get("/points?lang=zh").text


def test_a_resident_reserves_and_the_desk_hands_out(house: ClientHouse) -> None:
    elder, clerk = house.resident(NAME), house.resident("Clerk", Role.CLERK)
    thank(house, elder)
    house.open_browser(elder)
    assert reserve(house).status_code == 303
    shown = house.client.get("/points?reserved=1").text
    found = re.search(r'class="code">([2-9A-Z]{4} [2-9A-Z]{4})<', shown)
    assert found is not None
    assert "Show the code at the desk" in shown
    house.open_browser(clerk)
    wrong = house.post_form("/points/desk/collect", page="/points/desk", code="22222222")
    assert (wrong.status_code, "does not fit" in wrong.text) == (409, True)
    done = house.post_form("/points/desk/collect", page="/points/desk", code=found[1])
    assert done.status_code == 303
    assert "Hand over: Supermarket" in house.client.get(done.headers["location"]).text


def test_what_was_put_aside_can_be_given_back_by_its_owner_alone(house: ClientHouse) -> None:
    elder, other = house.resident(NAME), house.resident("Other")
    thank(house, elder)
    house.open_browser(elder)
    reserve(house)
    with house.database.read() as session:
        redemption_id = shelf.redemptions_of(session, elder, limit=1).rows[0].id
    path = f"/points/redemptions/{redemption_id}/release"
    house.open_browser(other)
    assert house.post_form(path, page="/sign-in").status_code == 404
    house.open_browser(elder)
    assert house.post_form(path, page="/points").status_code == 303


def test_too_few_points_is_a_sentence(house: ClientHouse) -> None:
    house.open_browser(house.resident(NAME))
    answer = house.post_form(
        "/points/redemptions", page="/sign-in", form_id=str(new_id()), item="parking_month"
    )
    assert answer.status_code == 409
    assert "Only 0 points are available" in answer.text


def test_the_public_journal_has_no_names(house: ClientHouse) -> None:
    elder = house.resident(NAME)
    thank(house, elder)
    house.open_browser(elder)
    with house.database.read() as session:
        secret = service.secret(session)
    pseudonym = rules.pseudonym(elder, year=house.clock.now().year, secret=secret)
    text = house.client.get("/points/journal").text
    assert NAME not in text
    assert str(elder) not in text
    assert text.count(pseudonym) == 2  # the line, and "yours"


def test_a_clerk_awards_for_whom_they_act(house: ClientHouse) -> None:
    elder, clerk = house.resident(NAME), house.resident("Clerk", Role.CLERK)
    house.open_browser(clerk)
    assert "First choose for whom" in house.client.get("/points/desk").text
    house.client.cookies.set("linli_acting", str(elder))
    assert f"For: {NAME}" in house.client.get("/points/desk").text
    fields = {"activity": "council_session", "kind": "attendance", "sheet": "A-17", "minutes": ""}
    done = house.post_form(
        "/points/desk/award", page="/points/desk", form_id=str(new_id()), **fields
    )
    assert (done.status_code, done.headers["location"]) == (303, "/points/desk?awarded=20")
    again = house.post_form(
        "/points/desk/award", page="/points/desk", form_id=str(new_id()), **fields
    )
    assert (again.status_code, "already earned" in again.text) == (409, True)
    with house.database.read() as session:
        row = service.awards_of(session, elder, limit=1).rows[0]
    assert row.awarded_by == clerk
    assert row.evidence_id == derived_id("evidence", "attendance", row.day, "a-17")


def test_residents_have_no_desk(house: ClientHouse) -> None:
    house.open_browser(house.resident(NAME))
    assert house.client.get("/points/desk").status_code == 403


def test_the_home_page_knows_my_points(house: ClientHouse) -> None:
    elder = house.resident(NAME)
    thank(house, elder)
    house.open_browser(elder)
    assert "You have 120 points." in house.client.get("/").text


def test_what_the_document_names_has_chinese_words() -> None:
    words = language.load()
    assert all(words.get(item.title) for item in FIRST_CATALOGUE)
    assert all(activity_name(code) != code for code in FIRST_RULES.activities)
