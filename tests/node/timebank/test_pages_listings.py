"""Pages of offers and needs, training and the statement, as residents and the desk see them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from node.kernel.ids import new_id
from node.residents.model import Resident
from node.residents.pages import routes as residents_routes
from node.residents.rules import Role
from node.timebank import pages
from tests.node.web.client import ClientHouse, house_at


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*pages.routes, *residents_routes], [pages.card]) as house:
        yield house


def list_one(house: ClientHouse, kind: str, **changes: str) -> tuple[str, Any]:
    form_id = str(new_id())
    fields = {
        "kind": kind,
        "service": "companionship",
        "day-0": "1",
        "day-2": "1",
        "part-morning": "1",
        "minutes": "60",
        "note": "",
        "form_id": form_id,
    }
    answer = house.post_form(
        "/timebank/listings/new", page="/timebank/listings/new", **(fields | changes)
    )
    return f"/timebank/listings/{form_id}", answer


def live_in(house: ClientHouse, building: str, *residents: UUID) -> None:
    def command(session: Session) -> None:
        for resident_id in residents:
            session.get_one(Resident, resident_id).building = building

    house.database.do(command)


def test_from_a_need_to_an_agreed_visit(house: ClientHouse) -> None:
    elder, helper = house.resident("Wang Xiulan"), house.resident("Zhao Min")
    live_in(house, "7", elder, helper)
    house.open_browser(helper)
    offer, made = list_one(house, "offer", note="I like chess.")
    assert (made.status_code, made.headers["location"]) == (303, offer)
    house.open_browser(elder)
    need, _made = list_one(house, "need")
    text = house.client.get(need).text
    assert "100 of 100" in text
    assert "2 of 2 times fit: 50 of 50" in text
    assert "same building: 30 of 30" in text
    assert offer in text
    assert "Z**" in text
    assert "Zhao Min" not in text, "full names are for those who have agreed to talk"
    house.open_browser(helper)
    listed = house.client.get("/timebank/listings").text
    assert "W**" in listed
    assert "Wang" not in listed
    form_id = str(new_id())
    answered = house.post_form(
        f"{need}/answer",
        page=need,
        minutes="60",
        planned_at="2026-01-05T09:30",
        form_id=form_id,
    )
    exchange = f"/timebank/exchanges/{form_id}"
    assert (answered.status_code, answered.headers["location"]) == (303, exchange)
    house.open_browser(elder)
    assert "Yes, please come" in house.client.get(exchange).text
    assert "09:30" in house.client.get(exchange).text
    assert house.post_form(f"{exchange}/accept", page=exchange).status_code == 303
    assert "promised" in house.client.get(exchange).text


def test_a_form_says_what_is_missing(house: ClientHouse) -> None:
    house.open_browser(house.resident())
    _path, answer = list_one(house, "need", **{"day-0": "", "minutes": "50"})
    assert (answer.status_code, "in steps of 15" in answer.text) == (409, True)
    bare = house.post_form(
        "/timebank/listings/new",
        page="/timebank/listings/new",
        kind="need",
        service="companionship",
        minutes="60",
        note="",
    )
    assert (bare.status_code, "choose at least one day" in bare.text) == (422, True)


def test_a_listing_is_taken_down_by_its_resident_alone(house: ClientHouse) -> None:
    elder, other = house.resident(), house.resident()
    house.open_browser(elder)
    need, _made = list_one(house, "need")
    house.open_browser(other)
    assert house.post_form(f"{need}/close", page="/timebank/listings").status_code == 404
    house.open_browser(elder)
    assert house.post_form(f"{need}/close", page=need).status_code == 303
    house.open_browser(other)
    assert house.client.get(need).status_code == 404
    late = house.post_form(f"{need}/answer", page="/timebank/listings", minutes="60", planned_at="")
    assert late.status_code == 404
    house.open_browser()
    assert house.client.get("/timebank/listings", follow_redirects=False).status_code == 303


def test_the_desk_writes_training_down_for_whom_it_acts(house: ClientHouse) -> None:
    helper, clerk = house.resident("Zhao Min"), house.resident("Clerk", Role.CLERK)
    house.open_browser(helper)
    assert house.client.get("/timebank/training").status_code == 403
    _path, refused = list_one(house, "offer", service="personal_care")
    assert "needs training" in refused.text
    house.open_browser(clerk)
    house.client.cookies.set("linli_acting", str(helper))
    noted = house.post_form(
        "/timebank/training", page="/timebank/training", service="personal_care"
    )
    assert noted.status_code == 303
    assert "Washing and dressing" in house.client.get("/timebank/training").text
    house.open_browser(helper)
    _path, made = list_one(house, "offer", service="personal_care")
    assert made.status_code == 303


def test_both_names_stand_on_what_the_desk_did(house: ClientHouse) -> None:
    elder, _helper = house.resident("Wang Xiulan"), house.resident("Zhao Min")
    house.open_browser(house.resident("Chen Jie", Role.CLERK))
    house.client.cookies.set("linli_acting", str(elder))
    form_id = str(new_id())
    fields = {"service": "errands", "minutes": "60", "planned_at": "", "form_id": form_id}
    house.post_form("/timebank/request", page="/timebank/request", phone=house.phone(2), **fields)
    text = house.client.get(f"/timebank/exchanges/{form_id}").text
    assert "Wang Xiulan asked, or offered" in text
    assert "written down by Chen Jie" in text


def test_the_statement_on_paper_and_as_a_table(house: ClientHouse) -> None:
    elder, helper = house.resident("Wang Xiulan"), house.resident("Zhao Min")
    house.open_browser(elder)
    form_id = str(new_id())
    fields = {"service": "errands", "minutes": "60", "planned_at": "", "form_id": form_id}
    house.post_form("/timebank/request", page="/timebank/request", phone=house.phone(2), **fields)
    path = f"/timebank/exchanges/{form_id}"
    for who, act in ((helper, "accept"), (helper, "deliver"), (helper, "confirm")):
        house.open_browser(who)
        house.post_form(f"{path}/{act}", page=path, minutes="60")
    house.open_browser(elder)
    house.post_form(f"{path}/confirm", page=path)
    paper = house.client.get("/timebank/statement/paper?month=2026-01-01").text
    assert "Wang Xiulan" in paper
    assert "Zhao Min" in paper
    assert "-60 minutes" in paper
    table = house.client.get("/timebank/statement.csv?month=2026-01-01")
    assert table.headers["content-type"].startswith("text/csv")
    assert 'filename="statement-2026-01.csv"' in table.headers["content-disposition"]
    assert table.content.startswith(b"\xef\xbb\xbf")
    assert "Help between neighbours,-60,-60" in table.text
    assert house.client.get("/timebank/statement.csv?month=soon").status_code == 400
