"""What a forecast means for tomorrow's duty list, and how it did once the day had come."""

import json
import math
from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any, NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.forecast.events import HelpersNeeded, HelpersNotNeeded
from node.forecast.model import DailyCount, Evaluation, ForecastDay
from node.forecast.panel import TOTAL
from node.kernel.events import record

KEPT_DAYS = 28  # of forecasts held against what came, as the page shows them


class Duty(NamedTuple):
    """One category of one day: how many requests are enough in four days of five, and for whom."""

    category: str
    requests: float  # the 80 % quantile
    people: float  # of whom one handles `requests_per_person` a day


class Roster(NamedTuple):
    """A day's duty list: whom it takes, and who is missing."""

    date: date
    duties: Sequence[Duty]  # by category, the busiest first
    requests: float  # of all categories together; less than the sum, for not all are busy at once
    people: int
    on_duty: int  # 0: nobody said

    @property
    def missing(self) -> int:
        """How many people more it takes than are on duty; 0 where nobody said how many are."""
        return max(0, self.people - self.on_duty) if self.on_duty else 0


class Kept(NamedTuple):
    """A day that was forecast and has come."""

    date: date
    expected: float
    low: float
    high: float
    came: int

    @property
    def is_inside(self) -> bool:
        return self.low <= self.came <= self.high


def roster(
    result: dict[str, Any], day: date, *, requests_per_person: int, on_duty: int
) -> Roster | None:
    """The duty list of a day; None where the forecast does not reach it."""
    rows = {row["category"]: row for row in result["days"] if row["date"] == day.isoformat()}
    total = rows.pop(TOTAL, None)
    if total is None:
        return None
    duties = [
        Duty(category, _busy(row), _busy(row) / requests_per_person)
        for category, row in rows.items()
    ]
    return Roster(
        date=day,
        duties=sorted(duties, key=lambda duty: -duty.requests),
        requests=_busy(total),
        people=math.ceil(_busy(total) / requests_per_person),
        on_duty=on_duty,
    )


def call_for_helpers(
    session: Session, evaluation: Evaluation, *, requests_per_person: int, on_duty: int
) -> None:
    """Tell the rest of the node for which coming days more people are needed than are on duty."""
    result = json.loads(evaluation.result)
    for text in sorted({row["date"] for row in result["days"]}):
        day = date.fromisoformat(text)
        found = roster(result, day, requests_per_person=requests_per_person, on_duty=on_duty)
        if found is not None and found.missing:
            record(session, HelpersNeeded(day=day, people=found.missing))
        else:
            record(session, HelpersNotNeeded(day=day))


def kept_days(session: Session, *, until: date, category: str = TOTAL) -> list[Kept]:
    """The last weeks: what was expected the evening before (or as late as it was) and what came."""
    first = until - timedelta(days=KEPT_DAYS - 1)
    forecasts = session.scalars(
        select(ForecastDay)
        .where(ForecastDay.date.between(first, until), ForecastDay.category == category)
        .order_by(ForecastDay.date, ForecastDay.issued_on)
    )
    last_said = {one.date: one for one in forecasts}  # the latest one of a day wins
    came = _came(session, first, until, category)
    return [
        Kept(day, one.mean, one.low, one.high, came.get(day, 0)) for day, one in last_said.items()
    ]


def hits(kept: Iterable[Kept]) -> tuple[int, float]:
    """How many days fell inside their band, and the mean miss in requests a day."""
    days = list(kept)
    inside = sum(day.is_inside for day in days)
    miss = sum(abs(day.expected - day.came) for day in days) / max(1, len(days))
    return inside, miss


def _came(session: Session, first: date, until: date, category: str) -> dict[date, int]:
    query = select(DailyCount.date, DailyCount.count).where(DailyCount.date.between(first, until))
    if category != TOTAL:
        query = query.where(DailyCount.category == category)
    found: dict[date, int] = {}
    for day, count in session.execute(query):
        found[day] = found.get(day, 0) + int(count)
    return found


def _busy(row: dict[str, Any]) -> float:
    return float(row.get("q80", row["q90"]))
