"""The inbox as its reader uses it, on pages and as JSON."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from icalendar import Calendar

from node.kernel.ids import new_id
from node.notices import api, pages, service, settings
from node.residents import pages as residents_pages
from node.residents.rules import Role
from tests.node.notices.test_service import agree_and_choose
from tests.node.web.client import ClientHouse, house_at


@pytest.fixture
def house(tmp_path: Path) -> Iterator[ClientHouse]:
    routes = [*api.routes, *pages.routes, *residents_pages.routes]
    with house_at(tmp_path, routes, [pages.card]) as house:
        yield house


def tell(house: ClientHouse, resident_id: UUID) -> UUID:
    notice_id = new_id()
    house.database.do(
        lambda session: service.tell(
            session,
            house.clock,
            notice_id=notice_id,
            resident_id=resident_id,
            kind="vote_open",
            details={"day": "2026-02-01"},
            link="/council",
            ends_at=house.clock.now() + timedelta(days=31),
        )
    )
    return notice_id


def test_new_until_seen(house: ClientHouse) -> None:
    me = house.resident("Li")
    notice_id = tell(house, me)
    house.open_browser(me)
    assert "1 new messages" in house.client.get("/").text
    assert "A vote is open until February 1, 2026." in house.client.get("/inbox").text
    house.post_form("/inbox/read", page="/inbox", seen=f"{notice_id} nonsense {new_id()}")
    assert 'class="is-new"' not in house.client.get("/inbox").text
    assert "new messages" not in house.client.get("/").text
    calendar = house.client.get(f"/inbox/{notice_id}/calendar.ics")
    [event] = Calendar.from_ical(calendar.content).walk("VEVENT")
    assert event["uid"] == f"{notice_id}@linli"


def test_others_have_no_such_notice(house: ClientHouse) -> None:
    notice_id = tell(house, house.resident("Li"))
    other = house.resident("Wu")
    house.open_browser(other)
    assert house.client.get(f"/inbox/{notice_id}/calendar.ics").status_code == 404
    path = f"/api/notices/{notice_id}/read"
    assert house.client.post(path, headers=house.signed_in(other)).status_code == 404


def test_the_inbox_as_json(house: ClientHouse) -> None:
    me = house.resident("Li")
    notice_id = tell(house, me)
    mine = house.signed_in(me)
    answer = house.client.get("/api/notices", headers=mine).json()
    assert (answer["unread"], answer["notices"][0]["kind"]) == (1, "vote_open")
    for _ in range(2):
        path = f"/api/notices/{notice_id}/read"
        assert house.client.post(path, headers=mine).json()["is_read"] is True
    assert house.client.get("/api/notices", headers=mine).json()["unread"] == 0
    clerk = house.bearer(Role.CLERK, acting_for=me)
    assert len(house.client.get("/api/notices", headers=clerk).json()["notices"]) == 1


def test_choosing_a_way(house: ClientHouse) -> None:
    me = house.resident("Li")
    house.open_browser(me)
    assert "has connected no e-mail" in house.client.get("/inbox/ways").text
    (house.settings.directory / settings.FILE_NAME).write_text(
        '[mail]\nhost = "mail.example.org"\nsender = "house@example.org"\n'
    )
    assert "First agree that notices may leave" in house.client.get("/inbox/ways").text
    agree_and_choose(house, me, "li@example.org")
    assert "li@example.org" in house.client.get("/inbox/ways").text
    for channel, address, status in (
        ("email", "li", 422),
        ("sms", "13900000001", 422),  # not connected here
        ("fax", "1", 422),
        ("email", "new@example.org", 303),
        ("email", "", 303),
    ):
        fields = {"channel": channel, f"address-{channel}": address}
        answer = house.post_form("/inbox/ways", page="/inbox/ways", **fields)
        assert answer.status_code == status, (channel, address)
    assert "example.org" not in house.client.get("/inbox/ways").text
