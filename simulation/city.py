"""A city out of a seed, as large as wanted, whose truth is known: for scale, and for tests.

Nothing here is about real people. All communities share the week, the holidays, the seasons of each
kind of request and a common swing of some weeks; each has a level and a mix of its own, shifts when
its office changes its habits, and days on which a week's paper slips are typed in at once.
"""

import gzip
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from simulation.panel import COLUMNS
from simulation.refusals import OutUnusable

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

FIRST_DAY = date(2021, 1, 1)
CATEGORIES = ("housing_other", "housing_repair", "other", "sanitation", "transport", "welfare")
WEEKDAYS = np.array([1.25, 1.15, 1.1, 1.05, 1.0, 0.35, 0.25])  # Monday first
MIX = np.array([0.13, 0.27, 0.16, 0.18, 0.1, 0.16])  # of the categories, before each place's own
MIX_SPREAD = 0.35
LEVEL_MEAN, LEVEL_SPREAD = 5.0, 0.5  # requests a day
SEASON_HEIGHT = np.array([0.1, 0.5, 0.05, 0.5, 0.2, 0.3])
SEASON_PEAK_DAY = np.array([60, 15, 0, 205, 280, 340])  # of the year: heating, flies, term's start
SWING_MEMORY, SWING_STEP = 0.9, 0.14  # of the log of what all communities share, day by day
SHIFT_DAYS_MEAN, SHIFT_SPREAD = 420, 0.3
DISPERSION = 0.15  # variance = mean + DISPERSION * mean squared
BATCH_DAYS_MEAN, BATCH_LOOKBACK_DAYS, BATCH_SHARE = 90, 10, 0.7
HOLIDAY_FACTOR, RUSH_FACTOR, RUSH_DAYS = 0.12, 1.6, 3
SPRING_FESTIVALS = (  # month and day, year after year: it moves with the moon
    *((2, 12), (2, 1), (1, 22), (2, 10), (1, 29), (2, 17), (2, 6), (1, 26), (2, 13), (2, 3)),
    *((1, 23), (2, 11), (1, 31), (2, 19), (2, 8), (1, 28), (2, 15), (2, 4), (1, 24), (2, 12)),
)
GZIP_LEVEL = 5


@dataclass(frozen=True)
class City:
    """What was written down, and what a forecaster who knew everything would have expected."""

    communities: tuple[str, ...]
    counts: Counts  # (communities, categories, days)
    expected: Floats  # of the same shape, before anything was typed in late


def grow(*, communities: int, days: int, seed: int) -> City:
    """The same seed grows the same city; the first communities of a larger one are the same."""
    shared = _rhythm(days) * _swing(np.random.default_rng([seed, 0]), days)
    seasons = _seasons(days)
    width = len(str(communities))
    names, counts, expected = [], [], []
    for number in range(1, communities + 1):
        random = np.random.default_rng([seed, number])
        level = LEVEL_MEAN * random.lognormal(0, LEVEL_SPREAD)
        mix = MIX * random.lognormal(0, MIX_SPREAD, size=len(MIX))
        mean = level * _shifts(random, days) * shared * seasons * (mix / mix.sum())[:, None]
        # A gamma mixture of Poissons is the negative binomial that real counts resemble.
        wobble = random.gamma(1 / DISPERSION, DISPERSION, size=mean.shape)
        names.append(f"c{number:0{width}d}")
        counts.append(_typed_in_late(random, random.poisson(mean * wobble)))
        expected.append(mean)
    return City(tuple(names), np.stack(counts), np.stack(expected))


def write_city(path: Path, *, communities: int, days: int, seed: int) -> dict[str, Any]:
    """Write the city as a panel, whole or not at all; returns what was written."""
    city = grow(communities=communities, days=days, seed=seed)
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            if path.suffix == ".gz":
                with gzip.GzipFile("", "wb", GZIP_LEVEL, file, mtime=0) as packed:
                    _write_rows(packed, city)
            else:
                _write_rows(file, city)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        reason = error.strerror or "it cannot be written"
        raise OutUnusable(directory=str(path), reason=reason) from error
    return {
        "file": str(path),
        "communities": communities,
        "categories": len(CATEGORIES),
        "days": days,
        "rows": int(city.counts.size),
        "requests": int(city.counts.sum()),
        "seed": seed,
    }


def _write_rows(file: BinaryIO | gzip.GzipFile, city: City) -> None:
    """Day by day, zeros included; the same city gives the same bytes."""
    file.write((",".join(COLUMNS) + "\n").encode())
    cells = [f"{place},{kind}," for place in city.communities for kind in CATEGORIES]
    for day in range(city.counts.shape[2]):
        today = (FIRST_DAY + timedelta(days=day)).isoformat()
        counts = city.counts[:, :, day].reshape(-1).tolist()
        rows = [f"{today},{cell}{count}\n" for cell, count in zip(cells, counts, strict=True)]
        file.write("".join(rows).encode())


def _rhythm(days: int) -> Floats:
    """Weekdays and holidays: what a calendar knows."""
    rhythm = WEEKDAYS[(FIRST_DAY.weekday() + np.arange(days)) % 7]
    holidays = []
    for year, (month, day) in enumerate(SPRING_FESTIVALS, start=FIRST_DAY.year):
        eve = date(year, month, day) - timedelta(days=1)
        holidays += [(eve, 8), (date(year, 5, 1), 5), (date(year, 10, 1), 7)]
    for first, length in holidays:
        start = (first - FIRST_DAY).days
        end = start + length
        rhythm[start:end] *= HOLIDAY_FACTOR
        rhythm[end : end + RUSH_DAYS] *= RUSH_FACTOR
    return np.asarray(rhythm)


def _seasons(days: int) -> Floats:
    """(categories, days): each kind of request has its own time of the year."""
    since_peak = np.arange(days) - SEASON_PEAK_DAY[:, None]
    return np.asarray(1 + SEASON_HEIGHT[:, None] * np.cos(2 * np.pi * since_peak / 365.25))


def _swing(random: np.random.Generator, days: int) -> Floats:
    """What all places feel and no calendar knows, for some weeks: weather, flu, news."""
    steps, logs = random.normal(0, SWING_STEP, days), np.zeros(days)
    for day in range(1, days):
        logs[day] = SWING_MEMORY * logs[day - 1] + steps[day]
    return np.exp(logs)


def _shifts(random: np.random.Generator, days: int) -> Floats:
    """An office changes its habits: from one day on it writes down more, or less."""
    factor, day = np.ones(days), 0
    while (day := day + int(random.exponential(SHIFT_DAYS_MEAN)) + 1) < days:
        factor[day:] *= random.lognormal(0, SHIFT_SPREAD)
    return factor


def _typed_in_late(random: np.random.Generator, counts: Counts) -> Counts:
    """Now and then the slips of many days carry one date; no request is lost by it."""
    days, day = counts.shape[1], 0
    while (day := day + int(random.exponential(BATCH_DAYS_MEAN)) + 1) < days:
        before = slice(max(0, day - BATCH_LOOKBACK_DAYS), day)
        late = random.binomial(counts[:, before], BATCH_SHARE)
        counts[:, before] -= late
        counts[:, day] += late.sum(axis=1)
    return counts
