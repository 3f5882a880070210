"""The month's report, category by category: what came, how long it took, how people found it.

改进, the last word of the loop: without names, places or texts, so everybody may read it.
"""

import csv
import io
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Row, select
from sqlalchemy.orm import Session

from node.kernel.ports import Clock
from node.repairs import rules
from node.repairs.model import ServiceRequest

TOTAL = "total"
REOPENED_SHOWN_MAX = 50
POOR_RATING_MAX = 2  # up to here it is worth asking what went wrong
HEADINGS = (
    "month",
    "category",
    "reported",
    "completed",
    "median_hours",
    "median_hours_month_before",
    "overdue",
    "overdue_share_percent",
    "ratings",
    "mean_rating",
    "reopened",
    "handed_up",
    "merged",
)


@dataclass(frozen=True)
class Line:
    """One category's month; None where there is nothing to take a median or mean of."""

    category: str
    reported: int
    completed: int
    median_hours: float | None
    median_hours_before: float | None
    overdue: int
    ratings: int
    mean_rating: float | None
    reopened: int
    handed_up: int
    merged: int  # reports that went on as another one; the other figures leave them out

    @property
    def overdue_percent(self) -> int:
        return round(100 * self.overdue / self.reported) if self.reported else 0

    @property
    def is_slower(self) -> bool:
        """Did it take longer than the month before?"""
        if self.median_hours is None or self.median_hours_before is None:
            return False
        return self.median_hours > self.median_hours_before


@dataclass(frozen=True)
class Month:
    """All lines, the busiest category first, and what asks for a second look."""

    year: int
    month: int
    lines: Sequence[Line]
    total: Line
    reopened: Sequence[int]  # the numbers of requests that were not fixed at first
    poorly_rated: Sequence[int]

    @property
    def name(self) -> str:
        return f"{self.year:04}-{self.month:02}"


_Found = Row[int, str, datetime, datetime | None, datetime, int | None, int, int, int | None]


def report(session: Session, clock: Clock, *, year: int, month: int) -> Month:
    """The figures of the requests that were reported in this month, as they stand now."""
    found = _reported_in(session, year, month)
    before = _reported_in(session, *rules.month_before(year, month))
    categories = sorted({row.category for row in found})
    lines = [
        _line(category, _of(found, category), _of(before, category), clock.now())
        for category in categories
    ]
    lines.sort(key=lambda line: (-line.reported, line.category))
    reopened = [row.id for row in found if row.reopenings]
    poor = [row.id for row in found if row.rating is not None and row.rating <= POOR_RATING_MAX]
    return Month(
        year,
        month,
        lines,
        _line(TOTAL, found, before, clock.now()),
        reopened[:REOPENED_SHOWN_MAX],
        poor[:REOPENED_SHOWN_MAX],
    )


def as_csv(month: Month) -> bytes:
    """The same for a spreadsheet; the mark at the beginning lets Excel read Chinese."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(HEADINGS)
    for line in (*month.lines, month.total):
        writer.writerow(
            [
                month.name,
                _harmless(line.category),
                line.reported,
                line.completed,
                _figure(line.median_hours),
                _figure(line.median_hours_before),
                line.overdue,
                line.overdue_percent,
                line.ratings,
                _figure(line.mean_rating),
                line.reopened,
                line.handed_up,
                line.merged,
            ]
        )
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def _reported_in(session: Session, year: int, month: int) -> Sequence[_Found]:
    first, end = rules.month_span(year, month)
    query = select(
        ServiceRequest.id,
        ServiceRequest.category,
        ServiceRequest.created_at,
        ServiceRequest.completed_at,
        ServiceRequest.due_at,
        ServiceRequest.rating,
        ServiceRequest.reopenings,
        ServiceRequest.level,
        ServiceRequest.merged_into,
    ).where(ServiceRequest.created_at >= first, ServiceRequest.created_at < end)
    return session.execute(query.order_by(ServiceRequest.id)).all()


def _of(rows: Iterable[_Found], category: str) -> list[_Found]:
    return [row for row in rows if row.category == category]


def _line(category: str, found: Sequence[_Found], before: Sequence[_Found], now: datetime) -> Line:
    rows = _goes_on(found)
    ratings = [row.rating for row in rows if row.rating is not None]
    return Line(
        category=category,
        reported=len(rows),
        completed=sum(row.completed_at is not None for row in rows),
        median_hours=_median_hours(rows),
        median_hours_before=_median_hours(_goes_on(before)),
        overdue=sum((row.completed_at or now) > row.due_at for row in rows),
        ratings=len(ratings),
        mean_rating=statistics.fmean(ratings) if ratings else None,
        reopened=sum(row.reopenings > 0 for row in rows),
        handed_up=sum(row.level > 0 for row in rows),
        merged=len(found) - len(rows),
    )


def _goes_on(rows: Sequence[_Found]) -> list[_Found]:
    """Without what was merged: one trouble is one, however many reported it."""
    return [row for row in rows if row.merged_into is None]


def _median_hours(rows: Sequence[_Found]) -> float | None:
    taken = [row.completed_at - row.created_at for row in rows if row.completed_at is not None]
    return statistics.median(taken) / timedelta(hours=1) if taken else None


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _harmless(text: str) -> str:
    """A category that a spreadsheet cannot take for a formula."""
    return f"'{text}" if text[:1] in "=+-@" else text
