"""From a model, or from the past alone, to a week of counts and the spread around it.

A point forecast is a function of a history and origins that knows nothing after each origin. How
far it usually misses is learnt at home, from the exact counts of the weeks before the test.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from federation.data import (
    HORIZON_DAYS,
    LOOKBACK_DAYS,
    Days,
    Floats,
    History,
    Windows,
    build_windows,
)
from federation.metrics import MEAN_MIN, Array, dispersion_of, negative_binomial_quantiles
from federation.recipe import LOG_MULTIPLIER_MAX, SPREAD
from federation.weights import SHAPES, Weights

SPREAD_WEEKS = 26  # over which a community learns how far a forecast misses there
STEADY_SHARE = 0.2  # of the 8-week mean, where a model does not clearly win
SPREAD_WEEKS_MIN = 8  # with fewer, the spread that training assumes is the better guess

Point = Callable[[History, Days], Array]  # mean requests, (series, origins, HORIZON_DAYS)


@dataclass(frozen=True)
class Forecasts:
    """A week of counts per series and origin, with the spread around it."""

    mean: Array  # (series, origins, HORIZON_DAYS)
    quantiles: Array  # (3, series, origins, HORIZON_DAYS)
    dispersion: Array = field(default_factory=lambda: np.full((1, 1, 1), SPREAD))


def lag7(history: History, origins: Days) -> Array:
    """Next week is last week."""
    days = origins[:, None] + np.arange(1, HORIZON_DAYS + 1) - 7
    return history.counts[:, days].astype(np.float64)


def mean8(history: History, origins: Days) -> Array:
    """Mean of the same weekday over eight weeks."""
    windows = build_windows(history, origins, with_targets=False)
    shape = (len(history.series), len(origins), HORIZON_DAYS)
    return windows.same_weekday.astype(np.float64).reshape(shape)


def by_model(weights: Weights) -> Point:
    """The model's weeks, made coherent: categories are scaled to add up to the total's forecast.

    The total has more signal than its parts, so it is forecast directly and the parts follow.
    """

    def point(history: History, origins: Days) -> Array:
        windows = build_windows(history, origins, with_targets=False)
        shape = (len(history.series), len(origins), HORIZON_DAYS)
        mean = ask(weights, windows).astype(np.float64).reshape(shape)
        mean[:-1] *= mean[-1] / np.maximum(mean[:-1].sum(axis=0), MEAN_MIN)
        return mean

    return point


def steadied(point: Point) -> Point:
    """The forecast with a little of the simple one mixed in: two errors partly cancel.

    For a community where a model does not clearly win; see the guard in evaluate.py.
    """

    def mixed(history: History, origins: Days) -> Array:
        simple = mean8(history, origins)
        return (1 - STEADY_SHARE) * point(history, origins) + STEADY_SHARE * simple

    return mixed


def ask(weights: Weights, windows: Windows) -> Floats:
    """What `model.Forecaster` answers, (windows, HORIZON_DAYS), without waiting for torch."""
    w1, b1, w2, b2, w3, b3 = (weights[name] for name in SHAPES)
    change = _squareplus(_squareplus(windows.features @ w1.T + b1) @ w2.T + b2) @ w3.T + b3
    bound = change / np.sqrt(1 + (change / np.float32(LOG_MULTIPLIER_MAX)) ** 2)
    return np.asarray(windows.level[:, None] * np.exp(bound), dtype=np.float32)


def _squareplus(values: Floats) -> Floats:
    return np.asarray(0.5 * (values + np.sqrt(values * values + 1)), dtype=np.float32)


def with_spread(point: Point, history: History, origins: Days, *, first_test_day: int) -> Forecasts:
    """The point forecasts as negative binomials, spread as the point missed before the test."""
    earliest = max(LOOKBACK_DAYS - 1, first_test_day - 1 - 7 * SPREAD_WEEKS)
    before = np.arange(first_test_day - 1 - HORIZON_DAYS, earliest - 1, -7)
    series = len(history.series)
    dispersion = np.full((series, 1), SPREAD)
    if len(before) >= SPREAD_WEEKS_MIN:
        came = targets_of(history, before).reshape(series, -1)
        dispersion = dispersion_of(came, point(history, before).reshape(series, -1))
    mean, dispersion = point(history, origins), dispersion[:, :, None]
    return Forecasts(mean, negative_binomial_quantiles(mean, dispersion), dispersion)


def targets_of(history: History, origins: Days) -> Array:
    """What came in the week after each origin, (series, origins, HORIZON_DAYS)."""
    ahead = origins[:, None] + np.arange(1, HORIZON_DAYS + 1)
    return history.counts[:, ahead].astype(np.float64)
