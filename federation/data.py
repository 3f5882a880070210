"""Windows from a community's training export, each one cut off at its origin.

A window is what the model sees of one series on one day (the *origin*, the last day known):
everything in it is computed from days up to the origin, so a window of yesterday and a window
of last year are built by the same lines, and nothing of the future can leak into either.
"""

import csv
import json
import math
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from federation.errors import ExportInvalid, ExportUnreadable, HistoryTooShort

Floats = NDArray[np.float32]
Days = NDArray[np.int64]

HORIZON_DAYS = 7
LOOKBACK_DAYS = 28
SAME_WEEKDAY_WEEKS = 8
CALM_WEEKS = 26  # over which noise on the counts averages out
YEAR_DAYS = 364  # 52 whole weeks, so that last year's day falls on the same weekday
YEARS_BACK = 3  # over which a holiday is remembered
CLOSURE_FLOOR = 0.5  # requests; keeps the memory of a quiet day small
HISTORY_DAYS_MIN = 60
HISTORY_DAYS_MAX = 20_000
CATEGORIES_MAX = 64
COUNT_MAX = 1_000_000
EPSILON_MAX = 100  # beyond it noise is none, and so is its promise
EXPORT_BYTES_MAX = 64 * 1024 * 1024
NOISE_COMMENT = "# two-sided geometric noise "  # then JSON: how strong, and up to how many a week
TOTAL = "total"  # the sum of the categories, forecast as a series of its own

LEVEL_FLOOR = 0.03  # requests a day; keeps a silent series from dividing by zero
FEATURES = LOOKBACK_DAYS + 3 * HORIZON_DAYS + 7 + 1


@dataclass(frozen=True)
class History:
    """One community's counts: a row per category, and their total as the last row."""

    first_day: date
    series: tuple[str, ...]  # categories in order, then TOTAL
    counts: Floats  # (series, days)
    noise_variance: float = 0.0  # of each category's day, where noise was added; else 0
    noise_epsilon: float | None = None  # of one request, where noise was added; see privacy.py

    @property
    def days(self) -> int:
        return int(self.counts.shape[1])

    @property
    def last_day(self) -> date:
        return self.first_day + timedelta(days=self.days - 1)

    def until(self, days: int) -> "History":
        """The history as it was known after its first `days` days."""
        return replace(self, counts=self.counts[:, :days])

    def since(self, day: int) -> "History":
        """The history as a community has it that began to write down on that day."""
        start = self.first_day + timedelta(days=day)
        return replace(self, first_day=start, counts=self.counts[:, day:])


@dataclass(frozen=True)
class Windows:
    """Inputs of the model, one row per window; `targets` is empty when they lie in the future."""

    features: Floats  # (windows, FEATURES)
    level: Floats  # (windows,), the unit in which the model thinks
    same_weekday: Floats  # (windows, HORIZON_DAYS), requests a day over the last weeks
    targets: Floats  # (windows, HORIZON_DAYS) or (0, HORIZON_DAYS)
    noise: Floats  # (windows,), variance that was added to each of the targets

    def __len__(self) -> int:
        return len(self.level)


