"""Keep daily counts, write the training export, and remember which forecast earned its place."""

import csv
import io
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, cast
from uuid import UUID

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from node.forecast import rules
from node.forecast.model import DailyCount, Evaluation
from node.forecast.panel import DayCount
from node.kernel.errors import IdReused
from node.kernel.events import Event
from node.kernel.files import private_folder, write_file
from node.kernel.ports import Clock

TRAINING_FILE, FULL_FILE = "training.csv", "full.csv"
INSERT_ROWS = 5_000


@dataclass(frozen=True)
class Exports:
    """The two files for training and judging, and the days they cover."""

    training: Path  # without the last weeks: all that a training run may see
    full: Path
    first_day: date
    training_last_day: date
    last_day: date
    can_train: bool  # is the training file long enough to learn from?


def import_history(session: Session, rows: Iterable[DayCount]) -> int:
    """Take over past counts, replacing what was known of those days. Returns how many rows.

    All in the caller's one transaction: a refused row leaves nothing behind, and importing the
    same panel again changes nothing.
    """
    known = list(rows)
    if not known:
        return 0
    first, last = min(row.date for row in known), max(row.date for row in known)
    session.execute(delete(DailyCount).where(DailyCount.date.between(first, last)))
    for start in range(0, len(known), INSERT_ROWS):
        batch = known[start : start + INSERT_ROWS]
        session.execute(insert(DailyCount), [asdict(row) for row in batch])
    return len(known)


class Reported(Protocol):
    """What counting needs of an event such as RepairReported."""

    category: str
    reported_at: datetime


def count_request(session: Session, _clock: Clock, event: Event) -> None:
    """A reaction: one request more on its day, the number that forecasts are made of."""
    reported = cast(Reported, event)
    day = rules.local_day(reported.reported_at)
    category = _counted_as(session, reported.category)
    same = (DailyCount.date == day, DailyCount.category == category)
    if session.scalar(select(DailyCount.count).where(*same)) is None:
        session.execute(insert(DailyCount).values(date=day, category=category, count=1))
    else:
        session.execute(update(DailyCount).where(*same).values(count=DailyCount.count + 1))


def write_exports(
    session: Session,
    clock: Clock,
    directory: Path,
    *,
    holdout_weeks: int = rules.HOLDOUT_WEEKS,
) -> Exports:
    """Write training.csv (without the last weeks) and full.csv, zeros included, each whole.

    Today is left out, for it is not over. Raises HistoryTooShort where there is little to learn.
    """
    today = rules.local_day(clock.now())
    stretch = _stretch(session, today)
    rows = session.execute(
        select(DailyCount.date, DailyCount.category, DailyCount.count).where(
            DailyCount.date.between(*stretch), DailyCount.date != today
        )
    ).all()
    counts = {(day, category): int(count) for day, category, count in rows}
    categories = sorted({category for _, category in counts})
    first, last = stretch
    training_last = last - timedelta(weeks=holdout_weeks)
    private_folder(directory)
    training, full = directory / TRAINING_FILE, directory / FULL_FILE
    for file, until in ((training, training_last), (full, last)):
        table = _table(counts, categories, first=first, last=until)
        write_file(file, table.encode(), is_private=True)
    can_train = (training_last - first).days + 1 >= rules.HISTORY_DAYS_MIN
    return Exports(training, full, first, training_last, last, can_train)


def record_evaluation(
    session: Session, clock: Clock, *, evaluation_id: UUID, result: dict[str, Any]
) -> Evaluation:
    """Keep what federation.evaluate found; its `adopted` is the forecast in use from now on."""
    rules.check_evaluation(result)
    text = json.dumps(result, ensure_ascii=False, sort_keys=True)
    known = session.get(Evaluation, evaluation_id)
    if known is not None:
        if known.result != text:
            raise IdReused(id=str(evaluation_id))
        return known
    evaluation = Evaluation(
        id=evaluation_id,
        evaluated_at=clock.now(),
        adopted=str(result["adopted"]),
        model_sha256=result.get("model_sha256"),
        result=text,
    )
    session.add(evaluation)
    return evaluation


def latest(session: Session) -> Evaluation | None:
    """The evaluation in force; None before the first."""
    query = select(Evaluation).order_by(Evaluation.evaluated_at.desc(), Evaluation.id.desc())
    return session.scalars(query.limit(1)).first()


def history_days(session: Session) -> tuple[date, date] | None:
    """First and last day with counts; None without any."""
    first, last = session.execute(
        select(func.min(DailyCount.date), func.max(DailyCount.date))
    ).one()
    return (first, last) if first is not None else None


def _counted_as(session: Session, category: str) -> str:
    known = set(session.scalars(select(DailyCount.category).distinct()))
    return category if category in known or len(known) < rules.LIVE_CATEGORIES_MAX else rules.OTHER


def _stretch(session: Session, today: date) -> tuple[date, date]:
    days = [day for day in session.scalars(select(DailyCount.date).distinct()) if day != today]
    stretch = rules.latest_stretch(days)
    if stretch is None:
        raise rules.HistoryTooShort(needed=rules.HISTORY_DAYS_MIN, days=len(days))
    return stretch


def _table(
    counts: dict[tuple[date, str], int], categories: list[str], *, first: date, last: date
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("date", "category", "count"))
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        writer.writerows(
            (day.isoformat(), category, counts.get((day, category), 0)) for category in categories
        )
    return text.getvalue()
