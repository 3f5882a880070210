"""Daily counts: what the node counts as requests come, and what an operator brings from before."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Protocol, cast
from uuid import UUID

from sqlalchemy import Table, delete, func, insert, select
from sqlalchemy.orm import Session

from node.forecast import rules
from node.forecast.model import NOISE_TERMS_ID, DailyCount, NoiseTerms, WeeklyRequests
from node.forecast.panel import DayCount
from node.kernel.events import Event
from node.kernel.ports import Clock
from node.kernel.rows import Rows

DAILY_COUNT = cast(Table, DailyCount.__table__)
WEEKLY_REQUESTS = cast(Table, WeeklyRequests.__table__)
INSERT_ROWS = 5_000
REMEMBERED_DAYS = 14  # of who reported how much: a week that is over needs no limit any more


@dataclass
class Day:
    """A row of DailyCount in the writer's memory."""

    date: date
    category: str
    count: int
    over_limit: int


@dataclass
class Week:
    """A row of WeeklyRequests in the writer's memory."""

    resident_id: UUID
    week: date
    entered: int


@dataclass
class Terms:
    """What of NoiseTerms counting needs."""

    id: int
    weekly_limit: int


DAYS = Rows(DAILY_COUNT, Day)
WEEKS = Rows(WEEKLY_REQUESTS, Week)
TERMS = Rows(cast(Table, NoiseTerms.__table__), Terms)


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
    date, category = rules.local_day(reported.reported_at), reported.category
    over = 0 if _enters(session, reported.reporter_id, date) else 1
    day = DAYS.get(session, (date, category))
    if day is None:
        category = _counted_as(session, category)
        day = DAYS.get(session, (date, category))
    if day is None:
        DAYS.add(session, date=date, category=category, count=1, over_limit=over)
    else:
        DAYS.change(session, day, count=day.count + 1, over_limit=day.over_limit + over)


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


def _enters(session: Session, resident_id: UUID, day: date) -> bool:
    """Whether this request is among the first few of the resident's week; it is then counted."""
    terms, monday = TERMS.get(session, NOISE_TERMS_ID), day - timedelta(days=day.weekday())
    week = WEEKS.get(session, (resident_id, monday))
    if week is None:
        WEEKS.add(session, resident_id=resident_id, week=monday, entered=1)
        return True
    if week.entered >= (terms.weekly_limit if terms else rules.WEEKLY_LIMIT):
        return False
    WEEKS.change(session, week, entered=week.entered + 1)
    return True


def _counted_as(session: Session, category: str) -> str:
    known = set(session.scalars(select(DailyCount.category).distinct()))
    return category if category in known or len(known) < rules.LIVE_CATEGORIES_MAX else rules.OTHER
