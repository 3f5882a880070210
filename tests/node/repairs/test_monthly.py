"""The month's report: figures by hand, without anybody's name."""

import csv
import io
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import pytest

from node.kernel.errors import BadInput
from node.repairs import monthly, rules, service
from node.residents.rules import Role
from tests.node.repairs.desk import DONE, Desk
from tests.node.web.client import ClientHouse


@pytest.fixture
def me(house: ClientHouse, desk: Desk) -> UUID:
    """In January three lifts (2, 6 and 10 hours; due after 4) and one road; in December one lift.

    The slowest lift was rated 2 and reopened.
    """
    me = house.resident("Li")
    desk.move(desk.report(me, category="lift").id, *DONE, hours_each=1)  # 31 December, Shanghai
    desk.clock.advance(timedelta(days=2))
    for hours in (2, 6, 10):
        number = desk.report(me, category="lift").id
        desk.clock.advance(timedelta(hours=hours))
        desk.move(number, *DONE)
    for rated, rating in ((2, 5), (4, 2)):
        house.database.do(partial(service.rate, clock=desk.clock, request_id=rated, rating=rating))
    house.database.do(
        lambda session: service.reopen(session, desk.clock, request_id=4, changed_by="me")
    )
    desk.report(me, category="transport", title="SECRET", location="HOME")
    return me


@pytest.fixture
def house(house: ClientHouse) -> ClientHouse:
    house.clock.moment = datetime(2025, 12, 31, 10, tzinfo=UTC)
    return house


def test_the_figures(house: ClientHouse, desk: Desk, me: UUID) -> None:
    desk.clock.advance(timedelta(days=1))
    with house.database.read() as session:
        month = monthly.report(session, desk.clock, year=2026, month=1)
    lift, road = month.lines
    assert (lift.category, lift.reported, lift.completed) == ("lift", 3, 2)
    assert (lift.median_hours, lift.median_hours_before, lift.is_slower) == (4.0, 3.0, True)
    assert (lift.overdue, lift.overdue_percent) == (2, 67), "6 hours, and the reopened one by now"
    assert (lift.ratings, lift.mean_rating, lift.reopened) == (2, 3.5, 1)
    assert (road.reported, road.median_hours, road.overdue) == (1, None, 0)
    assert (month.total.reported, month.total.reopened) == (4, 1)
    assert (month.reopened, month.poorly_rated) == ([4], [4])


def test_the_page_and_the_table_for_everybody(house: ClientHouse, desk: Desk, me: UUID) -> None:
    house.open_browser()
    page = house.client.get("/repairs/months/2026-01").text
    assert "Lift" in page
    assert "Worth a second look" not in page
    table = house.client.get("/repairs/months/2026-01/report.csv")
    assert table.content.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(table.content.decode("utf-8-sig"))))
    assert [row["category"] for row in rows] == ["lift", "transport", "total"]
    assert rows[0]["median_hours"] == "4.0"
    assert "SECRET" not in page + table.text
    house.open_browser(house.resident("Wang", Role.CLERK))
    assert "Worth a second look" in house.client.get("/repairs/months/2026-01").text
    assert "Nothing was reported" in house.client.get("/repairs/months/2024-02").text
    for wrong in ("2026-13", "26-1", "x", "0000-00"):
        assert house.client.get(f"/repairs/months/{wrong}").status_code == 400


def test_the_public_board_names_nobody(house: ClientHouse, desk: Desk, me: UUID) -> None:
    desk.report(me, "SECRET", location="HOME", building="7", category="welfare")
    desk.report(me, "SECRET", location="HOME", building="8", category="other", is_shared=True)
    house.open_browser()
    page = house.client.get("/repairs/progress").text
    assert "SECRET" not in page
    assert "HOME" not in page
    assert "Something else · 8" in page
    assert "Daily life and care · 7" not in page
    for number in range(25):
        desk.report(me, f"Lamp {number}")
    first = house.client.get("/repairs/progress")
    assert 'rel="next"' in first.text


@pytest.mark.parametrize("text", ["2026-00", "1999-12", "2026-1", "2026-011", "２０２６-01"])
def test_what_is_no_month(text: str) -> None:
    with pytest.raises(BadInput):
        rules.check_month(text)


def test_a_month_begins_at_midnight_in_the_community() -> None:
    first, end = rules.month_span(2025, 12)
    assert first == datetime(2025, 11, 30, 16, tzinfo=UTC)
    assert end == datetime(2025, 12, 31, 16, tzinfo=UTC)
    assert rules.month_of(end) == (2026, 1)
