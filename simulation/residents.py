"""Residents' demand out of a seed: who asks for what on which day, where no real history is given.

Nothing here is about real people. What it keeps of real service books is what makes them hard:
a weekly rhythm that all share, a season for each kind of request, a level and a mix that each
community has for itself, holidays with a rush after them, common swings of some weeks, habits that
change overnight, and days on which a week's paper slips are typed in at once.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from simulation.panel import Row

Floats = NDArray[np.float64]

COMMUNITIES = ("chunyu", "fengxiang", "hepan", "songyuan")
CATEGORIES = (
    "housing_other",
    "housing_repair",
    "other",
    "sanitation_parks",
    "transport",
    "welfare",
)
FIRST_DAY = date(2023, 1, 1)
DAYS = 3 * 365 + 1

WEEKDAYS = np.array([1.25, 1.15, 1.1, 1.05, 1.0, 0.35, 0.25])  # Monday first
MIX = np.array([0.13, 0.27, 0.16, 0.18, 0.1, 0.16])  # of the categories, before each place's own
LEVEL_MEAN, LEVEL_SPREAD = 6.0, 0.45  # requests a day
MIX_SPREAD = 0.35
SEASON_HEIGHT = np.array([0.1, 0.5, 0.05, 0.55, 0.2, 0.3])  # of the categories
SEASON_PEAK_DAY = np.array([60, 15, 0, 205, 280, 340])  # of the year: heating, flies, term's start
SWING_MEMORY, SWING_STEP = 0.9, 0.14  # of the log of what all communities share
SHIFT_DAYS_MEAN, SHIFT_SPREAD = 420, 0.3
DISPERSION = 0.12  # variance = mean + DISPERSION * mean squared
HOLIDAY_FACTOR, RUSH_FACTOR, RUSH_DAYS = 0.12, 1.6, 3
BATCH_DAYS_MEAN, BATCH_LOOKBACK_DAYS, BATCH_SHARE = 75, 10, 0.7

# First and last day; the spring festival moves with the moon.
HOLIDAYS = (
    *((date(year, 5, 1), date(year, 5, 5)) for year in (2023, 2024, 2025)),
    *((date(year, 10, 1), date(year, 10, 7)) for year in (2023, 2024, 2025)),
    (date(2023, 1, 21), date(2023, 1, 27)),
    (date(2024, 2, 10), date(2024, 2, 17)),
    (date(2025, 1, 28), date(2025, 2, 4)),
)


def generate(
    seed: int, *, communities: Sequence[str] = COMMUNITIES, days: int = DAYS
) -> Iterator[Row]:
    """The rows of a panel, zeros included; the same seed tells the same history."""
    shared_random = np.random.default_rng([seed, 0])
    shared = _rhythm(days) * _swing(shared_random, days)
    counts = [
        _community(np.random.default_rng([seed, number]), shared, _seasons(days))
        for number, _ in enumerate(communities, start=1)
    ]
    for day in range(days):
        today = FIRST_DAY + timedelta(days=day)
        for place, name in enumerate(communities):
            for kind, category in enumerate(CATEGORIES):
                yield today, name, category, int(counts[place][kind, day])


def _rhythm(days: int) -> Floats:
    """Weekdays and holidays: what a calendar knows."""
    index = np.arange(days)
    rhythm = WEEKDAYS[(FIRST_DAY.weekday() + index) % 7]
    for first, last in HOLIDAYS:
        start, end = (first - FIRST_DAY).days, (last - FIRST_DAY).days + 1
        rhythm[start:end] *= HOLIDAY_FACTOR
        rhythm[end : end + RUSH_DAYS] *= RUSH_FACTOR
    return np.asarray(rhythm)


def _seasons(days: int) -> Floats:
    """(categories, days): each kind of request has its own time of the year."""
    day_of_year = (FIRST_DAY.timetuple().tm_yday + np.arange(days)) - SEASON_PEAK_DAY[:, None]
    return np.asarray(1 + SEASON_HEIGHT[:, None] * np.cos(2 * np.pi * day_of_year / 365.25))


def _swing(random: np.random.Generator, days: int) -> Floats:
    """What all places feel and no calendar knows, for some weeks: weather, flu, news."""
    logs = np.zeros(days)
    for day in range(1, days):
        logs[day] = SWING_MEMORY * logs[day - 1] + random.normal(0, SWING_STEP)
    return np.exp(logs)


def _community(random: np.random.Generator, shared: Floats, seasons: Floats) -> NDArray[np.int64]:
    """(categories, days) of one community."""
    days = len(shared)
    level = LEVEL_MEAN * random.lognormal(0, LEVEL_SPREAD)
    mix = MIX * random.lognormal(0, MIX_SPREAD, size=len(MIX))
    mean = level * _shifts(random, days) * shared * seasons * (mix / mix.sum())[:, None]
    # A gamma mixture of Poissons is the negative binomial that real counts resemble.
    wobble = random.gamma(1 / DISPERSION, DISPERSION, size=mean.shape)
    return _typed_in_late(random, random.poisson(mean * wobble))


def _shifts(random: np.random.Generator, days: int) -> Floats:
    """An office changes its habits: from one day on it writes down more, or less."""
    factor = np.ones(days)
    day = 0
    while (day := day + int(random.exponential(SHIFT_DAYS_MEAN)) + 1) < days:
        factor[day:] *= random.lognormal(0, SHIFT_SPREAD)
    return factor


def _typed_in_late(random: np.random.Generator, counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Now and then the slips of many days carry one date; no request is lost by it."""
    days = counts.shape[1]
    day = 0
    while (day := day + int(random.exponential(BATCH_DAYS_MEAN)) + 1) < days:
        before = slice(max(0, day - BATCH_LOOKBACK_DAYS), day)
        late = random.binomial(counts[:, before], BATCH_SHARE)
        counts[:, before] -= late
        counts[:, day] += late.sum(axis=1)
    return counts