def load_export(path: Path, *, days_min: int = HISTORY_DAYS_MIN) -> History:
    """Read `date,category,count`, zeros included and sorted; whatever is odd is refused by line.

    A first line may say that noise was added to the counts, which then may lie below zero.
    """
    try:
        if path.stat().st_size > EXPORT_BYTES_MAX:
            raise ExportUnreadable(path=path.name, reason=f"more than {EXPORT_BYTES_MAX} bytes")
        with path.open(encoding="utf-8", newline="") as lines:
            text = lines.read()
        epsilon = _noise_epsilon(path.name, text)
        start = text.index("\n") + 1 if epsilon is not None else 0
        rows = list(csv.reader(text[start:].splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ExportUnreadable(path=path.name, reason=_plain_reason(error)) from error
    if not rows or rows[0] != ["date", "category", "count"]:
        raise ExportInvalid(path=path.name, line=1, reason="expected date,category,count")
    history = _parse(path.name, rows[1:], days_min=days_min, is_noised=epsilon is not None)
    if epsilon is None:
        return history
    return replace(history, noise_epsilon=epsilon, noise_variance=geometric_variance(epsilon))


def geometric_variance(epsilon: float) -> float:
    """Of a whole number x that comes up with probability proportional to exp(-epsilon |x|)."""
    kept = math.exp(-epsilon)
    return 2 * kept / (1 - kept) ** 2


def _noise_epsilon(name: str, text: str) -> float | None:
    """What the first line says about noise; None where it is no such line."""
    if not text.startswith("#"):
        return None
    try:
        first_line = text[: text.index("\n")]
        facts = json.loads(first_line.removeprefix(NOISE_COMMENT))
        epsilon = float(Fraction(facts["epsilon"]))
    except (ValueError, KeyError, TypeError, ZeroDivisionError) as error:
        raise ExportInvalid(path=name, line=1, reason="expected how noise was added") from error
    if not 0 < epsilon < EPSILON_MAX:
        raise ExportInvalid(path=name, line=1, reason=f"expected an epsilon below {EPSILON_MAX}")
    return epsilon


def _plain_reason(error: Exception) -> str:
    return error.strerror or "error" if isinstance(error, OSError) else "it is not UTF-8 CSV"


def _parse(name: str, rows: list[list[str]], *, days_min: int, is_noised: bool) -> History:
    categories = _leading_categories(name, rows)
    width = len(categories)
    days = len(rows) // width if width else 0
    if days < days_min:
        raise HistoryTooShort(days=days, needed=days_min)
    if days > HISTORY_DAYS_MAX:
        raise ExportInvalid(path=name, line=len(rows), reason=f"over {HISTORY_DAYS_MAX} days")
    first_day = _date(name, 2, rows[0][0])
    if len(rows) % width:
        raise ExportInvalid(path=name, line=len(rows) + 1, reason="the last day is not complete")
    counts = np.zeros((width + 1, days), dtype=np.float32)
    expected = ""
    for index, row in enumerate(rows):
        line, (day, position) = index + 2 + is_noised, divmod(index, width)
        if position == 0:
            expected = (first_day + timedelta(days=day)).isoformat()
        if len(row) != 3 or row[:2] != [expected, categories[position]]:
            reason = f"expected {expected},{categories[position]},count"
            raise ExportInvalid(path=name, line=line, reason=reason)
        text = row[2].removeprefix("-") if is_noised else row[2]
        count = _count(name, line, text)
        counts[position, day] = count if text == row[2] else -count
    counts[-1] = counts[:-1].sum(axis=0)
    return History(first_day, (*categories, TOTAL), counts)


def _leading_categories(name: str, rows: list[list[str]]) -> tuple[str, ...]:
    """The categories of the first day, which every later day must repeat."""
    found: list[str] = []
    for line, row in enumerate(rows, start=2):
        if len(row) != 3:
            raise ExportInvalid(path=name, line=line, reason="expected three fields")
        if row[0] != rows[0][0]:
            break
        if not row[1] or row[1] == TOTAL or (found and row[1] <= found[-1]):
            reason = "categories must be named, sorted, distinct, and none called total"
            raise ExportInvalid(path=name, line=line, reason=reason)
        if len(found) == CATEGORIES_MAX:
            reason = f"more than {CATEGORIES_MAX} categories"
            raise ExportInvalid(path=name, line=line, reason=reason)
        found.append(row[1])
    return tuple(found)


def _date(name: str, line: int, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise ExportInvalid(path=name, line=line, reason="expected a date") from error


def _count(name: str, line: int, text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) <= 7 and int(text) <= COUNT_MAX):
        raise ExportInvalid(path=name, line=line, reason=f"expected a count up to {COUNT_MAX}")
    return int(text)


def training_origins(history: History) -> Days:
    """Every origin whose lookback and whose seven target days both lie in the history."""
    return np.arange(LOOKBACK_DAYS - 1, history.days - HORIZON_DAYS)


def build_windows(history: History, origins: Days, *, with_targets: bool) -> Windows:
    """One window per series and origin: all origins of the first series, then of the second."""
    counts = history.counts.astype(np.float64)
    sums = np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0)))
    level = LEVEL_FLOOR + np.maximum(
        0.7 * _mean_between(sums, origins - 55, origins)
        + 0.3 * _mean_between(sums, origins - 181, origins),
        0.0,  # which only added noise can bring it below
    )
    unit = level[:, :, None]
    recent = sliding_window_view(counts, LOOKBACK_DAYS, axis=1)[:, origins - LOOKBACK_DAYS + 1]
    same_weekday = _same_weekday_means(counts, origins, SAME_WEEKDAY_WEEKS)
    noise = _noise_variances(history)
    if noise.any():  # else there is nothing to calm
        usual_weekday = _same_weekday_means(counts, origins, CALM_WEEKS)
        recent = _calmed(recent, np.tile(usual_weekday, LOOKBACK_DAYS // 7), noise)
        same_weekday = _calmed(same_weekday, usual_weekday, noise / SAME_WEEKDAY_WEEKS)
    calendar = np.concatenate(
        [
            _closures(history.first_day, counts[-1], origins, noise[-1]),
            np.eye(7)[(history.first_day.weekday() + origins + 1) % 7],  # of the first target
        ],
        axis=1,
    )
    per_series = np.broadcast_to(calendar, (len(counts), *calendar.shape))
    features = np.concatenate(
        [
            np.log1p(recent / unit),  # a day of batch entry is fifty times a day: log, not ratio
            np.log1p(same_weekday / unit),
            per_series,
            np.log(unit),
        ],
        axis=2,
    )
    targets = np.zeros((0, HORIZON_DAYS))
    if with_targets:
        ahead = origins[:, None] + np.arange(1, HORIZON_DAYS + 1)
        targets = counts[:, ahead].reshape(-1, HORIZON_DAYS)
    return Windows(
        features=features.reshape(-1, FEATURES).astype(np.float32),
        level=level.reshape(-1).astype(np.float32),
        same_weekday=same_weekday.reshape(-1, HORIZON_DAYS).astype(np.float32),
        targets=targets.astype(np.float32),
        noise=np.repeat(noise, len(origins)).astype(np.float32),
    )


def _mean_between(sums: NDArray[np.float64], first: Days, last: Days) -> NDArray[np.float64]:
    """Mean over days first..last, both included; days before the history began are left out."""
    first = np.maximum(first, 0)
    return np.asarray((sums[:, last + 1] - sums[:, first]) / (last + 1 - first))


def _noise_variances(history: History) -> NDArray[np.float64]:
    """Per series, what was added to each day: the total carries the noise of every category."""
    variances = np.full(len(history.series), history.noise_variance)
    variances[-1] *= len(history.series) - 1
    return variances


def _calmed(
    values: NDArray[np.float64], usual: NDArray[np.float64], noise: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Noised values drawn towards the usual ones, as far as noise explains their distance.

    A model that learnt from noise would trust its inputs too little; at home it is asked with
    exact ones (regression calibration, Carroll et al. 2006).
    """
    if not noise.any():
        return values
    distance = ((values - usual) ** 2).mean(axis=(1, 2))
    trust = np.clip(1 - noise / np.maximum(distance, LEVEL_FLOOR), 0, 1)
    return np.asarray(np.maximum(usual + trust[:, None, None] * (values - usual), 0.0))


def _same_weekday_means(
    counts: NDArray[np.float64], origins: Days, weeks_max: int
) -> NDArray[np.float64]:
    """(series, origins, horizon): mean of the target's weekday over the last known weeks."""
    ahead = np.arange(1, HORIZON_DAYS + 1)
    weeks = 7 * np.arange(1, weeks_max + 1)
    days = origins[:, None, None] + ahead[None, :, None] - weeks  # all at or before the origin
    known = days >= 0
    values = np.where(known, counts[:, np.maximum(days, 0)], 0.0)
    return np.asarray(values.sum(axis=3) / np.maximum(known.sum(axis=2), 1))


def _closures(
    first_day: date, total: NDArray[np.float64], origins: Days, noise: np.float64
) -> NDArray[np.float64]:
    """(origins, 2 * horizon): was the house as good as closed on this day in earlier years?

    A public holiday keeps its date (first half) or its place in the week (second half). Whether
    it is one, each community remembers by itself: what came on those days against what the same
    weekday had brought in the weeks before, as the logarithm of a ratio of sums.
    """
    days = np.arange(len(total))
    usual = _same_weekday_means(total[None], np.maximum(days - 1, 0), SAME_WEEKDAY_WEEKS)[0, :, 0]
    came = _calmed(total[None, :, None], usual[None, :, None], np.array([noise]))[0, :, 0]
    ahead = origins[:, None] + np.arange(1, HORIZON_DAYS + 1)
    dates = np.datetime64(first_day) + ahead
    months = dates.astype("datetime64[M]")
    found = []
    for same_date in (True, False):
        sums = np.zeros((2, *ahead.shape))
        for years in range(1, YEARS_BACK + 1):
            past = ahead - years * YEAR_DAYS
            if same_date:
                back = (months - 12 * years).astype("datetime64[D]") + (dates - months)
                past = (back - np.datetime64(first_day)).astype(np.int64)
            known = past >= 7 * SAME_WEEKDAY_WEEKS
            at = np.maximum(past, 0)
            sums += np.where(known, np.stack([came[at], usual[at]]), 0.0)
        found.append(np.log((sums[0] + CLOSURE_FLOOR) / (np.maximum(sums[1], 0) + CLOSURE_FLOOR)))
    return np.concatenate(found, axis=1)
