"""Two files: the noised one that training is shown, and the exact one that never leaves.

They lie in different folders, for the sandbox around the training program is shown one of them.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.orm import Session

from node.forecast import counting, noise, rules
from node.forecast.model import DailyCount, NoisedCell
from node.forecast.noise import Covered, Terms
from node.kernel.db import Database
from node.kernel.files import private_folder, write_file
from node.kernel.ports import Clock

TRAINING_FILE, FULL_FILE = "training.csv", "full.csv"
HEADER = ("date", "category", "count")
DAYS_AT_ONCE = 200  # drawn in one command: the writer has others waiting


class Settings(Protocol):
    """What exporting needs to know of a node."""

    @property
    def directory(self) -> Path: ...
    @property
    def exports(self) -> Path: ...
    @property
    def count_epsilon(self) -> float: ...
    @property
    def weekly_limit(self) -> int: ...


class Place(Protocol):
    """A node, as far as its counts are concerned."""

    @property
    def clock(self) -> Clock: ...
    @property
    def database(self) -> Database: ...
    @property
    def settings(self) -> Settings: ...


@dataclass(frozen=True)
class Exports:
    """The two files, and the days they cover."""

    training: Path  # noised, without the last weeks: all that a training run may see
    full: Path  # exact, for judging at home
    first_day: date
    last_day: date
    training_days: tuple[date, date] | None  # None: not long enough to learn from
    terms: Terms | None


def forecast_folder(directory: Path) -> Path:
    """Where a node keeps what its forecasts are made of: models, exact counts, answers."""
    return directory / "forecast"


def refresh(place: Place, *, catalogue: Sequence[str] = ()) -> Exports:
    """Noise the days that are over and write both files anew.

    `catalogue` are the categories in which requests are counted from now on; without any, only
    days that were declared before are noised.
    """
    settings, database, clock = place.settings, place.database, place.clock
    covered = covered_by(settings.exports / TRAINING_FILE)

    def prepare(session: Session) -> bool:
        today = rules.local_day(clock.now())
        counting.forget_weeks(session, today)
        if catalogue and not noise.is_counting(session):
            terms = terms_of(settings, catalogue)
            noise.declare(session, clock, first_day=today, last_day=None, terms=terms)
        return noise.freeze(session, clock, covered=covered, days_max=DAYS_AT_ONCE)

    while database.do(prepare):
        pass
    with database.read() as session:
        return write_exports(session, clock, settings)


def terms_of(settings: Settings, categories: Sequence[str]) -> Terms:
    """The terms that a node's settings ask for, before the first cell is drawn."""
    return Terms.of(
        epsilon=settings.count_epsilon, weekly_limit=settings.weekly_limit, categories=categories
    )


def write_exports(session: Session, clock: Clock, settings: Settings) -> Exports:
    """Write both files, zeros included, each whole; raises HistoryTooShort where little is known.

    Nothing in the training file depends on an exact count: neither its numbers nor its days nor
    its categories. Today is left out of both, for it is not over.
    """
    training = settings.exports / TRAINING_FILE
    _remove_what_was_exact(settings.exports)
    terms = noise.known_terms(session)
    training_days = _write_training(session, training, terms) if terms else None
    today = rules.local_day(clock.now())
    rows = session.execute(
        select(DailyCount.date, DailyCount.category, DailyCount.count).where(
            DailyCount.date != today
        )
    ).all()
    first, last = _stretch({day for day, _, _ in rows})
    counts = {(day, name): int(count) for day, name, count in rows if first <= day <= last}
    full = private_folder(forecast_folder(settings.directory)) / FULL_FILE
    table = _table(counts, sorted({name for _, name in counts}), first=first, last=last)
    write_file(full, table.encode(), is_private=True)
    return Exports(training, full, first, last, training_days, terms)


def covered_by(training: Path) -> Covered | None:
    """The days of the training export that lies there; None without one of noised cells."""
    if not training.exists():
        return None
    lines = training.read_text(encoding="utf-8").splitlines()
    if not lines[0].startswith("#"):
        return None
    return Covered(date.fromisoformat(lines[2][:10]), date.fromisoformat(lines[-1][:10]))


def _write_training(session: Session, path: Path, terms: Terms) -> tuple[date, date] | None:
    rows = session.execute(select(NoisedCell.date, NoisedCell.category, NoisedCell.value)).all()
    stretch = rules.latest_stretch(sorted({day for day, _, _ in rows}))
    if stretch is None:
        return None
    first, last = stretch[0], stretch[1] - timedelta(weeks=rules.HOLDOUT_WEEKS)
    if (last - first).days + 1 < rules.HISTORY_DAYS_MIN:
        return None
    cells = {(day, name): int(value) for day, name, value in rows}
    table = _table(cells, terms.categories, first=first, last=last)
    private_folder(path.parent)
    write_file(path, f"{terms.comment}\n{table}".encode(), is_private=True)
    return first, last


def _remove_what_was_exact(exports: Path) -> None:
    """An earlier version of this program kept exact counts where training could see them."""
    training = exports / TRAINING_FILE
    if training.exists() and covered_by(training) is None:
        training.unlink()
    (exports / FULL_FILE).unlink(missing_ok=True)


def _stretch(days: set[date]) -> tuple[date, date]:
    stretch = rules.latest_stretch(sorted(days))
    if stretch is None:
        raise rules.HistoryTooShort(needed=rules.HISTORY_DAYS_MIN, days=len(days))
    return stretch


def _table(
    counts: Mapping[tuple[date, str], int], categories: Sequence[str], *, first: date, last: date
) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        writer.writerows(
            (day.isoformat(), category, counts.get((day, category), 0)) for category in categories
        )
    return text.getvalue()
