"""The statement as lines, as a month, as CSV: every figure follows from the one before it."""

import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest

from node.kernel.clock import VirtualClock
from node.kernel.db import Database
from node.kernel.ids import derived_id
from node.timebank import statement
from node.timebank.rules import Act
from node.web.language import LOCAL_TIME
from tests.node.timebank.conftest import ELDER
from tests.node.timebank.test_service import BY_ELDER, BY_NEIGHBOUR, Desk


@pytest.fixture
def desk(database: Database, clock: VirtualClock) -> Desk:
    return Desk(database, clock)


def give(desk: Desk, name: str, minutes: int) -> None:
    hour = derived_id(name)
    desk.request(hour, minutes=minutes)
    desk.act(hour, Act.ACCEPT, BY_NEIGHBOUR)
    desk.act(hour, Act.DELIVER, BY_NEIGHBOUR, minutes=minutes)
    desk.act(hour, Act.CONFIRM, BY_ELDER)
    desk.act(hour, Act.CONFIRM, BY_NEIGHBOUR)


def month_of(desk: Desk, month: date) -> statement.Statement:
    with desk.database.read() as session:
        return statement.of_month(session, ELDER, month=month, zone=LOCAL_TIME)


def test_a_month_leads_from_its_opening_to_its_closing_balance(
    desk: Desk, clock: VirtualClock
) -> None:
    clock.moment = datetime(2026, 1, 31, 15, 59, tzinfo=UTC)  # a minute before February there
    give(desk, "january", 60)
    clock.advance(timedelta(minutes=2))
    give(desk, "february a", 30)
    give(desk, "february b", 15)
    clock.moment = datetime(2026, 3, 5, tzinfo=UTC)
    give(desk, "march", 45)
    january, february, march = (month_of(desk, date(2026, month, 9)) for month in (1, 2, 3))
    assert (january.opening_minutes, january.closing_minutes) == (0, -60)
    assert (february.first, february.last) == (date(2026, 2, 1), date(2026, 2, 28))
    assert [line.amount_minutes for line in february.lines] == [-30, -15]
    assert [line.balance_minutes for line in february.lines] == [-90, -105]
    assert (february.opening_minutes, february.closing_minutes) == (-60, -105)
    assert (march.opening_minutes, march.closing_minutes) == (-105, -150)
    empty = month_of(desk, date(2025, 12, 1))
    assert (empty.opening_minutes, empty.closing_minutes, list(empty.lines)) == (0, 0, [])


def test_pages_of_lines_join_without_a_gap(desk: Desk) -> None:
    for number in range(5):
        give(desk, f"hour{number}", 15)
    with desk.database.read() as session:
        whole = statement.lines(session, ELDER)
        first = statement.lines(session, ELDER, limit=2)
        second = statement.lines(session, ELDER, limit=2, before=first[-1].sequence)
        last = statement.lines(session, ELDER, limit=2, before=second[-1].sequence)
    assert [*first, *second, *last] == whole
    assert [line.balance_minutes for line in whole] == [-75, -60, -45, -30, -15]


def test_csv_opens_in_a_spreadsheet(desk: Desk, clock: VirtualClock) -> None:
    give(desk, "hour", 60)
    content = statement.as_csv(
        month_of(desk, clock.now().date()),
        headings=["时间", "事由", "分钟", "余额", "编号"],
        words=lambda reason: f"邻里互助, {reason}",
        moment=lambda at: at.isoformat(),
    )
    assert content.startswith(b"\xef\xbb\xbf"), "Excel needs the mark to read Chinese"
    heading, line = csv.reader(io.StringIO(content.decode("utf-8-sig")))
    assert heading[0] == "时间"
    assert line[1:4] == ["邻里互助, exchange", "-60", "-60"]
    assert line[4] == str(derived_id("hour"))
