"""Noise on the counts, drawn once: what of this community's days may leave the house at all.

Each cell (a day and a category) gets its own whole number from the two-sided geometric
distribution, which is the discrete Laplace of scale 1/epsilon: one request more or less changes
the probability of everything that can be seen of the cells by at most the factor exp(epsilon).
That holds for any number of trainings, as long as no cell is ever drawn twice.

The sampler is exact and takes its bits from the operating system's cryptographic source: Canonne,
Kamath and Steinke, "The Discrete Gaussian for Differential Privacy" (2020), algorithms 1 and 2.
Floats are nowhere in it: rounding in the tails is what broke noise of this kind before (Mironov,
"On significance of the least significant bits for differential privacy", 2012).
"""

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from typing import NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from node.forecast import rules
from node.forecast.model import (
    NOISE_TERMS_ID,
    CountedSpan,
    DailyCount,
    NoisedCell,
    NoiseTerms,
)
from node.kernel.ports import Clock

Below = Callable[[int], int]
"""A whole number from 0 to the argument less 1, each equally likely."""


@dataclass(frozen=True)
class Terms:
    """How the counts of this community are noised, for good."""

    epsilon: Fraction
    weekly_limit: int
    categories: tuple[str, ...]

    @classmethod
    def of(cls, *, epsilon: float, weekly_limit: int, categories: Sequence[str]) -> "Terms":
        """Terms as the settings say them; the decimal that stands there, not its nearest float."""
        exact = Fraction(str(epsilon))
        return cls(exact, weekly_limit, tuple(sorted(set(categories))))

    @property
    def comment(self) -> str:
        """The first line of the training export: what was done to the counts below it."""
        facts = {"epsilon": str(self.epsilon), "weekly_limit": self.weekly_limit}
        return "# two-sided geometric noise " + json.dumps(facts)


class Covered(NamedTuple):
    """First and last day of a training export that may have been used."""

    first: date
    last: date


def declare(
    session: Session, clock: Clock, *, first_day: date, last_day: date | None, terms: Terms
) -> Terms:
    """Say which days are counted from now on; the first time also how, and that stays.

    Dates and categories are the operator's public word, so that neither tells of a request.
    """
    known = known_terms(session)
    if known is None:
        session.add(
            NoiseTerms(
                id=NOISE_TERMS_ID,
                epsilon=str(terms.epsilon),
                weekly_limit=terms.weekly_limit,
                categories=json.dumps(terms.categories, ensure_ascii=False),
                fixed_at=clock.now(),
            )
        )
    if session.get(CountedSpan, first_day) is None:
        session.add(CountedSpan(first_day=first_day, last_day=last_day, declared_at=clock.now()))
    session.flush()
    return known or terms


def known_terms(session: Session) -> Terms | None:
    """The terms in force; None before anything was declared."""
    row = session.get(NoiseTerms, NOISE_TERMS_ID)
    if row is None:
        return None
    return Terms(Fraction(row.epsilon), row.weekly_limit, tuple(json.loads(row.categories)))


def is_counting(session: Session) -> bool:
    """Whether the days to come are counted for training."""
    open_spans = select(CountedSpan.first_day).where(CountedSpan.last_day.is_(None))
    return session.scalars(open_spans.limit(1)).first() is not None


def freeze(session: Session, clock: Clock, *, covered: Covered | None, days_max: int) -> bool:
    """Draw the cells of days that are over, at most so many days; True if more are waiting.

    A day is drawn within eight weeks of its end or never: later, nobody could tell a day that was
    not drawn yet from one whose cells were lost with a newer database. For the same reason a day
    that stands in a training export (`covered`) is not drawn again.
    """
    terms = known_terms(session)
    if terms is None:
        return False
    waiting = _days_without_cells(session, rules.local_day(clock.now()))
    lost = [day for day in waiting if covered and covered.first <= day <= covered.last]
    if lost:
        raise rules.CellsLost(first=lost[0].isoformat(), days=len(lost))
    for day in waiting[:days_max]:
        _draw(session, day, terms)
    return len(waiting) > days_max


def _days_without_cells(session: Session, today: date) -> list[date]:
    drawn = set(session.scalars(select(NoisedCell.date).distinct()))
    oldest_live = today - timedelta(weeks=rules.HOLDOUT_WEEKS)
    found: set[date] = set()
    for span in session.scalars(select(CountedSpan)):
        last = min(span.last_day or today, today - timedelta(days=1))
        first = max(span.first_day, oldest_live) if span.last_day is None else span.first_day
        found |= {first + timedelta(days=n) for n in range((last - first).days + 1)}
    return sorted(found - drawn)


def _draw(session: Session, day: date, terms: Terms) -> None:
    rows = session.execute(
        select(DailyCount.category, DailyCount.count - DailyCount.over_limit).where(
            DailyCount.date == day
        )
    )
    counts = {category: int(count) for category, count in rows}
    cells = [
        {"date": day, "category": name, "value": counts.get(name, 0) + two_sided(terms.epsilon)}
        for name in terms.categories
    ]
    session.execute(insert(NoisedCell), cells)


def two_sided(epsilon: Fraction, below: Below = secrets.randbelow) -> int:
    """A whole number x with probability proportional to exp(-epsilon |x|), exactly."""
    steps, scale = epsilon.numerator, epsilon.denominator
    while True:
        low = below(scale)
        if not _happens_exp(Fraction(low, scale), below):
            continue
        whole = 0
        while _happens_exp(Fraction(1), below):
            whole += 1
        size = (low + scale * whole) // steps
        is_negative = below(2) == 1
        if not (is_negative and size == 0):  # else zero would have two ways to come about
            return -size if is_negative else size


def _happens_exp(rate: Fraction, below: Below) -> bool:
    """True with probability exp(-rate), for a rate from 0 to 1, by whole numbers alone."""
    tries = 1
    while below(rate.denominator * tries) < rate.numerator:
        tries += 1
    return tries % 2 == 1
