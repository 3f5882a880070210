"""Daily counts: what the node counts as requests come, and what an operator brings from before."""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Any, Protocol, cast
from uuid import UUID

from sqlalchemy import Connection, Select, Table, bindparam, delete, func, insert, select, update
from sqlalchemy.orm import Session

from node.forecast import rules
from node.forecast.model import DailyCount, NoiseTerms, WeeklyRequests
from node.forecast.panel import DayCount
from node.kernel.events import Event
from node.kernel.ports import Clock
from node.kernel.statements import Prepared, insert_rows

DAILY_COUNT = cast(Table, DailyCount.__table__)
WEEKLY_REQUESTS = cast(Table, WeeklyRequests.__table__)
INSERT_ROWS = 5_000
REMEMBERED_DAYS = 14  # of who reported how much: a week that is over needs no limit any more


_days, _weeks = DAILY_COUNT.c, WEEKLY_REQUESTS.c
_their_week = (
    _weeks.resident_id == bindparam("of_resident"),
    _weeks.week == bindparam("in_week"),
)
_limit: Select[Any] = select(NoiseTerms.weekly_limit)
_entered: Select[Any] = select(_weeks.entered).where(*_their_week)
_LIMIT, _ENTERED = Prepared(_limit), Prepared(_entered)
_ENTER = Prepared(
    update(WEEKLY_REQUESTS)
    .where(*_their_week, _weeks.entered < bindparam("most"))
    .values(entered=_weeks.entered + 1)
)
_MORE = Prepared(
    update(DAILY_COUNT)
    .where(_days.date == bindparam("on_day"), _days.category == bindparam("of_category"))
    .values(count=_days.count + 1, over_limit=_days.over_limit + bindparam("over"))
)


class Reported(Protocol):
    """What counting needs of an event such as RepairReported."""

    reporter_id: UUID
    category: str
    reported_at: datetime


def count_request(session: Session, _clock: Clock, event: Event) -> None:
    """A reaction: one request more on its day, the number that forecasts are made of.

    Beyond a resident's weekly limit a request counts at home only, so that nobody's week shows in
    what leaves by more than the limit says.
    """
    reported = cast(Reported, event)
    if session.new or session.dirty:
        session.flush()
    connection, day = session.connection(), rules.local_day(reported.reported_at)
    over = 0 if _enters(connection, reported.reporter_id, day) else 1
    if _add(connection, day, reported.category, over):
        return
    category = _counted_as(session, reported.category)
    if not _add(connection, day, category, over):
        row = {"date": day, "category": category, "count": 1, "over_limit": over}
        insert_rows(connection, DAILY_COUNT, [row])


def import_history(session: Session, rows: Iterable[DayCount]) -> int:
    """Take over past counts, replacing what was known of those days. Returns how many rows.

    All in the caller's one transaction: a refused row leaves nothing behind, and importing the
    same panel again changes nothing. Cells that were noised before stay as they are.
    """
    known = list(rows)
    if not known:
        return 0
    first, last = min(row.date for row in known), max(row.date for row in known)
    session.execute(delete(DailyCount).where(DailyCount.date.between(first, last)))
    for start in range(0, len(known), INSERT_ROWS):
        batch = [asdict(row) | {"over_limit": 0} for row in known[start : start + INSERT_ROWS]]
        session.execute(insert(DailyCount), batch)
    return len(known)


def history_days(session: Session) -> tuple[date, date] | None:
    """First and last day with counts; None without any."""
    first, last = session.execute(
        select(func.min(DailyCount.date), func.max(DailyCount.date))
    ).one()
    return (first, last) if first is not None else None


def forget_weeks(session: Session, today: date) -> None:
    """Who reported how much is needed for the running week alone."""
    past = WeeklyRequests.week < today - timedelta(days=REMEMBERED_DAYS)
    session.execute(delete(WeeklyRequests).where(past))


def _add(connection: Connection, day: date, category: str, over: int) -> bool:
    """One more of this category on this day, if there is a row for it."""
    return bool(_MORE.change(connection, on_day=day, of_category=category, over=over))


def _enters(connection: Connection, resident_id: UUID, day: date) -> bool:
    """Whether this request is among the first few of the resident's week; it is then counted."""
    found = _LIMIT.rows(connection)
    limit = found[0][0] if found else rules.WEEKLY_LIMIT
    who = {"of_resident": resident_id, "in_week": day - timedelta(days=day.weekday())}
    if _ENTER.change(connection, **who, most=limit):
        return True
    if _ENTERED.rows(connection, **who):
        return False
    row = {"resident_id": resident_id, "week": who["in_week"], "entered": 1}
    insert_rows(connection, WEEKLY_REQUESTS, [row])
    return True


def _counted_as(session: Session, category: str) -> str:
    known = set(session.scalars(select(DailyCount.category).distinct()))
    return category if category in known or len(known) < rules.LIVE_CATEGORIES_MAX else rules.OTHER
