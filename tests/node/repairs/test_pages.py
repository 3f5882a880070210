"""A repair as people do it: forms, photos, my requests, the board, my work."""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from node.repairs import api, pages, photos
from node.repairs.plan import Plan, Route, Team
from node.residents import pages as residents_pages
from node.residents.rules import Role
from tests.node.repairs.desk import DONE, Desk, picture
from tests.node.web.client import ClientHouse, house_at

LAMP = {"title": "Lamp", "description": "Dark", "location": "7-2", "category": "lift"}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    routes = [*api.routes, *pages.routes, *residents_pages.routes]
    with house_at(tmp_path, routes, [pages.card]) as house:
        yield house


@pytest.fixture
def me(house: ClientHouse) -> UUID:
    me = house.resident("Li")
    house.open_browser(me)
    return me


def test_report_work_rate_reopen(house: ClientHouse, me: UUID) -> None:
    sent = house.post_form("/repairs/new", page="/repairs/new", **LAMP)
    assert sent.headers["location"] == "/repairs/1"
    assert "Lamp" in house.client.get("/repairs").text
    assert "Lamp: reported" in house.client.get("/").text
    house.open_browser(house.resident("Zhao", Role.PROPERTY))
    assert "Dispatch" in house.client.get("/repairs").text
    for status in ("dispatched", "processing", "completed"):
        done = house.post_form(
            "/repairs/1/step", page="/repairs/1", status=status, assignee="Crew 1", notes="ok"
        )
        assert done.status_code == 303
    house.open_browser(me)
    page = house.client.get("/repairs/1").text
    assert "How was it?" in page
    assert "Crew 1" in page
    rated = house.post_form("/repairs/1/rate", page="/repairs/1", rating=5, comment="")
    assert rated.status_code == 303
    reopened = house.post_form("/repairs/1/reopen", page="/repairs/1", reason="Dark again")
    assert reopened.status_code == 303
    assert "reported" in house.client.get("/repairs/1").text


def test_an_empty_report_names_its_fields(house: ClientHouse, me: UUID) -> None:
    answer = house.post_form("/repairs/new", page="/repairs/new", title="Lamp", category="lift")
    assert answer.status_code == 422
    assert 'href="#field-location"' in answer.text
    assert 'value="Lamp"' in answer.text


def test_sending_a_form_twice_reports_once(house: ClientHouse, me: UUID) -> None:
    fields = LAMP | {"form_id": "0198f1c2-0000-7000-8000-000000000001"}
    answers = [house.post_form("/repairs/new", page="/repairs/new", **fields) for _ in range(2)]
    assert [one.headers["location"] for one in answers] == ["/repairs/1"] * 2


def test_a_jump_and_a_stranger_are_refused(house: ClientHouse, me: UUID) -> None:
    house.post_form("/repairs/new", page="/repairs/new", **LAMP)
    forbidden = house.post_form("/repairs/1/step", page="/repairs/1", status="dispatched")
    assert forbidden.status_code == 403
    house.open_browser(house.resident("Zhao", Role.CLERK))
    jump = house.post_form("/repairs/1/step", page="/repairs/1", status="completed")
    assert jump.status_code == 422
    assert "needs processing" in jump.text
    house.open_browser(house.resident("Wu"))
    assert house.client.get("/repairs/1").status_code == 403
    assert house.client.get("/repairs/9").status_code == 404


def test_text_is_never_markup(house: ClientHouse, me: UUID) -> None:
    title = "<script>alert(1)</script>"
    house.post_form("/repairs/new", page="/repairs/new", **LAMP | {"title": title})
    assert title not in house.client.get("/repairs").text + house.client.get("/repairs/1").text


