"""Pages of evidence and of the open books: screen, check-in, claims, versions, ranking, shelf."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from node.kernel.ids import derived_id, new_id
from node.points import codes, onsite, pages, service
from node.points.rules import EvidenceKind
from node.points.service import Evidence
from node.residents.pages import routes as residents_routes
from node.residents.rules import Role
from tests.node.web.client import ClientHouse, house_at


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    with house_at(tmp_path, [*pages.routes, *residents_routes], [pages.card]) as house:
        house.database.do(lambda session: service.prepare(session, house.clock))
        yield house


def open_gathering(house: ClientHouse, activity: str = "waste_sorting") -> str:
    """A clerk opens one; returns its address."""
    house.open_browser(house.resident("Clerk", Role.CLERK))
    form_id = str(new_id())
    fields = {"activity": activity, "place": "Gate 3", "hours": "2", "form_id": form_id}
    opened = house.post_form("/points/gatherings", page="/points/gatherings", **fields)
    path = f"/points/gatherings/{form_id}"
    assert (opened.status_code, opened.headers["location"]) == (303, f"{path}/screen")
    return path


def digits_on(house: ClientHouse, path: str) -> str:
    shown = re.search(r'class="code">(\d{3} \d{3})<', house.client.get(f"{path}/screen").text)
    assert shown is not None
    return shown[1]


def thank(house: ClientHouse, resident_id: UUID, *, minutes: int = 240) -> None:
    house.database.do(
        lambda session: service.award(
            session,
            house.clock,
            award_id=new_id(),
            resident_id=resident_id,
            activity="volunteering",
            evidence=Evidence(EvidenceKind.ATTENDANCE, new_id()),
            minutes=minutes,
        )
    )


def test_the_screen_shows_a_code_that_changes_by_itself(house: ClientHouse) -> None:
    path = open_gathering(house)
    screen = house.client.get(f"{path}/screen")
    refresh = int(screen.headers["refresh"])
    assert 1 <= refresh <= codes.STEP_SECONDS + 1
    assert "<svg" in screen.text
    assert "<script" not in screen.text
    first = digits_on(house, path)
    house.clock.advance(timedelta(seconds=refresh))
    assert digits_on(house, path) != first
    house.open_browser(house.resident())
    assert house.client.get(f"{path}/screen").status_code == 403


def test_a_resident_types_the_code_and_is_thanked(house: ClientHouse) -> None:
    path = open_gathering(house)
    code, elder = digits_on(house, path), house.resident("Wang Xiulan")
    house.open_browser(elder)
    assert "Gate 3" in house.client.get("/points/gatherings").text
    wrong = house.post_form(path, page=path, code="000000")
    assert (wrong.status_code, "not the code" in wrong.text) == (409, True)
    scanned = f"{path}?code={code.replace(' ', '')}"
    assert f'value="{code.replace(" ", "")}"' in house.client.get(scanned).text
    assert house.post_form(path, page=scanned, code=code).status_code == 303
    assert "given 10 points" in house.client.get(path).text
    house.open_browser()
    assert house.client.get(path, follow_redirects=False).status_code == 303  # sign in first


def test_hours_take_two_codes(house: ClientHouse) -> None:
    path = open_gathering(house, "volunteering")
    code, elder = digits_on(house, path), house.resident()
    house.open_browser(elder)
    house.post_form(path, page=path, code=code)
    assert "I leave now" in house.client.get(path).text
    house.clock.advance(timedelta(minutes=60))
    with house.database.read() as session:
        secret = onsite.find(session, UUID(path.rpartition("/")[2])).secret
    house.post_form(path, page=path, code=codes.code_at(secret, house.clock.now()))
    assert "given 30 points" in house.client.get(path).text


def test_a_neighbour_signs(house: ClientHouse) -> None:
    elder, helper = house.resident("Wang Xiulan"), house.resident("Zhao Min")
    house.open_browser(elder)
    fields = {"activity": "volunteering", "minutes": "60", "day": "2026-01-01"}
    path = "/points/claims"
    bad = house.post_form(path, page=path, phone="99999", **fields)
    assert (bad.status_code, "nobody here has this number" in bad.text) == (409, True)
    own = house.post_form(path, page=path, phone=house.phone(1), **fields)
    assert "name another person" in own.text
    claimed = house.post_form(
        path, page=path, phone=house.phone(2), form_id=str(derived_id("claim")), **fields
    )
    assert claimed.status_code == 303
    assert "waits for the signature" in house.client.get(path).text
    house.open_browser(helper)
    assert "1 neighbours ask you" in house.client.get("/").text
    assert "Wang Xiulan" in house.client.get(path).text
    signed = house.post_form(f"{path}/{derived_id('claim')}/sign", page=path)
    assert signed.status_code == 303
    house.open_browser(elder)
    assert "You have 30 points." in house.client.get("/").text


def test_every_version_of_the_rules_can_be_read(house: ClientHouse) -> None:
    motion = derived_id("motion")
    house.clock.advance(timedelta(days=3))
    change = {"activities": {"waste_sorting": {"points": 15, "evidence": ["onsite_code"]}}}
    house.database.do(
        lambda session: service.adopt(session, house.clock, motion_id=motion, change=change)
    )
    house.open_browser()
    text = house.client.get("/points/rules").text
    assert "Guiding waste sorting · Points: 10 → 15" in text
    assert "A second person signed, Code shown at the place → Code shown at the place" in text
    assert f"/council/motions/{motion}" in text
    assert "Since 4 Jan 2026" in text
    assert "Since 1 Jan 2026" in text


def test_the_ranking_keeps_names_to_those_who_want_it(house: ClientHouse) -> None:
    elder, helper, quiet = (house.resident(name) for name in ("Wang", "Zhao", "Qian"))
    for resident_id, minutes in ((elder, 240), (helper, 120), (quiet, 180)):
        thank(house, resident_id, minutes=minutes)
    for resident_id, shown in ((helper, "name"), (quiet, "not")):
        house.open_browser(resident_id)
        chosen = house.post_form("/points/ranking", page="/points/ranking", shown=shown)
        assert chosen.status_code == 303
    own = house.client.get("/points/ranking").text
    assert "You in this month: 90 points" in own
    house.open_browser()
    text = house.client.get("/points/ranking").text
    assert "Zhao" in text
    assert "Wang" not in text
    assert "Qian" not in text
    assert re.findall(r'class="number">(\d+)<', text) == ["1", "120", "2", "60"]
    earlier = house.client.get("/points/ranking?month=2025-12-01").text
    assert "Nothing has been awarded in this month yet." in earlier


def test_the_clerk_keeps_the_shelf(house: ClientHouse) -> None:
    house.open_browser(house.resident())
    assert house.client.get("/points/shelf").status_code == 403
    house.open_browser(house.resident("Clerk", Role.CLERK))
    shelf = "/points/shelf"
    fields = {"title": "Tea", "points": "40", "stock": "3"}
    for _ in range(2):
        made = house.post_form(shelf, page=shelf, form_id=str(derived_id("tea")), **fields)
        assert made.status_code == 303
    code = f"item_{derived_id('tea').hex}"
    changed = house.post_form(f"{shelf}/{code}/stock", page=shelf, change="-1", reason="broken")
    assert changed.status_code == 303
    too_many = house.post_form(f"{shelf}/{code}/stock", page=shelf, change="-9", reason="broken")
    assert (too_many.status_code, "There are 2" in too_many.text) == (409, True)
    assert "broken or out of date" in house.client.get(shelf).text
    assert "Tea" in house.client.get("/points").text
    house.post_form(f"{shelf}/{code}/offer", page=shelf, is_offered="no")
    assert "Tea" not in house.client.get("/points").text


def test_the_desk_takes_back_and_the_resident_reads_why(house: ClientHouse) -> None:
    elder, clerk = house.resident("Wang"), house.resident("Clerk", Role.CLERK)
    thank(house, elder)
    spend(house, elder)
    house.open_browser(clerk)
    house.client.cookies.set("linli_acting", str(elder))
    with house.database.read() as session:
        award_id = service.awards_of(session, elder, limit=1).rows[0].id
    taken = house.post_form(
        f"/points/desk/awards/{award_id}/reverse", page="/points/desk", reason="not_done"
    )
    assert taken.headers["location"] == "/points/desk?taken=120"
    house.open_browser(elder)
    text = house.client.get("/points").text
    assert "Earn 100 more" in text
    assert "did not take place" in text
    assert "Put aside for me:" not in text


def spend(house: ClientHouse, resident_id: UUID) -> Any:
    """The resident puts a voucher aside, reads the slip, and a clerk hands it out."""
    house.open_browser(resident_id)
    form_id = str(new_id())
    house.post_form(
        "/points/redemptions", page="/points", item="market_voucher_10", form_id=form_id
    )
    slip = house.client.get(f"/points/redemptions/{form_id}").text
    code = re.search(r'class="code">(\w{4} \w{4})<', slip)
    assert code is not None
    house.open_browser(house.resident("Other clerk", Role.CLERK))
    done = house.post_form("/points/desk/collect", page="/points/desk", code=code[1])
    assert done.status_code == 303