def test_photos_come_with_the_report_and_are_shown_to_few(house: ClientHouse, me: UUID) -> None:
    house.client.get("/repairs/new")
    token = re.search(r'name="csrf" value="([^"]+)"', house.client.get("/repairs/new").text)
    assert token is not None
    files = [("photo", ("holiday.exe", picture(), "text/html")) for _ in range(2)]
    sent = house.client.post(
        "/repairs/new", data=LAMP | {"csrf": token[1]}, files=files, follow_redirects=False
    )
    assert (sent.status_code, sent.headers["location"]) == (303, "/repairs/1")
    shown = re.findall(r'src="(/repairs/1/photos/[^"]+)"', house.client.get("/repairs/1").text)
    assert len(shown) == 1, "the same picture twice is one"
    answer = house.client.get(shown[0].replace("&amp;", "&"))
    assert answer.headers["content-type"] == "image/jpeg"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    house.open_browser(house.resident("Wu"))
    assert house.client.get(shown[0]).status_code == 403


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ([picture()] * (photos.PHOTOS_AT_ONCE_MAX + 1), "At most 3 photos"),
        ([b"<svg onload=alert(1)>"], "no photo that can be read"),
    ],
)
def test_a_bad_photo_keeps_what_was_typed(
    house: ClientHouse, me: UUID, files: list[bytes], problem: str
) -> None:
    token = re.search(r'name="csrf" value="([^"]+)"', house.client.get("/repairs/new").text)
    assert token is not None
    sent = house.client.post(
        "/repairs/new",
        data=LAMP | {"csrf": token[1]},
        files=[("photo", ("a.jpg", one, "image/jpeg")) for one in files],
    )
    assert sent.status_code == 422
    assert problem in sent.text
    assert 'value="Lamp"' in sent.text


def test_a_worker_shows_the_work_and_says_what_is_often_said(house: ClientHouse, me: UUID) -> None:
    Desk(house).report(me)
    house.open_browser(house.resident("Zhao", Role.PROPERTY))
    token = re.search(r'name="csrf" value="([^"]+)"', house.client.get("/repairs/1").text)
    assert token is not None
    step = {"csrf": token[1], "status": "dispatched", "reply": "on_the_way", "notes": "at 3 pm"}
    done = house.client.post(
        "/repairs/1/step",
        data=step,
        files=[("photo", ("x", picture("PNG"), ""))],
        follow_redirects=False,
    )
    assert done.status_code == 303
    house.open_browser(me)
    english = house.client.get("/repairs/1").text
    assert "We are on our way." in english
    assert "at 3 pm" in english
    assert "/photos/" in english
    assert "已派师傅" in house.client.get("/repairs/1?lang=zh").text
    wrong = house.post_form("/repairs/1/step", page="/repairs/1", status="processing", reply="x")
    assert wrong.status_code == 403


def test_my_work_is_my_team_s_and_the_most_overdue_comes_first(
    house: ClientHouse, me: UUID
) -> None:
    desk = Desk(house)
    worker = house.resident("Zhao", Role.PROPERTY)
    teams = (Team("lifts", "Lift crew", (worker,)), Team("rest", "Rest"))
    desk.plan(Plan(teams=teams, routes=(Route("lifts", "lift"), Route("rest"))))
    desk.report(me, "Road", category="transport")
    desk.report(me, "Later lift", category="lift")
    house.clock.advance(timedelta(hours=5))
    desk.report(me, "New lift", category="lift")
    house.open_browser(worker)
    mine = house.client.get("/repairs/work").text
    assert "1 overdue" in mine
    assert mine.index("Later lift") < mine.index("New lift")
    assert "Road" not in mine
    assert "Road" in house.client.get("/repairs/work?all=1").text
    for number in range(25):
        desk.report(me, f"Lift {number}", category="lift")
    first = house.client.get("/repairs/work").text
    following = re.search(r'href="([^"]+)" rel="next"', first)
    assert following is not None
    second = house.client.get(following[1].replace("&amp;", "&")).text
    assert "Lift 24" in second
    assert "Later lift" not in second
    house.open_browser(me)
    assert house.client.get("/repairs/work").status_code == 403


def test_a_request_can_be_reopened_for_two_weeks(house: ClientHouse, me: UUID) -> None:
    desk = Desk(house)
    desk.move(desk.report(me).id, *DONE)
    assert "It is not fixed" in house.client.get("/repairs/1").text
    house.clock.advance(timedelta(days=13, hours=23))
    assert "It is not fixed" in house.client.get("/repairs/1").text
    house.clock.advance(timedelta(hours=2))
    house.open_browser(me)
    assert "It is not fixed" not in house.client.get("/repairs/1").text
